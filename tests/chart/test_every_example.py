"""What holds for everything that the chart renders, whatever the values: checked on every file of ci/."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def _pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Each pod that the manifests would make: its name, and a manifest with metadata and spec."""
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
    """Every selector of the chart's own pods, wherever it stands."""
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


def test_lint_has_nothing_to_say(ci_values: str, helm: Callable[..., Any], chart: Path) -> None:
    """`helm lint --strict` passes."""
    done = helm("lint", "--strict", str(chart), "-f", str(chart / "ci" / ci_values))
    assert done.returncode == 0, done.stdout


def test_every_selector_names_the_component(ci_values: str, render: Render) -> None:
    """No selector matches on name and instance alone, as the Service's would that routes to CronJob pods."""
    own = [s for s in _selectors(render(ci_values)) if "app.kubernetes.io/name" in s]
    assert own
    for selector in own:
        assert set(selector) == {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}


def test_a_service_selects_the_pods_of_one_deployment_and_no_others(ci_values: str, render: Render) -> None:
    """Whatever a Service of the chart selects, it is exactly one Deployment's pods."""
    manifests = render(ci_values)
    services = [m for m in manifests if m["kind"] == "Service"]
    assert services
    for service in services:
        selector = service["spec"]["selector"].items()
        selected = [name for name, pod in _pod_templates(manifests) if selector <= pod["metadata"]["labels"].items()]
        assert len(selected) == 1, service["metadata"]["name"]
        assert selected[0].startswith("Deployment/")


def test_every_pod_is_restricted(ci_values: str, render: Render) -> None:
    """Pod Security `restricted`, and more: numeric uid, read-only root with an emptyDir at /tmp, no service links."""
    pods = list(_pod_templates(render(ci_values)))
    assert {name.split("/")[0] for name, _ in pods} >= {"Deployment", "CronJob", "Pod"}
    for name, pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
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
            assert {"requests", "limits"} <= set(container["resources"]), name


def test_only_a_reconciler_that_posts_events_has_a_token(ci_values: str, render: Render) -> None:
    """Every other pod gets no credentials for the API server."""
    manifests = render(ci_values)
    with_token = [name for name, pod in _pod_templates(manifests) if pod["spec"]["automountServiceAccountToken"]]
    has_role = any(m["kind"] == "Role" for m in manifests)
    assert [name.split("/")[0] for name in with_token] == (["CronJob"] if has_role else [])
    assert all(m["automountServiceAccountToken"] is False for m in manifests if m["kind"] == "ServiceAccount")


def test_credentials_stand_in_secrets_alone(ci_values: str, render: Render) -> None:
    """An access key is nowhere but in a Secret's stringData; pods name the Secret."""
    for manifest in render(ci_values):
        if manifest["kind"] != "Secret":
            assert "trial-and-no-secret" not in str(manifest)
    for _, pod in _pod_templates(render(ci_values)):
        for variable in pod["spec"]["containers"][0].get("env", []):
            if variable["name"].startswith("AWS_") and "KEY" in variable["name"]:
                assert set(variable) == {"name", "valueFrom"}


def test_every_label_is_one_that_kubernetes_takes(ci_values: str, render: Render) -> None:
    """At most 63 characters of the right kind: an image's tag with a digest would be refused."""
    for manifest in render(ci_values):
        labels = manifest["metadata"]["labels"]
        assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "helm.sh/chart"} <= set(labels)
        assert all(len(value) <= 63 and LABEL.fullmatch(value) for value in labels.values()), labels


def test_only_the_metrics_service_has_the_metrics_port(ci_values: str, render: Render) -> None:
    """Ingress, HTTPRoute and the Service that may be a LoadBalancer lead to the port http alone."""
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
def test_names_fit_whatever_the_release_is_called(ci_values: str, render: Render, release: str) -> None:
    """The CronJob has at most 52 characters, for its controller appends 11; everything else at most 63."""
    for manifest in render(ci_values, release=release):
        name = manifest["metadata"]["name"]
        assert len(name) <= (52 if manifest["kind"] == "CronJob" else 63)
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name), name
