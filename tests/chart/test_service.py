"""The API's Deployment, and the resources that route to it, scale it and watch it."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
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


def test_an_upgrade_keeps_the_number_of_ready_pods(render: Render) -> None:
    """A pod stops only when its replacement is ready."""
    strategy = _one(render({}), "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


@pytest.mark.parametrize("drain_seconds", [0, 5, 60])
def test_the_grace_period_covers_drain_and_shutdown(render: Render, drain_seconds: int) -> None:
    """The grace period is the drain, 15 s of graceful shutdown, and 10 s of reserve."""
    spec = _one(render({"drainSeconds": drain_seconds}), "Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == drain_seconds + 15 + 10
    env = {variable["name"]: variable.get("value") for variable in spec["containers"][0]["env"]}
    assert env["ASSETUPLOADER_DRAIN_SECONDS"] == str(drain_seconds)


@pytest.mark.parametrize(
    ("values", "size", "deletes"),
    [({}, "67108864", "false"), ({"finalizeAtOnceBytes": 5368709120, "deletes": True}, "5368709120", "true")],
)
def test_the_api_knows_what_it_finalizes_and_deletes(render: Render, values: Manifest, size: str, deletes: str) -> None:
    """The values reach the API in the spelling that it accepts."""
    container = _one(render(values), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert env["ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES"] == size
    assert env["ASSETUPLOADER_DELETES"] == deletes


@pytest.mark.parametrize(
    ("values", "size", "seconds"),
    [
        ({}, "104857600", "604800"),
        ({"multipartBytes": 5368709120, "multipartTtlSeconds": 3600}, "5368709120", "3600"),
    ],
)
def test_the_api_knows_what_is_uploaded_in_parts(render: Render, values: Manifest, size: str, seconds: str) -> None:
    """The values reach the API in the spelling that it accepts."""
    container = _one(render(values), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert env["ASSETUPLOADER_MULTIPART_BYTES"] == size
    assert env["ASSETUPLOADER_MULTIPART_TTL_SECONDS"] == seconds


def test_no_probe_calls_s3(render: Render) -> None:
    """Probes use /livez and /readyz. With /healthcheck, an S3 outage would restart or unroute every pod."""
    container = _one(render({}), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    probes = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {
        "startupProbe": {"path": "/livez", "port": "http"},
        "livenessProbe": {"path": "/livez", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }


def test_the_autoscaler_sets_the_number_of_pods(render: Render) -> None:
    """With autoscaling, the Deployment has no `replicas`; otherwise each upgrade would reset the number."""
    fixed, scaled = render({}), render({"autoscaling": {"enabled": True}})
    assert _one(fixed, "Deployment")["spec"]["replicas"] == 2
    assert "HorizontalPodAutoscaler" not in _kinds(fixed)
    assert "replicas" not in _one(scaled, "Deployment")["spec"]
    target = _one(scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == _one(scaled, "Deployment")["metadata"]["name"]


@pytest.mark.parametrize(
    ("values", "has_budget"),
    [
        ({"replicaCount": 1}, False),
        ({"replicaCount": 2}, True),
        ({"replicaCount": 3, "podDisruptionBudget": {"enabled": False}}, False),
        ({"replicaCount": 3, "autoscaling": {"enabled": True, "minReplicas": 1}}, False),
        ({"replicaCount": 1, "autoscaling": {"enabled": True, "minReplicas": 2}}, True),
    ],
)
def test_a_disruption_budget_needs_more_than_one_pod(render: Render, values: Manifest, has_budget: bool) -> None:  # noqa: FBT001
    """A budget for a single pod would block every drain of its node."""
    assert ("PodDisruptionBudget" in _kinds(render(values))) is has_budget


def test_topology_spread_selects_this_release(render: Render) -> None:
    """The constraints count only the API's pods of the same revision."""
    manifests = render({})
    template = _one(manifests, "Deployment")["spec"]["template"]
    for constraint in template["spec"]["topologySpreadConstraints"]:
        assert (
            constraint["labelSelector"]["matchLabels"]
            == _one(manifests, "Deployment")["spec"]["selector"]["matchLabels"]
        )
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]


def test_a_topology_constraint_keeps_its_own_selector(render: Render) -> None:
    """The chart does not replace a labelSelector in the values."""
    own = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own |= {"labelSelector": {"matchLabels": {"a": "b"}}}
    manifests = render({"topologySpreadConstraints": [own]})
    [constraint] = _one(manifests, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"]["a"] == "b"


@pytest.mark.parametrize(
    ("image", "rendered"),
    [
        ({}, f"assetuploader:{version('assetuploader')}"),
        ({"repository": "r.example/a", "tag": "1"}, "r.example/a:1"),
        ({"tag": f"1@sha256:{'a' * 64}"}, f"assetuploader:1@sha256:{'a' * 64}"),
        ({"tag": "1", "digest": f"sha256:{'b' * 64}"}, f"assetuploader:1@sha256:{'b' * 64}"),
    ],
)
def test_both_programs_run_the_same_image(render: Render, image: Manifest, rendered: str) -> None:
    """Service, reconciler and test run the same image: by tag, by digest or by both."""
    manifests = render({"image": image})
    cronjob = _one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]
    specs = [_one(manifests, "Deployment")["spec"]["template"], cronjob["template"], _one(manifests, "Pod")]
    assert {pod["spec"]["containers"][0]["image"] for pod in specs} == {rendered}


def test_a_new_chart_version_alone_replaces_no_pod(render: Render, chart: Path, tmp_path: Path) -> None:
    """The pod templates do not contain the chart's version."""
    newer = Path(copytree(chart, tmp_path / "assetuploader"))
    about = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(re.sub(r"^version: .*$", "version: 9.9.9", about, flags=re.MULTILINE))
    before, after = render({}), render({}, at=newer)
    assert before != after
    assert _one(before, "Deployment")["spec"] == _one(after, "Deployment")["spec"]
    runs = [_one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"] for manifests in (before, after)]
    assert runs[0] == runs[1]


def test_a_new_access_key_replaces_the_pods(render: Render) -> None:
    """A pod reads its environment once, so new keys need new pods. A new secret key has a new access key id."""

    def template(key: str) -> Manifest:
        aws = {"accessKeyId": key, "secretAccessKey": "s"}
        annotations: Manifest = _one(render({"aws": aws}), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return annotations

    assert template("one") == template("one") != template("two")


def test_nothing_but_the_secret_depends_on_the_secret_key(render: Render) -> None:
    """A hash in an annotation would let everybody who may read pods guess a weak secret key."""

    def others(secret: str) -> list[Manifest]:
        values = {"aws": {"accessKeyId": "k", "secretAccessKey": secret}, "seaweedfs": {"enabled": True}}
        return [manifest for manifest in render(values) if manifest["kind"] != "Secret"]

    assert others("one") == others("two")


def test_without_credentials_pods_use_the_aws_default_chain(render: Render) -> None:
    """The pods have no key variables, and there is no Secret; IRSA and Pod Identity inject their own variables."""
    manifests = render({})
    assert "Secret" not in _kinds(manifests)
    assert "AWS_ACCESS_KEY_ID" not in str(manifests)


def test_an_http_route_has_a_rule(render: Render) -> None:
    """A route without matches still routes to the Service's port."""
    manifests = render({"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}})
    assert _one(manifests, "HTTPRoute")["spec"] == {
        "parentRefs": [{"name": "public"}],
        "rules": [{"backendRefs": [{"name": "assets-assetuploader", "port": 80}]}],
    }


@pytest.mark.parametrize(
    ("values", "signed_for"),
    [
        ({}, "http://localhost:8333"),
        ({"seaweedfs": {"ingress": {"enabled": True, "host": "s3.example.com"}}}, "http://s3.example.com"),
        ({"aws": {"publicEndpointUrl": "https://s3.example.com"}}, "https://s3.example.com"),
    ],
)
def test_urls_to_seaweedfs_are_signed_for_its_public_address(render: Render, values: Manifest, signed_for: str) -> None:
    """The public address is a port-forward, its Ingress, or aws.publicEndpointUrl."""
    values = {
        "aws": {"accessKeyId": "k", "secretAccessKey": "s"} | values.get("aws", {}),
        "seaweedfs": {"enabled": True} | values.get("seaweedfs", {}),
    }
    container = _one(render(values), "Deployment", "uploader")["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert env["ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL"] == signed_for
    assert env["AWS_ENDPOINT_URL_S3"] == "http://assets-assetuploader-s3:8333"


def test_seaweedfs_is_off_by_default(render: Render) -> None:
    """A default release has no resource of SeaweedFS."""
    assert "-s3" not in str([m["metadata"]["name"] for m in render({})])


def test_uninstall_keeps_the_volume_of_seaweedfs(render: Render) -> None:
    """`helm uninstall` keeps the bucket, also the one of SeaweedFS with persistence."""
    manifests = render("everything-values.yaml")
    claim = _one(manifests, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_alerts_and_dashboard_name_this_release(render: Render) -> None:
    """Alerts and dashboard contain the release's names and no RELEASE_ words."""
    manifests = render("everything-values.yaml")
    rules = _one(manifests, "PrometheusRule")["spec"]["groups"]
    dashboard = _one(manifests, "ConfigMap")["data"]["assetuploader.json"]
    assert rules
    for text in (str(rules), dashboard):
        assert "everything-reconciler" in text
        assert "RELEASE_" not in text


def test_alerts_and_dashboard_query_the_scraped_job(render: Render) -> None:
    """prometheus-operator names the job after the Service with the metrics port."""
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


def test_network_policies_cover_every_component(render: Render) -> None:
    """Each component has a policy, for both directions with networkPolicy.restrictEgress."""
    manifests = render("everything-values.yaml")
    policies = {
        m["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: m["spec"]
        for m in manifests
        if m["kind"] == "NetworkPolicy"
    }
    assert set(policies) == {"service", "reconciler", "test", "s3"}
    assert all(spec["policyTypes"] == ["Ingress", "Egress"] for spec in policies.values())
    assert policies["reconciler"]["ingress"] == []


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("", 443), ("https://s3.example.com", 443), ("http://s3.example.com", 80), ("https://s3.example.com:9000", 9000)],
)
def test_egress_is_open_to_the_port_of_s3(render: Render, endpoint: str, port: int) -> None:
    """The port is that of aws.endpointUrl. The Pod Identity agent is reachable when no keys are set."""
    manifests = render({"aws": {"endpointUrl": endpoint}, "networkPolicy": {"restrictEgress": True}})
    service = next(m for m in manifests if m["kind"] == "NetworkPolicy")["spec"]
    ports = [rule["ports"][0]["port"] for rule in service["egress"]]
    assert ports == [53, port, 80]
    assert {"ipBlock": {"cidr": "169.254.170.23/32"}} in service["egress"][2]["to"]


def _policy(manifests: list[Manifest], component: str) -> Manifest:
    policies = [m for m in manifests if m["kind"] == "NetworkPolicy"]
    [found] = [m for m in policies if m["metadata"]["labels"]["app.kubernetes.io/component"] == component]
    spec: Manifest = found["spec"]
    return spec


def test_by_default_only_http_and_s3_can_be_reached(render: Render) -> None:
    """The metrics and the internal ports of SeaweedFS ask for no signature. Egress is open."""
    trial = {"aws": {"accessKeyId": "k", "secretAccessKey": "s"}, "seaweedfs": {"enabled": True}}
    manifests = render(trial)
    assert _policy(manifests, "service")["ingress"] == [{"ports": [{"port": "http"}]}]
    assert _policy(manifests, "s3")["ingress"] == [{"ports": [{"port": "s3"}]}]
    for component in ("reconciler", "test"):
        assert (_policy(manifests, component)["ingress"], _policy(manifests, component)["policyTypes"]) == (
            [],
            ["Ingress"],
        )


@pytest.mark.parametrize(
    ("values", "peers"),
    [
        ({"metrics": {"serviceMonitor": {"enabled": True}}}, [{"namespaceSelector": {}}]),
        ({"networkPolicy": {"metricsFrom": [{"podSelector": {}}]}}, [{"podSelector": {}}]),
    ],
)
def test_the_metrics_can_be_read_by_whom_the_values_say(render: Render, values: Manifest, peers: Manifest) -> None:
    """These are networkPolicy.metricsFrom, or every pod when a ServiceMonitor asks for scraping."""
    [_, metrics] = _policy(render(values), "service")["ingress"]
    assert metrics == {"ports": [{"port": "metrics"}], "from": peers}


@pytest.mark.parametrize("component", ["service", "reconciler", "test", "doctor"])
def test_egress_takes_ports_and_rules_from_the_values(render: Render, component: str) -> None:
    """OpenShift's DNS listens on 5353, MinIO on 9000, and a proxy is an extra rule, for every pod that speaks to S3."""
    proxy = {"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 3128, "protocol": "TCP"}]}
    policy = {"restrictEgress": True, "dnsPorts": [5353], "s3Ports": [9000], "extraEgress": [proxy]}
    egress = _policy(render({"networkPolicy": policy, "doctor": {"enabled": True}}), component)["egress"]
    dns = [{"port": 5353, "protocol": "UDP"}, {"port": 5353, "protocol": "TCP"}]
    assert egress[0] == {"ports": dns}
    assert egress[1]["ports"] == [{"port": 9000, "protocol": "TCP"}]
    assert proxy in egress


def test_egress_is_open_to_the_port_of_the_public_endpoint(render: Render) -> None:
    """The pod of `helm test` uploads to the public endpoint."""
    aws = {"endpointUrl": "http://minio:9000", "publicEndpointUrl": "https://s3.example.com"}
    egress = _policy(render({"aws": aws, "networkPolicy": {"restrictEgress": True}}), "test")["egress"]
    assert [port["port"] for port in egress[1]["ports"]] == [9000, 443]


def test_the_services_take_the_ip_family_policy(render: Render) -> None:
    """service.ipFamilyPolicy holds for each Service of the release; without it, the cluster's default does."""
    services = [m["spec"] for m in render("everything-values.yaml") if m["kind"] == "Service"]
    assert [spec.get("ipFamilyPolicy") for spec in services] == ["PreferDualStack"] * 3
    assert all("ipFamilyPolicy" not in m["spec"] for m in render({}) if m["kind"] == "Service")
