"""The values that helm rejects, and the agreement of values.yaml, its schema and the README."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.chart.conftest import CHART

Refuse = Callable[[Mapping[str, Any]], str]
AWS: Final = {"region": "eu-west-1", "bucket": "example-assets"}
KEYS: Final = {"accessKeyId": "k", "secretAccessKey": "s"}


def _renamed_values() -> dict[str, str]:
    """Return the table of earlier and current names of values in _validate.tpl."""
    text = (CHART / "templates" / "_validate.tpl").read_text()
    [table] = re.findall(r'define "assetuploader.renamedValues" -}}\n(.*?){{- end', text, re.DOTALL)
    names: dict[str, str] = yaml.safe_load(table)
    return names


RENAMED: Final = _renamed_values()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"aws": AWS, "replicas": 3}, "replicas is not allowed"),
        ({"aws": AWS | {"buckt": "x"}}, "aws: Additional property buckt is not allowed"),
        ({"aws": AWS, "service": {"replica": 3}}, "service: Additional property replica is not allowed"),
        ({"aws": AWS, "replicaCount": "two"}, "replicaCount: Invalid type"),
        ({"aws": AWS, "uploadUrlTtlSeconds": 604801}, "uploadUrlTtlSeconds"),
        ({"aws": AWS, "finalizeAtOnceBytes": 5368709121}, "finalizeAtOnceBytes"),
        ({"aws": AWS, "multipartBytes": 5242879}, "multipartBytes"),
        ({"aws": AWS, "multipartTtlSeconds": 604801}, "multipartTtlSeconds"),
        ({"aws": AWS, "deletes": "true"}, "deletes: Invalid type"),
        ({"aws": AWS, "service": {"port": 0}}, "service.port"),
        ({"aws": AWS, "reconciler": {"startingDeadlineSeconds": 9}}, "reconciler.startingDeadlineSeconds"),
        ({"aws": AWS, "reconciler": {"shardCount": 0}}, "reconciler.shardCount"),
        ({"aws": AWS, "log": {"level": "loud"}}, "log.level"),
        ({"aws": AWS | {"bucket": "Bad_Bucket"}}, "aws.bucket"),
        ({"aws": AWS | {"endpointUrl": "s3.example.com"}}, "aws.endpointUrl"),
        ({"aws": AWS, "image": {"tag": "a b"}}, "image.tag"),
        ({"aws": AWS, "fullnameOverride": "x" * 41}, "fullnameOverride"),
        ({"aws": AWS, "seaweedfs": {"size": "1Gi"}}, "size is not allowed"),
    ],
)
def test_the_schema_rejects_a_wrong_value_and_names_it(values: dict[str, Any], message: str, refuse: Refuse) -> None:
    """The error names the unknown key, the value of another type, or the number out of range."""
    assert message in refuse(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "aws.region is required"),
        ({"aws": {"region": "eu-west-1"}}, "aws.bucket is required"),
        ({"aws": AWS | KEYS | {"existingSecret": "s"}}, "aws.existingSecret and aws.accessKeyId"),
        ({"aws": AWS | {"accessKeyId": "k"}}, "aws.accessKeyId and aws.secretAccessKey go together"),
        ({"aws": AWS, "seaweedfs": {"enabled": True}}, "seaweedfs.enabled needs credentials"),
        (
            {"aws": AWS | KEYS | {"endpointUrl": "http://s3"}, "seaweedfs": {"enabled": True}},
            "seaweedfs.enabled and aws.endpointUrl exclude each other",
        ),
        (
            {"aws": AWS | KEYS, "seaweedfs": {"enabled": True, "ingress": {"enabled": True}}},
            "needs seaweedfs.ingress.host",
        ),
        (
            {"aws": AWS, "reconciler": {"activeDeadlineSeconds": 3059}},
            "reconciler.activeDeadlineSeconds must be at least 60 more than reconciler.maxRunSeconds",
        ),
        (
            {"aws": AWS, "reconciler": {"watchSeconds": 3000}},
            "reconciler.watchSeconds must be less than reconciler.maxRunSeconds",
        ),
        (
            {"aws": AWS, "autoscaling": {"enabled": True, "minReplicas": 11}},
            "autoscaling.minReplicas is more than",
        ),
        (
            {"aws": AWS, "autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
            "needs resources.requests.cpu",
        ),
        ({"aws": AWS, "ingress": {"enabled": True}}, "ingress.hosts"),
        (
            {"aws": AWS, "networkPolicy": {"enabled": True, "s3Cidrs": ["10.0.0.0/8"]}},
            "networkPolicy.s3Cidrs needs networkPolicy.enabled and networkPolicy.restrictEgress",
        ),
        (
            {"aws": AWS, "networkPolicy": {"dnsPorts": [5353]}},
            "networkPolicy.dnsPorts needs networkPolicy.enabled and networkPolicy.restrictEgress",
        ),
        (
            {"aws": {"region": "eu-west-1", "existingConfigMap": "c", "existingConfigMapKeys": {"bucket": ""}}},
            "aws.bucket is",
        ),
        (
            {"aws": AWS | KEYS | {"existingConfigMap": "c"}, "seaweedfs": {"enabled": True}},
            "seaweedfs.enabled and aws.existingConfigMap exclude each other",
        ),
        ({"aws": AWS, "httpRoute": {"enabled": True}}, "httpRoute.parentRefs"),
        (
            {"aws": AWS, "serviceAccount": {"create": False, "annotations": {"a": "b"}}},
            "serviceAccount.annotations needs serviceAccount.create",
        ),
        (
            {"aws": AWS, "reconciler": {"serviceAccount": {"create": False, "annotations": {"a": "b"}}}},
            "reconciler.serviceAccount.annotations needs reconciler.serviceAccount.create",
        ),
    ],
)
def test_an_impossible_combination_is_rejected(values: dict[str, Any], message: str, refuse: Refuse) -> None:
    """_validate.tpl checks what a schema cannot express, and its messages name the values."""
    assert message in refuse(values)


@pytest.mark.parametrize("label", ["name", "instance", "component"])
@pytest.mark.parametrize("section", ["podLabels", "reconciler.podLabels"])
def test_a_label_that_selects_pods_cannot_be_changed(section: str, label: str, refuse: Refuse) -> None:
    """A Deployment whose selector does not match its pods is refused by the API server only."""
    values = {"aws": AWS} | _at(section, {f"app.kubernetes.io/{label}": "mine"})
    assert f"{section} must not have app.kubernetes.io/{label}: the chart selects its pods by" in refuse(values)


def _at(path: str, value: object) -> dict[str, Any]:
    """Return values with one value at a dotted path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("value", [3, "text", {"enabled": True}, []], ids=repr)
@pytest.mark.parametrize("old", RENAMED)
def test_an_earlier_name_is_rejected_with_the_current_one(old: str, value: object, refuse: Refuse) -> None:
    """Whatever its value, the user reads the current name, not the schema's "additional property"."""
    assert f": {old} is now {RENAMED[old]}\n" in refuse({"aws": AWS} | _at(old, value))


def test_several_earlier_names_are_rejected_at_once(refuse: Refuse) -> None:
    """One message lists all of them."""
    values = {
        "aws": AWS,
        "service": {"replicas": 3},
        "reconciler": {"shards": 2},
        "s3": {"embedded": {"enabled": True}},
    }
    assert (
        "reconciler.shards is now reconciler.shardCount; s3.embedded is now seaweedfs; "
        "service.replicas is now replicaCount\n" in refuse(values)
    )


def test_the_schema_lets_only_renamed_values_through(chart: Path) -> None:
    """The schema's patterns of earlier names match exactly the table in _validate.tpl, whose current names exist."""
    values, schema = _load(chart)
    sections = {name: schema["properties"].get(name, {}) for name in ("service", "reconciler")}
    [s3_pattern] = schema["patternProperties"]
    passed = {f"s3.{key}" for key in schema["patternProperties"][s3_pattern]["required"]}
    for name, section in sections.items():
        [pattern] = section["patternProperties"]
        passed |= {f"{name}.{key}" for key in pattern.removeprefix("^(").removesuffix(")$").split("|")}
    assert s3_pattern == "^s3$"
    assert passed == set(RENAMED)
    for path in RENAMED.values():
        here = values
        for key in path.split("."):
            here = here[key]


def _objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the schema of every object that lists its keys."""
    if "properties" in schema:
        yield path, schema
        for key, inner in schema["properties"].items():
            yield from _objects(inner, f"{path}.{key}")


def _load(chart: Path) -> tuple[Any, Any]:
    return yaml.safe_load((chart / "values.yaml").read_text()), json.loads((chart / "values.schema.json").read_text())


def test_the_schema_rejects_unknown_keys_everywhere(chart: Path) -> None:
    """Every object that lists its keys allows no others."""
    _, schema = _load(chart)
    assert [path for path, inner in _objects(schema) if inner.get("additionalProperties") is not False] == []


def test_values_and_schema_have_the_same_keys(chart: Path) -> None:
    """Each key is in both, except those of umbrella charts and the optional keys of `resources`."""
    values, schema = _load(chart)
    for path, inner in _objects(schema):
        here = values
        for key in path.split(".")[1:]:
            here = here[key]
        if path.endswith(".resources"):
            assert set(here) <= set(inner["properties"])
        else:
            assert set(here) | (set() if path else {"global", "enabled", "tags"}) == set(inner["properties"]), path


def test_what_is_generated_from_the_values_is_up_to_date() -> None:
    """The table in the chart's README and files/defaults.json are what `make docs-chart` writes."""
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
    """Each leaf of values.yaml, or an object that contains it, has a row in the table."""
    values, _ = _load(chart)
    readme = (chart / "README.md").read_text()
    for path in _leaves(values):
        names = [".".join(path[: length + 1]) for length in range(len(path))]
        assert any(f"| `{name}` |" in readme for name in names), ".".join(path)


def test_a_template_reads_every_value(chart: Path) -> None:
    """No value is unused."""
    templates = "".join(path.read_text() for path in (chart / "templates").rglob("*") if path.is_file())
    values, _ = _load(chart)
    for path in _leaves(values):
        # Objects such as `resources` and `labels` are read as a whole, so one of the last three keys is enough.
        read = any(f".{name}" in templates for name in path[-3:])
        assert read, ".".join(path)


def test_everything_values_enable_everything(chart: Path) -> None:
    """ci/everything-values.yaml leaves no `enabled` false, so tests on it cover all resources."""
    values, _ = _load(chart)
    everything = yaml.safe_load((chart / "ci" / "everything-values.yaml").read_text())
    # The doctor and SeaweedFS exclude each other.
    assert yaml.safe_load((chart / "ci" / "eks-pod-identity-values.yaml").read_text())["doctor"]["enabled"] is True
    for path in _leaves(values):
        if path[-1] == "enabled" and path[0] != "doctor":
            here, default = everything, values
            for key in path:
                here, default = here.get(key, {}), default[key]
            assert here is True or (here == {} and default is True), ".".join(path)
