"""What helm refuses, with which words; and that values.yaml, its schema and the README agree."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

Refuse = Callable[[Mapping[str, Any]], str]
AWS = {"region": "eu-west-1", "bucket": "example-assets"}
KEYS = {"accessKeyId": "k", "secretAccessKey": "s"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"aws": AWS, "replicas": 3}, "replicas is not allowed"),
        ({"aws": AWS | {"buckt": "x"}}, "aws: Additional property buckt is not allowed"),
        ({"aws": AWS, "service": {"replicas": "two"}}, "service.replicas: Invalid type"),
        ({"aws": AWS, "service": {"uploadUrlSeconds": 604801}}, "service.uploadUrlSeconds"),
        ({"aws": AWS, "service": {"port": 0}}, "service.port"),
        ({"aws": AWS, "reconciler": {"startingDeadlineSeconds": 9}}, "reconciler.startingDeadlineSeconds"),
        ({"aws": AWS, "reconciler": {"shards": 0}}, "reconciler.shards"),
        ({"aws": AWS, "log": {"level": "loud"}}, "log.level"),
        ({"aws": AWS | {"bucket": "Bad_Bucket"}}, "aws.bucket"),
        ({"aws": AWS | {"endpointUrl": "s3.example.com"}}, "aws.endpointUrl"),
        ({"aws": AWS, "image": {"tag": "a b"}}, "image.tag"),
        ({"aws": AWS, "fullnameOverride": "x" * 41}, "fullnameOverride"),
        ({"aws": AWS, "s3": {"embedded": {"size": "1Gi"}}}, "size is not allowed"),
    ],
)
def test_the_schema_refuses_and_names_the_key(values: dict[str, Any], said: str, refuse: Refuse) -> None:
    """A key that is not there, another type, a number out of range: helm says which."""
    assert said in refuse(values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "aws.region is required"),
        ({"aws": {"region": "eu-west-1"}}, "aws.bucket is required"),
        ({"aws": AWS | KEYS | {"existingSecret": "s"}}, "aws.existingSecret and aws.accessKeyId"),
        ({"aws": AWS | {"accessKeyId": "k"}}, "aws.accessKeyId and aws.secretAccessKey go together"),
        ({"aws": AWS, "s3": {"embedded": {"enabled": True}}}, "s3.embedded.enabled needs credentials"),
        (
            {"aws": AWS | KEYS | {"endpointUrl": "http://s3"}, "s3": {"embedded": {"enabled": True}}},
            "s3.embedded.enabled and aws.endpointUrl exclude each other",
        ),
        (
            {"aws": AWS | KEYS, "s3": {"embedded": {"enabled": True, "ingress": {"enabled": True}}}},
            "needs s3.embedded.ingress.host",
        ),
        (
            {"aws": AWS, "reconciler": {"activeDeadlineSeconds": 3059}},
            "reconciler.activeDeadlineSeconds must be at least 60 more than reconciler.budgetSeconds",
        ),
        (
            {"aws": AWS, "reconciler": {"runSeconds": 3000}},
            "reconciler.runSeconds must be less than reconciler.budgetSeconds",
        ),
        (
            {"aws": AWS, "service": {"autoscaling": {"enabled": True, "minReplicas": 11}}},
            "service.autoscaling.minReplicas is more than",
        ),
        (
            {"aws": AWS, "service": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}},
            "needs service.resources.requests.cpu",
        ),
        ({"aws": AWS, "ingress": {"enabled": True}}, "ingress.hosts"),
        ({"aws": AWS, "httpRoute": {"enabled": True}}, "httpRoute.parentRefs"),
        (
            {"aws": AWS, "service": {"serviceAccount": {"create": False, "annotations": {"a": "b"}}}},
            "service.serviceAccount.annotations needs service.serviceAccount.create",
        ),
    ],
)
def test_an_impossible_combination_is_refused_and_named(values: dict[str, Any], said: str, refuse: Refuse) -> None:
    """What a schema cannot say, a guard does."""
    assert said in refuse(values)


def _objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that lists its keys, by path."""
    if "properties" in schema:
        yield path, schema
        for key, inner in schema["properties"].items():
            yield from _objects(inner, f"{path}.{key}")


def _load(chart: Path) -> tuple[Any, Any]:
    return yaml.safe_load((chart / "values.yaml").read_text()), json.loads((chart / "values.schema.json").read_text())


def test_the_schema_refuses_unknown_keys_everywhere(chart: Path) -> None:
    """Every object that lists its keys takes no others."""
    _, schema = _load(chart)
    assert [path for path, inner in _objects(schema) if inner.get("additionalProperties") is not False] == []


def test_values_and_schema_have_the_same_keys(chart: Path) -> None:
    """A key in one is in the other, but for Helm's own `global` and what resources may hold."""
    values, schema = _load(chart)
    for path, inner in _objects(schema):
        here = values
        for key in path.split(".")[1:]:
            here = here[key]
        if path.endswith(".resources"):
            assert set(here) <= set(inner["properties"])
        else:
            assert set(here) | ({"global"} if not path else set()) == set(inner["properties"]), path


def test_the_readme_lists_the_values_as_they_are() -> None:
    """The table in the chart's README is what `make chart-docs` writes."""
    script = Path(__file__).parents[2] / "charts" / "readme.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - any YAML
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path


def test_every_value_is_in_the_readme(chart: Path) -> None:
    """Each leaf of values.yaml, or an object around it, has a line in the table."""
    values, _ = _load(chart)
    readme = (chart / "README.md").read_text()
    for path in _leaves(values):
        names = [".".join(path[: length + 1]) for length in range(len(path))]
        assert any(f"| `{name}` |" in readme for name in names), ".".join(path)


def test_every_value_is_read_by_a_template(chart: Path) -> None:
    """No key does nothing."""
    templates = "".join(path.read_text() for path in (chart / "templates").rglob("*") if path.is_file())
    values, _ = _load(chart)
    for path in _leaves(values):
        # The last three: what is in `resources` or in `labels` is passed on whole.
        read = any(f".{name}" in templates for name in path[-3:])
        assert read, ".".join(path)


def test_everything_values_turn_everything_on(chart: Path) -> None:
    """ci/everything-values.yaml leaves no `enabled` off, so what is checked on it is checked on all."""
    values, _ = _load(chart)
    everything = yaml.safe_load((chart / "ci" / "everything-values.yaml").read_text())
    # The doctor and the embedded S3 exclude each other.
    assert yaml.safe_load((chart / "ci" / "eks-pod-identity-values.yaml").read_text())["doctor"]["enabled"] is True
    for path in _leaves(values):
        if path[-1] == "enabled" and path[0] != "doctor":
            here, default = everything, values
            for key in path:
                here, default = here.get(key, {}), default[key]
            assert here is True or (here == {} and default is True), ".".join(path)
