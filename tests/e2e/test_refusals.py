"""Errors are visible: in one line of a pod's log, in the Job's condition, in helm's message."""

import re
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import CHART, Cluster, CommandError, Install, Manifest, Release, wait_until

WRONG = {
    "credentials": ({"accessKeyId": "nobody", "secretAccessKey": "no-such-secret"}, 77),
    "bucket": ({"bucket": "no-such-bucket"}, 78),
}


@pytest.fixture(params=list(WRONG))
def wrong(request: pytest.FixtureRequest, install_beside: Install) -> Iterator[tuple[Release, int]]:
    """Install a release that cannot work; yield it with the exit code of its programs."""
    aws, code = WRONG[request.param]
    reconciler = {"suspend": True, "watchSeconds": 0}
    release = install_beside(f"wrong-{request.param}", {"aws": aws, "reconciler": reconciler}, wait=False)
    yield release, code
    release.cluster.helm("uninstall", release.name, "-n", release.namespace)


def test_the_pods_log_the_cause_and_the_job_fails_once(wrong: tuple[Release, int]) -> None:
    """The API's pods log one line each and back off; the Job fails by its policy after one pod."""
    release, code = wrong
    release.start_run(f"{release.name}-run")

    def backing_off() -> Manifest | None:
        for pod in release.pods("service"):
            [status] = pod["status"].get("containerStatuses", [{}])
            if status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff":
                return pod
        return None

    pod = wait_until("a pod of the service is in CrashLoopBackOff", backing_off, 120)
    ended: Manifest = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert ended["exitCode"] == code
    log = release.cluster.kubectl("-n", release.namespace, "logs", pod["metadata"]["name"], "--previous")
    assert len(log.splitlines()) == 1, log
    assert ended["message"].strip() == log.strip()

    condition = release.wait_for_job(f"{release.name}-run")
    assert (condition["type"], condition["reason"]) == ("Failed", "PodFailurePolicy")
    assert f"exit code {code}" in condition["message"]
    assert len(release.job_pods(f"{release.name}-run")) == 1
    description = release.cluster.kubectl("-n", release.namespace, "describe", "cronjob", release.cronjob)
    assert re.search(rf"Warning +RunFailed .*exit code {code}", description), description


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("aws.buckt=x", "aws: Additional property buckt is not allowed"),
        ("replicaCount=two", "replicaCount: Invalid type. Expected: integer, given: string"),
        ("service.replicas=2", "service.replicas is now replicaCount"),
        ("aws.existingSecret=s", "aws.existingSecret and aws.accessKeyId/aws.secretAccessKey exclude each other"),
        ("reconciler.maxRunSeconds=3300", "reconciler.activeDeadlineSeconds must be at least 60 more"),
    ],
)
def test_helm_install_rejects_bad_values_by_name(cluster: Cluster, namespace: str, setting: str, message: str) -> None:
    """Helm names the unknown, wrong, renamed or conflicting value, and installs nothing."""
    values = str(CHART / "ci" / "minikube-values.yaml")
    with pytest.raises(CommandError, match=re.escape(message)):
        cluster.helm("install", "rejected", str(CHART), "-n", namespace, "-f", values, "--set", setting)
    assert "rejected" not in cluster.helm("list", "--all", "--short", "-n", namespace)
