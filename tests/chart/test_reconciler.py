"""What the chart makes of `reconciler`: the CronJob's fields, each with its reason in the template."""

from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


def _one(manifests: list[Manifest], kind: str) -> Manifest:
    [found] = [m for m in manifests if m["kind"] == kind]
    return found


def test_the_cronjob_runs_every_minute_one_at_a_time(render: Render) -> None:
    """The schedule and its guards, whole."""
    spec = _one(render({}), "CronJob")["spec"]
    job = spec.pop("jobTemplate")["spec"]
    assert spec == {
        "schedule": "* * * * *",
        "timeZone": "Etc/UTC",
        "suspend": False,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 200,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    template = job.pop("template")
    assert job == {
        "backoffLimit": 0,
        "activeDeadlineSeconds": 3300,
        "ttlSecondsAfterFinished": 900,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "reconciler", "operator": "In", "values": [64, 77, 78]},
                },
            ]
        },
    }
    assert template["spec"]["restartPolicy"] == "Never"


def test_a_run_gets_its_settings(render: Render) -> None:
    """The program's environment is what the values say."""
    manifests = render({"reconciler": {"runSeconds": 0, "budgetSeconds": 120, "activeDeadlineSeconds": 180}})
    container = _one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["reconcile"]
    assert {variable["name"]: variable.get("value") for variable in container["env"]} == {
        "AWS_REGION": "eu-west-1",
        "AWS_BUCKET": "example-assets",
        "ASSETUPLOADER_UPLOAD_URL_SECONDS": "900",
        "ASSETUPLOADER_LOG_LEVEL": "info",
        "ASSETUPLOADER_LOG_FORMAT": "json",
        "ASSETUPLOADER_RUN_SECONDS": "0",
        "ASSETUPLOADER_POLL_SECONDS": "5",
        "ASSETUPLOADER_GRACE_SECONDS": "60",
        "ASSETUPLOADER_UNMARKED_SECONDS": "86400",
        "ASSETUPLOADER_BUDGET_SECONDS": "120",
        "ASSETUPLOADER_SHARDS": "1",
        "ASSETUPLOADER_CRONJOB": "assets-assetuploader-reconciler",
        "ASSETUPLOADER_NAMESPACE": None,
    }


def test_shards_make_an_indexed_job(render: Render) -> None:
    """Each index is a pod with a range of the ids, and fails for itself."""
    job = _one(render({"reconciler": {"shards": 4}}), "CronJob")["spec"]["jobTemplate"]["spec"]
    indexed = ("completionMode", "completions", "parallelism", "backoffLimitPerIndex")
    assert {key: job[key] for key in indexed} == {
        "completionMode": "Indexed",
        "completions": 4,
        "parallelism": 4,
        "backoffLimitPerIndex": 0,
    }
    assert "backoffLimit" not in job


def test_the_role_allows_to_post_events_and_to_get_one_cronjob(render: Render) -> None:
    """Nothing is listed, nothing is cluster-wide."""
    manifests = render({})
    assert _one(manifests, "Role")["rules"] == [
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        {
            "apiGroups": ["batch"],
            "resources": ["cronjobs"],
            "resourceNames": ["assets-assetuploader-reconciler"],
            "verbs": ["get"],
        },
    ]
    assert not [m for m in manifests if m["kind"].startswith("ClusterRole")]


def test_without_events_the_reconciler_has_no_token_and_no_role(render: Render) -> None:
    """reconciler.events false takes away everything that it needs."""
    manifests = render({"reconciler": {"events": False}})
    pod = _one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert "ASSETUPLOADER_CRONJOB" not in str(pod)
    assert not [m for m in manifests if m["kind"] in {"Role", "RoleBinding"}]


def test_the_two_programs_have_accounts_of_their_own(render: Render) -> None:
    """So that IAM can give each its own role: IRSA by annotation."""
    accounts = {
        m["metadata"]["name"]: m["metadata"]["annotations"]
        for m in render("eks-irsa-values.yaml")
        if m["kind"] == "ServiceAccount"
    }
    role = "arn:aws:iam::111122223333:role/assetuploader"
    assert accounts == {
        "assets-assetuploader": {"eks.amazonaws.com/role-arn": f"{role}-service"},
        "assets-assetuploader-reconciler": {"eks.amazonaws.com/role-arn": f"{role}-reconciler"},
    }


def test_two_long_release_names_stay_two(render: Render) -> None:
    """What is cut off a long name leaves a hash behind."""
    one, two = render({}, release="a" * 50 + "-1"), render({}, release="a" * 50 + "-2")
    assert _one(one, "CronJob")["metadata"]["name"] != _one(two, "CronJob")["metadata"]["name"]
