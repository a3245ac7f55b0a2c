"""What cannot work says so: in one line of a pod's log, in the Job's end, in helm's refusal."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.cluster import CHART, Cluster, CommandError, Manifest, Release, wait_until

Install = Callable[..., Release]
WRONG = {
    "credentials": ({"accessKeyId": "nobody", "secretAccessKey": "no-such-secret"}, 77),
    "bucket": ({"bucket": "no-such-bucket"}, 78),
}


@pytest.fixture(params=list(WRONG))
def wrong(request: pytest.FixtureRequest, install_beside: Install) -> Iterator[tuple[Release, int]]:
    """A release that cannot work, and the exit code that says why."""
    aws, code = WRONG[request.param]
    reconciler = {"suspend": True, "runSeconds": 0}
    release = install_beside(f"wrong-{request.param}", {"aws": aws, "reconciler": reconciler}, wait=False)
    yield release, code
    release.cluster.helm("uninstall", release.name, "-n", release.namespace)


def test_the_pods_say_what_is_wrong_and_the_job_fails_once(wrong: tuple[Release, int]) -> None:
    """The service's pods back off with one readable line each; the Job fails by its policy after one pod."""
    release, code = wrong
    release.start_run(f"{release.name}-run")

    def backing_off() -> Manifest | None:
        for pod in release.pods("service"):
            if pod["metadata"]["labels"]["app.kubernetes.io/instance"] == release.name:
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

    condition = release.job_end(f"{release.name}-run")
    assert (condition["type"], condition["reason"]) == ("Failed", "PodFailurePolicy")
    assert f"exit code {code}" in condition["message"]
    assert len(release.job_pods(f"{release.name}-run")) == 1
    said = release.cluster.kubectl("-n", release.namespace, "describe", "cronjob", release.cronjob)
    assert re.search(rf"Warning +RunFailed .*exit code {code}", said), said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("aws.buckt=x", "aws: Additional property buckt is not allowed"),
        ("service.replicas=two", "service.replicas: Invalid type. Expected: integer, given: string"),
        ("aws.existingSecret=s", "aws.existingSecret and aws.accessKeyId/aws.secretAccessKey exclude each other"),
        ("reconciler.budgetSeconds=3300", "reconciler.activeDeadlineSeconds must be at least 60 more"),
    ],
)
def test_helm_install_refuses_bad_values_by_name(cluster: Cluster, namespace: str, setting: str, said: str) -> None:
    """An unknown key, a wrong type, an impossible combination: nothing is installed, and the key is named."""
    values = str(CHART / "ci" / "minikube-values.yaml")
    with pytest.raises(CommandError, match=re.escape(said)):
        cluster.helm("install", "refused", str(CHART), "-n", namespace, "-f", values, "--set", setting)
    assert "refused" not in cluster.helm("list", "--all", "--short", "-n", namespace)
