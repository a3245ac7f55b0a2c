"""What the values set on pods reaches every pod, and is merged with what the chart sets."""

from collections.abc import Callable
from typing import Any, Final

import pytest

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]

KEYS: Final = {"accessKeyId": "k", "secretAccessKey": "s"}
DOCTOR: Final = {"doctor": {"enabled": True}}
SEAWEEDFS: Final = {"aws": KEYS, "seaweedfs": {"enabled": True}}
"""The doctor and SeaweedFS exclude each other, so two releases are needed to see every pod."""


def _pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the template of each pod, by its component."""
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        match manifest["kind"]:
            case "Pod":
                pod = manifest
            case "Deployment" | "Job":
                pod = manifest["spec"]["template"]
            case "CronJob":
                pod = manifest["spec"]["jobTemplate"]["spec"]["template"]
            case _:
                continue
        found[pod["metadata"]["labels"]["app.kubernetes.io/component"]] = pod
    return found


def _every_pod(render: Render, settings: Manifest, aws: Manifest | None = None) -> dict[str, Manifest]:
    """Return the pods of all components, each with the settings at the top level and in `reconciler`."""
    values = settings | {"reconciler": settings}
    with_s3 = _pods(render(values | SEAWEEDFS | {"aws": KEYS | (aws or {})}))
    pods = with_s3 | _pods(render(values | DOCTOR | {"aws": aws or {}}))
    assert set(pods) == {"service", "reconciler", "doctor", "test", "s3"}
    return pods


def _env(pod: Manifest) -> dict[str, Manifest]:
    """Return the variables of the pod's container, each of which it has once."""
    variables = pod["spec"]["containers"][0].get("env", [])
    names = [variable["name"] for variable in variables]
    assert len(names) == len(set(names))
    return {variable.pop("name"): variable for variable in variables}


def test_every_pod_takes_the_settings_of_pods(render: Render) -> None:
    """The doctor, the test and SeaweedFS are subject to the cluster's rules as well."""
    settings: Manifest = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "high",
    }
    extra: Manifest = {
        "podLabels": {"team": "assets"},
        "podAnnotations": {"note": "yes"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraVolumes": [{"name": "files", "configMap": {"name": "files"}}],
        "extraVolumeMounts": [{"name": "files", "mountPath": "/files"}],
    }
    secrets = [{"name": "registry"}]
    pods = _every_pod(lambda values: render(values | {"imagePullSecrets": secrets}), settings | extra)
    for name, pod in pods.items():
        spec = pod["spec"]
        assert {key: spec[key] for key in settings} == settings, name
        assert spec["imagePullSecrets"] == secrets, name
        assert pod["metadata"]["labels"]["team"] == "assets", name
        assert pod["metadata"]["annotations"]["note"] == "yes", name
        assert extra["extraVolumes"][0] in spec["volumes"], name
        assert extra["extraVolumeMounts"][0] in spec["containers"][0]["volumeMounts"], name
        assert _env(pod)["HTTPS_PROXY"] == {"value": "http://proxy:3128"}, name


def test_every_pod_has_resources_that_a_quota_can_demand(render: Render) -> None:
    """A quota on limits.cpu refuses a pod without it."""
    resources = {"limits": {"cpu": "1"}}
    values = {"resources": resources, "reconciler": {"resources": resources}}
    s3 = SEAWEEDFS | {"seaweedfs": {"enabled": True, "resources": resources}}
    pods = _pods(render(values | s3)) | _pods(render(values | DOCTOR))
    assert {pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] for pod in pods.values()} == {"1"}


def test_every_program_trusts_the_ca_bundle(render: Render) -> None:
    """aws.caBundle is mounted, and AWS_CA_BUNDLE names the mounted file. SeaweedFS calls nobody."""
    pods = _every_pod(render, {}, {"caBundle": {"configMap": "private-ca", "key": "root.pem"}})
    pods.pop("s3")
    for name, pod in pods.items():
        spec = pod["spec"]
        [volume] = [volume for volume in spec["volumes"] if volume["name"] == "ca-bundle"]
        assert volume["configMap"] == {"name": "private-ca", "items": [{"key": "root.pem", "path": "ca.crt"}]}, name
        [mount] = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "ca-bundle"]
        assert _env(pod)["AWS_CA_BUNDLE"] == {"value": f"{mount['mountPath']}/ca.crt"}, name


def test_no_pod_mounts_a_ca_bundle_by_default(render: Render) -> None:
    """Without aws.caBundle, the CAs are those of the image."""
    assert all("AWS_CA_BUNDLE" not in str(pod) for pod in _every_pod(render, {}).values())


def test_a_pod_may_run_as_any_user(render: Render) -> None:
    """OpenShift assigns the uids; null removes the chart's."""
    removed = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
    for values in (DOCTOR, SEAWEEDFS):
        for pod in _pods(render(values | {"podSecurityContext": removed})).values():
            expected = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
            assert pod["spec"]["securityContext"] == expected


def test_a_variable_of_the_values_replaces_the_charts(render: Render) -> None:
    """Server-side apply refuses a variable that a container has twice."""
    own = {"name": "AWS_BUCKET", "valueFrom": {"configMapKeyRef": {"name": "claim", "key": "BUCKET_NAME"}}}
    twice = [{"name": "TZ", "value": "UTC"}, {"name": "TZ", "value": "CET"}]
    for name, pod in _every_pod(render, {"extraEnv": [own, *twice]}).items():
        variables = _env(pod)
        assert variables["AWS_BUCKET"] == {"valueFrom": own["valueFrom"]}, name
        assert variables["TZ"] == {"value": "CET"}, name


def test_a_volume_of_the_values_replaces_the_charts(render: Render) -> None:
    """Two volumes of one name, or two mounts at one path, are refused by the API server."""
    disk = {"name": "tmp", "emptyDir": {"medium": "Memory"}}
    settings = {"extraVolumes": [disk], "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}  # noqa: S108
    for pod in _every_pod(render, settings).values():
        assert [volume for volume in pod["spec"]["volumes"] if volume["name"] == "tmp"] == [disk]
        mounts = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
        assert mounts.count("/tmp") == 1  # noqa: S108


@pytest.mark.parametrize(
    "annotation", ["kubectl.kubernetes.io/default-container", "checksum/access-key-id", "helm.sh/hook"]
)
def test_an_annotation_of_the_values_is_no_second_key(render: Render, annotation: str) -> None:
    """`render` refuses a key that is there twice. The hook of `helm test` stays a hook."""
    pods = _every_pod(render, {"podAnnotations": {annotation: "mine"}})
    assert pods["service"]["metadata"]["annotations"][annotation] == "mine"
    assert pods["test"]["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_labels_of_the_values_are_no_second_keys(render: Render) -> None:
    """A label that the chart sets on all its resources is replaced."""
    mine = {"app.kubernetes.io/version": "mine", "helm.sh/chart": "mine", "app.kubernetes.io/part-of": "mine"}
    metrics = {kind: {"enabled": True, "labels": mine} for kind in ("serviceMonitor", "prometheusRule", "dashboard")}
    manifests = render({"metrics": metrics})
    kinds = {"ServiceMonitor", "PrometheusRule", "ConfigMap"}
    found = [m["metadata"]["labels"] for m in manifests if m["kind"] in kinds]
    assert len(found) == len(kinds)
    assert all(mine.items() <= labels.items() for labels in found)
    assert all(
        mine.items() <= pod["metadata"]["labels"].items() for pod in _every_pod(render, {"podLabels": mine}).values()
    )


def test_the_keys_of_the_credentials_secret_have_any_names(render: Render) -> None:
    """Operators of other stores create Secrets with names of their own."""
    keys = {"accessKeyId": "access-key", "secretAccessKey": "secret-key"}
    aws = {"existingSecret": "minio", "existingSecretKeys": keys}
    pods = _pods(render(DOCTOR | {"aws": aws})) | _pods(render({"aws": aws, "seaweedfs": {"enabled": True}}))
    pods.pop("test")  # it speaks to the API, and to S3 with signed URLs
    for name, pod in pods.items():
        variables = _env(pod)
        for variable, key in (("AWS_ACCESS_KEY_ID", "access-key"), ("AWS_SECRET_ACCESS_KEY", "secret-key")):
            assert variables[variable] == {"valueFrom": {"secretKeyRef": {"name": "minio", "key": key}}}, name


def test_the_bucket_comes_from_a_config_map(render: Render) -> None:
    """An ObjectBucketClaim names its bucket in a ConfigMap; other keys may have region and endpoint."""
    claim = {"existingConfigMap": "claim", "bucket": ""}
    keys = {"region": "BUCKET_REGION", "endpointUrl": "URL"}
    for more, expected in (
        ({}, {"AWS_BUCKET": "BUCKET_NAME"}),
        (keys, {"AWS_REGION": "BUCKET_REGION", "AWS_ENDPOINT_URL_S3": "URL"}),
    ):
        pods = _pods(render(DOCTOR | {"aws": claim | {"existingConfigMapKeys": more}}))
        for name in ("service", "reconciler", "doctor"):
            variables = _env(pods[name])
            for variable, key in expected.items():
                reference = {"configMapKeyRef": {"name": "claim", "key": key}}
                assert variables[variable] == {"valueFrom": reference}, name


def test_the_image_of_seaweedfs_can_be_a_digest(render: Render) -> None:
    """A digest pins the image, as image.digest pins ours."""
    digest = f"sha256:{'c' * 64}"
    values = SEAWEEDFS | {"seaweedfs": {"enabled": True, "image": {"tag": "4.48", "digest": digest}}}
    assert _pods(render(values))["s3"]["spec"]["containers"][0]["image"] == f"chrislusf/seaweedfs:4.48@{digest}"
