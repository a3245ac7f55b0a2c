"""The CronJob and the other resources of the reconciler. The template has the reason for each field."""

from collections.abc import Callable
from typing import Any

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


def _one(manifests: list[Manifest], kind: str) -> Manifest:
    [found] = [m for m in manifests if m["kind"] == kind]
    return found


def test_the_cronjob_starts_one_run_every_minute(render: Render) -> None:
    """The specs of the CronJob and its Job are exactly these."""
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


def test_the_values_become_environment_variables(render: Render) -> None:
    """The reconciler's environment contains the values of the chart."""
    manifests = render({"reconciler": {"watchSeconds": 0, "maxRunSeconds": 120, "activeDeadlineSeconds": 180}})
    container = _one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["reconcile"]
    assert {variable["name"]: variable.get("value") for variable in container["env"]} == {
        "AWS_REGION": "eu-west-1",
        "AWS_BUCKET": "example-assets",
        "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": "900",
        "ASSETUPLOADER_LOG_LEVEL": "info",
        "ASSETUPLOADER_LOG_FORMAT": "json",
        "ASSETUPLOADER_WATCH_SECONDS": "0",
        "ASSETUPLOADER_POLL_INTERVAL_SECONDS": "5",
        "ASSETUPLOADER_GRACE_SECONDS": "60",
        "ASSETUPLOADER_EXPIRE_AFTER_SECONDS": "86400",
        "ASSETUPLOADER_MAX_RUN_SECONDS": "120",
        "ASSETUPLOADER_SHARD_COUNT": "1",
        "ASSETUPLOADER_CRONJOB": "assets-assetuploader-reconciler",
        "ASSETUPLOADER_NAMESPACE": None,
    }


def test_shards_make_an_indexed_job(render: Render) -> None:
    """Each index is one pod, and its failures count separately."""
    job = _one(render({"reconciler": {"shardCount": 4}}), "CronJob")["spec"]["jobTemplate"]["spec"]
    indexed = ("completionMode", "completions", "parallelism", "backoffLimitPerIndex")
    assert {key: job[key] for key in indexed} == {
        "completionMode": "Indexed",
        "completions": 4,
        "parallelism": 4,
        "backoffLimitPerIndex": 0,
    }
    assert "backoffLimit" not in job


def test_the_role_allows_only_creating_events_and_getting_one_cronjob(render: Render) -> None:
    """The Role allows no list, and there is no ClusterRole."""
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
    """With reconciler.events false, nothing needs the API server."""
    manifests = render({"reconciler": {"events": False}})
    pod = _one(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert "ASSETUPLOADER_CRONJOB" not in str(pod)
    assert not [m for m in manifests if m["kind"] in {"Role", "RoleBinding"}]


def test_each_program_has_its_own_service_account(render: Render) -> None:
    """Separate ServiceAccounts let IRSA give each program its own role."""
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


def test_long_release_names_stay_different(render: Render) -> None:
    """A name that is cut gets a hash."""
    one, two = render({}, release="a" * 50 + "-1"), render({}, release="a" * 50 + "-2")
    assert _one(one, "CronJob")["metadata"]["name"] != _one(two, "CronJob")["metadata"]["name"]
