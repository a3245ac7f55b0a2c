"""Rules for all manifests, checked on every values file of ci/."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import StrictLoader

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def _pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield the name and the template of each pod that the manifests create."""
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        match manifest["kind"]:
            case "Pod":
                yield name, manifest
            case "Deployment" | "Job":
                yield name, manifest["spec"]["template"]
            case "CronJob":
                yield name, manifest["spec"]["jobTemplate"]["spec"]["template"]


def _selectors(value: Any) -> Iterator[dict[str, str]]:  # noqa: ANN401 - any YAML
    """Yield every selector in the manifests."""
    match value:
        case dict():
            for key, inner in value.items():
                if key == "matchLabels" or (key == "selector" and inner and "matchLabels" not in inner):
                    yield inner
                else:
                    yield from _selectors(inner)
        case list():
            for inner in value:
                yield from _selectors(inner)


def test_a_key_that_is_there_twice_is_refused() -> None:
    """All manifests that `render` returns have passed this loader."""
    with pytest.raises(AssertionError, match="twice in one mapping"):
        yaml.load("spec: {a: 1, b: 2, a: 3}", StrictLoader)  # noqa: S506 -- a subclass of the safe one


def test_helm_lint_passes(ci_values: str, helm: Callable[..., Any], chart: Path) -> None:
    """`helm lint --strict` reports no problem."""
    done = helm("lint", "--strict", str(chart), "-f", str(chart / "ci" / ci_values))
    assert done.returncode == 0, done.stdout


def test_every_selector_names_the_component(ci_values: str, render: Render) -> None:
    """A Service that selects by name and instance alone would also route to the CronJob's pods."""
    own = [s for s in _selectors(render(ci_values)) if "app.kubernetes.io/name" in s]
    assert own
    for selector in own:
        assert set(selector) == {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}


def test_a_service_selects_the_pods_of_one_deployment_and_no_others(ci_values: str, render: Render) -> None:
    """Each Service of the chart selects the pods of exactly one Deployment."""
    manifests = render(ci_values)
    services = [m for m in manifests if m["kind"] == "Service"]
    assert services
    for service in services:
        selector = service["spec"]["selector"].items()
        selected = [name for name, pod in _pod_templates(manifests) if selector <= pod["metadata"]["labels"].items()]
        assert len(selected) == 1, service["metadata"]["name"]
        assert selected[0].startswith("Deployment/")


def test_every_pod_is_restricted(ci_values: str, render: Render) -> None:
    """Pods meet `restricted`, with a numeric uid, a read-only root, an emptyDir at /tmp and no service links.

    On OpenShift the cluster gives the uids.
    """
    uids = {} if ci_values.startswith("openshift") else {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
    pods = list(_pod_templates(render(ci_values)))
    assert {name.split("/")[0] for name, _ in pods} >= {"Deployment", "CronJob", "Pod"}
    for name, pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **uids,
        }, name
        assert spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert "emptyDir" in volumes["tmp"], name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }, name
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"], name  # noqa: S108
            assert all("ephemeral-storage" in container["resources"][kind] for kind in ("requests", "limits")), name
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                expected = {"periodSeconds", "timeoutSeconds", "failureThreshold"}
                assert probe not in container or expected <= set(container[probe]), f"{name}: {probe}"
            for items, key in ((container.get("env", []), "name"), (container["volumeMounts"], "mountPath")):
                keys = [item[key] for item in items]
                assert len(keys) == len(set(keys)), name


def test_only_a_reconciler_that_posts_events_gets_a_token(ci_values: str, render: Render) -> None:
    """All other pods have no credentials for the API server."""
    manifests = render(ci_values)
    with_token = [name for name, pod in _pod_templates(manifests) if pod["spec"]["automountServiceAccountToken"]]
    has_role = any(m["kind"] == "Role" for m in manifests)
    assert [name.split("/")[0] for name in with_token] == (["CronJob"] if has_role else [])
    assert all(m["automountServiceAccountToken"] is False for m in manifests if m["kind"] == "ServiceAccount")


def test_credentials_are_only_in_secrets(ci_values: str, render: Render) -> None:
    """Only a Secret contains an access key; pods refer to the Secret."""
    for manifest in render(ci_values):
        if manifest["kind"] != "Secret":
            assert "trial-and-no-secret" not in str(manifest)
    for _, pod in _pod_templates(render(ci_values)):
        for variable in pod["spec"]["containers"][0].get("env", []):
            if variable["name"].startswith("AWS_") and "KEY" in variable["name"]:
                assert set(variable) == {"name", "valueFrom"}


def test_every_label_value_is_valid(ci_values: str, render: Render) -> None:
    """Label values have at most 63 characters; an image tag with a digest would be invalid."""
    for manifest in render(ci_values):
        labels = manifest["metadata"]["labels"]
        assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "helm.sh/chart"} <= set(labels)
        assert all(len(value) <= 63 and LABEL.fullmatch(value) for value in labels.values()), labels


def test_only_the_metrics_service_has_the_metrics_port(ci_values: str, render: Render) -> None:
    """Ingress, HTTPRoute and the API's Service route only to the port http."""
    manifests = render(ci_values)
    ports = {
        m["metadata"]["name"].removesuffix("-metrics"): [p["name"] for p in m["spec"]["ports"]]
        for m in manifests
        if m["kind"] == "Service" and not m["metadata"]["name"].endswith("-metrics")
    }
    assert all("metrics" not in names for names in ports.values())
    for ingress in (m for m in manifests if m["kind"] == "Ingress"):
        for rule in ingress["spec"]["rules"]:
            assert rule["http"]["paths"][0]["backend"]["service"]["port"]["name"] in {"http", "s3"}


@pytest.mark.parametrize("release", ["a", "assetuploader", "x" * 53, "release-" + "y" * 45])
def test_names_fit_for_any_release_name(ci_values: str, render: Render, release: str) -> None:
    """The CronJob's name has at most 52 characters, because the controller appends 11; other names at most 63."""
    for manifest in render(ci_values, release=release):
        name = manifest["metadata"]["name"]
        assert len(name) <= (52 if manifest["kind"] == "CronJob" else 63)
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name), name
