"""The doctor as a hook: before anything is installed, and only when asked."""

from collections.abc import Callable, Mapping
from typing import Any

Render = Callable[..., list[dict[str, Any]]]
Refuse = Callable[[Mapping[str, Any]], str]
AWS = {"region": "eu-west-1", "bucket": "example-assets"}


def test_the_doctor_runs_before_the_release_and_stops_it(render: Render) -> None:
    """One Job, before install and upgrade, without a retry, as a ServiceAccount that is there already."""
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


def test_without_being_asked_there_is_no_doctor(render: Render) -> None:
    """The default release has no Job."""
    assert [manifest for manifest in render({}) if manifest["kind"] == "Job"] == []


def test_the_doctor_is_refused_where_it_has_nothing_to_examine(refuse: Refuse) -> None:
    """Keys and an S3 that come with the release are not there yet when the hook runs: helm says so."""
    keys = {"accessKeyId": "k", "secretAccessKey": "s"}
    assert "doctor.enabled runs before the release" in refuse({"aws": AWS | keys, "doctor": {"enabled": True}})
    assert "doctor.programs" in refuse({"aws": AWS, "doctor": {"enabled": True, "programs": ["waiter"]}})
