"""The doctor as a Helm hook."""

from collections.abc import Callable, Mapping
from typing import Any

Render = Callable[..., list[dict[str, Any]]]
Refuse = Callable[[Mapping[str, Any]], str]
AWS = {"region": "eu-west-1", "bucket": "example-assets"}


def test_the_doctor_runs_before_install_and_upgrade(render: Render) -> None:
    """The hook is one Job without a retry, with an existing ServiceAccount."""
    [job] = [manifest for manifest in render("eks-pod-identity-values.yaml") if manifest["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert pod["serviceAccountName"] == "assetuploader-doctor"
    assert container["args"] == [
        "doctor",
        "--program=service",
        "--program=reconciler",
        "--origin=https://app.example.com",
    ]
    assert {"AWS_REGION", "AWS_BUCKET"} <= {variable["name"] for variable in container["env"]}


def test_the_doctor_is_off_by_default(render: Render) -> None:
    """The default release has no Job."""
    assert [manifest for manifest in render({}) if manifest["kind"] == "Job"] == []


def test_the_doctor_is_rejected_with_credentials_or_s3_of_the_release(refuse: Refuse) -> None:
    """The release's own Secret and SeaweedFS do not exist yet when the hook runs."""
    keys = {"accessKeyId": "k", "secretAccessKey": "s"}
    excluded = "doctor.enabled excludes seaweedfs.enabled and aws.accessKeyId"
    assert excluded in refuse({"aws": AWS | keys, "doctor": {"enabled": True}})
    with_secret = {"aws": AWS | {"existingSecret": "s"}, "seaweedfs": {"enabled": True}, "doctor": {"enabled": True}}
    assert excluded in refuse(with_secret)


def test_the_doctor_accepts_only_programs_of_the_image(refuse: Refuse) -> None:
    """`doctor.programs` takes service and reconciler."""
    assert "doctor.programs" in refuse({"aws": AWS, "doctor": {"enabled": True, "programs": ["waiter"]}})
