"""Runs of the reconciler, started by hand so that nothing else finalizes: Events, rights, shards, a killed pod."""

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import Release, wait_until

Install = Callable[..., Release]
FEW_HUNDRED = 300


@pytest.fixture(scope="module")
def batch(install: Install, namespace: str) -> Release:
    """A release that never ticks by itself, whose runs are one pass in two shards."""
    return install(
        "batch", namespace, {"reconciler": {"suspend": True, "runSeconds": 0, "shards": 2}, "log": {"level": "warning"}}
    )


@pytest.fixture
def client(batch: Release) -> Iterator[Client]:
    """A client of that release."""
    with connected(batch) as client:
        yield client


def _store_many(client: Client, count: int) -> dict[str, bytes]:
    """That many pinned assets: all due, none final."""
    contents = [hashlib.sha256(str(number).encode()).digest() for number in range(count)]
    with ThreadPoolExecutor(8) as pool:
        ids = pool.map(lambda content: client.store(content, is_pinned=True), contents)
        return dict(zip(ids, contents, strict=True))


def _count_final(client: Client, assets: dict[str, bytes]) -> int:
    with ThreadPoolExecutor(8) as pool:
        return sum(url is not None for url in pool.map(client.look, assets))


def _check_all(client: Client, assets: dict[str, bytes]) -> None:
    with ThreadPoolExecutor(8) as pool:
        downloads = pool.map(lambda asset_id: client.download(asset_id, 1), assets)
        assert dict(zip(assets, downloads, strict=True)) == assets


def test_two_shards_finalize_a_few_hundred_assets_once_each(batch: Release, client: Client) -> None:
    """Both pods of the Indexed Job work, and what they say that they finalized adds up to the number of assets."""
    assets = _store_many(client, FEW_HUNDRED)
    assert _count_final(client, assets) == 0
    batch.start_run("sharded")
    assert batch.job_end("sharded")["type"] == "Complete"
    reports = batch.reports("sharded")
    assert sorted(report["shard"] for report in reports) == [0, 1]
    assert all(report["finalized"] > FEW_HUNDRED // 4 for report in reports)
    assert sum(report["finalized"] for report in reports) == FEW_HUNDRED
    _check_all(client, assets)


def test_describe_cronjob_tells_what_a_run_did(batch: Release, client: Client) -> None:
    """A run that finalized something leaves one Event on the CronJob; a run with nothing to do leaves none."""

    def events() -> list[str]:
        said = batch.cluster.kubectl("-n", batch.namespace, "describe", "cronjob", batch.cronjob)
        return re.findall(r"Normal +AssetsChanged .*", said)

    before = len(events())
    client.store(b"one", is_pinned=True)
    batch.start_run("told")
    assert batch.job_end("told")["type"] == "Complete"
    wait_until("the Event is there", lambda: len(events()) == before + 1, 15)
    assert "finalized 1" in events()[-1]
    batch.start_run("idle")
    assert batch.job_end("idle")["type"] == "Complete"
    assert sum(report["finalized"] for report in batch.reports("told")) == 1
    assert len(events()) == before + 1


def test_the_role_allows_what_is_used_and_no_more(batch: Release) -> None:
    """`kubectl auth can-i --list` names two things beyond what every account may: create Events, get this CronJob."""
    account = f"system:serviceaccount:{batch.namespace}:{batch.cronjob}"
    everybody = f"system:serviceaccount:{batch.namespace}:default"

    def may(who: str) -> set[str]:
        listed = batch.cluster.kubectl("-n", batch.namespace, "auth", "can-i", "--list", f"--as={who}")
        return {" ".join(line.split()) for line in listed.splitlines()[1:]}

    assert may(account) - may(everybody) == {
        "events.events.k8s.io [] [] [create]",
        f"cronjobs.batch [] [{batch.cronjob}] [get]",
    }
    service = f"system:serviceaccount:{batch.namespace}:{batch.fullname}"
    assert may(service) == may(everybody)


def test_a_pod_killed_in_mid_run_loses_nothing(batch: Release, client: Client) -> None:
    """With some assets final and others not, every pod of a run is killed; the next run finishes, all bytes right."""
    assets = _store_many(client, FEW_HUNDRED)
    batch.start_run("killed")
    probes = list(assets)[:: FEW_HUNDRED // 20]
    wait_until("the run has begun", lambda: any(client.look(asset_id) for asset_id in probes), 60)
    batch.cluster.kubectl(
        "-n",
        batch.namespace,
        "delete",
        "pod",
        "--force",
        "--grace-period=0",
        "-l",
        "batch.kubernetes.io/job-name=killed",
    )
    assert batch.job_end("killed")["type"] == "Failed"
    final = _count_final(client, assets)
    assert 0 < final < FEW_HUNDRED, "the run was over before it was killed"
    batch.start_run("after")
    assert batch.job_end("after")["type"] == "Complete"
    assert sum(report["finalized"] for report in batch.reports("after")) == FEW_HUNDRED - final
    _check_all(client, assets)
