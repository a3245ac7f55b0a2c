"""What the chart makes of `service`, and of what leads to it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


def _one(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(name)]
    assert len(found) == 1, f"{len(found)} of {kind}"
    return found[0]


def _kinds(manifests: list[Manifest]) -> set[str]:
    return {m["kind"] for m in manifests}


def test_an_upgrade_never_has_fewer_pods_than_before(render: Render) -> None:
    """A pod goes only when its successor is ready."""
    strategy = _one(render({}), "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


@pytest.mark.parametrize("drain_seconds", [0, 5, 60])
def test_a_stopping_pod_has_time_to_drain_and_to_finish(render: Render, drain_seconds: int) -> None:
    """The grace period covers the drain, the 15 s of graceful shutdown, and 10 s to spare."""
    spec = _one(render({"service": {"drainSeconds": drain_seconds}}), "Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == drain_seconds + 15 + 10
    env = {variable["name"]: variable.get("value") for variable in spec["containers"][0]["env"]}
    assert env["ASSETUPLOADER_DRAIN_SECONDS"] == str(drain_seconds)


def test_no_probe_asks_s3(render: Render) -> None:
    """Probes call /livez and /readyz: /healthcheck would restart or unroute every pod when S3 is away."""
    container = _one(render({}), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    probes = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {
        "startupProbe": {"path": "/livez", "port": "http"},
        "livenessProbe": {"path": "/livez", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }


def test_autoscaling_owns_the_number_of_pods(render: Render) -> None:
    """With an autoscaler the Deployment says no number, or each upgrade would set it back."""
    fixed, scaled = render({}), render({"service": {"autoscaling": {"enabled": True}}})
    assert _one(fixed, "Deployment")["spec"]["replicas"] == 2
    assert "HorizontalPodAutoscaler" not in _kinds(fixed)
    assert "replicas" not in _one(scaled, "Deployment")["spec"]
    target = _one(scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == _one(scaled, "Deployment")["metadata"]["name"]


@pytest.mark.parametrize(
    ("service", "protected"),
    [
        ({"replicas": 1}, False),
        ({"replicas": 2}, True),
        ({"replicas": 3, "podDisruptionBudget": {"enabled": False}}, False),
        ({"replicas": 3, "autoscaling": {"enabled": True, "minReplicas": 1}}, False),
        ({"replicas": 1, "autoscaling": {"enabled": True, "minReplicas": 2}}, True),
    ],
)
def test_a_disruption_budget_only_with_pods_to_spare(render: Render, service: Manifest, protected: bool) -> None:  # noqa: FBT001
    """A budget for one pod would hold up every drain of its node."""
    assert ("PodDisruptionBudget" in _kinds(render({"service": service}))) is protected


def test_topology_spread_selects_this_release(render: Render) -> None:
    """The constraints count the service's own pods, of the new version alone."""
    manifests = render({})
    template = _one(manifests, "Deployment")["spec"]["template"]
    for constraint in template["spec"]["topologySpreadConstraints"]:
        assert (
            constraint["labelSelector"]["matchLabels"]
            == _one(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
        )
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]


def test_a_topology_constraint_keeps_what_it_says_itself(render: Render) -> None:
    """A labelSelector that is given stays."""
    own = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own |= {"labelSelector": {"matchLabels": {"a": "b"}}}
    manifests = render({"service": {"topologySpreadConstraints": [own]}})
    [constraint] = _one(manifests, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"]["a"] == "b"


@pytest.mark.parametrize(
    ("image", "rendered"),
    [
        ({}, "assetuploader:0.1.0"),
        ({"repository": "r.example/a", "tag": "1"}, "r.example/a:1"),
        ({"tag": f"1@sha256:{'a' * 64}"}, f"assetuploader:1@sha256:{'a' * 64}"),
        ({"tag": "1", "digest": f"sha256:{'b' * 64}"}, f"assetuploader:1@sha256:{'b' * 64}"),
    ],
)
def test_the_image_is_one_for_both_programs(render: Render, image: Manifest, rendered: str) -> None:
    """Service, reconciler and test run the same image, by tag, by digest or by both."""
    manifests = render({"image": image})
    cronjob = _one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]
    specs = [_one(manifests, "Deployment")["spec"]["template"], cronjob["template"], _one(manifests, "Pod")]
    assert {pod["spec"]["containers"][0]["image"] for pod in specs} == {rendered}


def test_a_new_chart_version_alone_rolls_no_pod(render: Render, chart: Path, tmp_path: Path) -> None:
    """The pods' templates say nothing of the chart's version, so an upgrade of the chart leaves them be."""
    newer = Path(copytree(chart, tmp_path / "assetuploader"))
    about = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(about.replace("\nversion: 0.1.0", "\nversion: 9.9.9"))
    before, after = render({}), render({}, at=newer)
    assert before != after
    assert _one(before, "Deployment")["spec"] == _one(after, "Deployment")["spec"]
    runs = [_one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"] for manifests in (before, after)]
    assert runs[0] == runs[1]


def test_new_credentials_roll_the_pods(render: Render) -> None:
    """A pod reads its environment once: another key must start another pod."""

    def template(key: str) -> Manifest:
        aws = {"accessKeyId": key, "secretAccessKey": "s"}
        annotations: Manifest = _one(render({"aws": aws}), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return annotations

    assert template("one") == template("one") != template("two")


def test_without_credentials_the_aws_default_chain_is_left_alone(render: Render) -> None:
    """No variable of a pod names a key, and no Secret is made: IRSA and Pod Identity put in their own."""
    manifests = render({})
    assert "Secret" not in _kinds(manifests)
    assert "AWS_ACCESS_KEY_ID" not in str(manifests)


def test_an_http_route_has_a_rule(render: Render) -> None:
    """Without matches, too, the route leads to the Service's port."""
    manifests = render({"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}})
    assert _one(manifests, "HTTPRoute")["spec"] == {
        "parentRefs": [{"name": "public"}],
        "rules": [{"backendRefs": [{"name": "assets-assetuploader", "port": 80}]}],
    }


@pytest.mark.parametrize(
    ("values", "signed_for"),
    [
        ({}, "http://localhost:8333"),
        ({"s3": {"embedded": {"ingress": {"enabled": True, "host": "s3.example.com"}}}}, "http://s3.example.com"),
        ({"aws": {"publicEndpointUrl": "https://s3.example.com"}}, "https://s3.example.com"),
    ],
)
def test_urls_to_the_embedded_s3_are_signed_for_where_clients_reach_it(
    render: Render, values: Manifest, signed_for: str
) -> None:
    """A port-forward, its own Ingress, or what the values say."""
    values = {
        "aws": {"accessKeyId": "k", "secretAccessKey": "s"} | values.get("aws", {}),
        "s3": {"embedded": {"enabled": True} | values.get("s3", {}).get("embedded", {})},
    }
    container = _one(render(values), "Deployment", "uploader")["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert env["ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL"] == signed_for
    assert env["AWS_ENDPOINT_URL_S3"] == "http://assets-assetuploader-s3:8333"


def test_the_embedded_s3_is_off_by_default(render: Render) -> None:
    """Nothing of SeaweedFS is in a release that did not ask for it."""
    assert "-s3" not in str([m["metadata"]["name"] for m in render({})])


def test_a_volume_with_assets_outlives_uninstall(render: Render) -> None:
    """`helm uninstall` leaves the bucket alone, the embedded one too when it has a volume."""
    manifests = render("everything-values.yaml")
    claim = _one(manifests, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_monitoring_speaks_of_this_release(render: Render) -> None:
    """Alerts and dashboard name the release's own CronJob and Deployment, and no placeholder is left."""
    manifests = render("everything-values.yaml")
    rules = _one(manifests, "PrometheusRule")["spec"]["groups"]
    dashboard = _one(manifests, "ConfigMap")["data"]["assetuploader.json"]
    assert rules
    for text in (str(rules), dashboard):
        assert "everything-reconciler" in text
        assert "RELEASE_" not in text


def test_alerts_and_dashboard_ask_for_the_job_that_is_scraped(render: Render) -> None:
    """prometheus-operator names the job after the Service that has the metrics port: rules and panels ask for it."""
    manifests = render("everything-values.yaml")
    [service] = [
        manifest["metadata"]["name"]
        for manifest in manifests
        if manifest["kind"] == "Service" and "metrics" in {port["name"] for port in manifest["spec"]["ports"]}
    ]
    groups = _one(manifests, "PrometheusRule")["spec"]["groups"]
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    dashboard = json.loads(_one(manifests, "ConfigMap")["data"]["assetuploader.json"])
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    for expressions in (rules, queries):
        assert set(re.findall(r'\bjob="([^"]*)"', "\n".join(expressions))) == {service}


def test_network_policies_cover_every_pod_but_the_test(render: Render) -> None:
    """With networkPolicy.enabled each component has a policy for both directions."""
    manifests = render("everything-values.yaml")
    policies = {
        m["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: m["spec"]
        for m in manifests
        if m["kind"] == "NetworkPolicy"
    }
    assert set(policies) == {"service", "reconciler", "s3"}
    assert all(spec["policyTypes"] == ["Ingress", "Egress"] for spec in policies.values())
    assert policies["reconciler"]["ingress"] == []


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("", 443), ("https://s3.example.com", 443), ("http://s3.example.com", 80), ("https://s3.example.com:9000", 9000)],
)
def test_egress_is_open_to_the_port_of_s3(render: Render, endpoint: str, port: int) -> None:
    """The policy follows aws.endpointUrl; Pod Identity's address is open when no key is given."""
    manifests = render({"aws": {"endpointUrl": endpoint}, "networkPolicy": {"enabled": True}})
    service = next(m for m in manifests if m["kind"] == "NetworkPolicy")["spec"]
    ports = [rule["ports"][0]["port"] for rule in service["egress"]]
    assert ports == [53, port, 80]
    assert {"ipBlock": {"cidr": "169.254.170.23/32"}} in service["egress"][2]["to"]
