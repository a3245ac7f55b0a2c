"""Runs of the reconciler, started by hand so that nothing else finalizes: Events, rights, shards, a killed pod."""

import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import Image, Release, wait_until
from tests.e2e.in_cluster import running

Install = Callable[..., Release]
FEW_HUNDRED = 300
MANY = 2_000
"""So many assets that a run is still at it when its pods are killed after the first."""


@pytest.fixture(scope="module")
def batch(install: Install, namespace: str) -> Release:
    """A release that never ticks by itself, whose runs are one pass in two shards, and slow enough to be killed."""
    reconciler = {"suspend": True, "runSeconds": 0, "shards": 2, "resources": {"limits": {"cpu": "300m"}}}
    return install("batch", namespace, {"reconciler": reconciler})


@pytest.fixture
def client(batch: Release) -> Iterator[Client]:
    """A client of that release."""
    with connected(batch) as client:
        yield client


# In the cluster, for a port-forward is not made for hundreds of connections. Asset number N contains N's SHA-256.
STORE = """
import hashlib, json, sys, urllib.parse, urllib3
from concurrent.futures import ThreadPoolExecutor
service, s3, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
http = urllib3.PoolManager(maxsize=8)
def ask(expected, *arguments, **more):
    answer = http.request(*arguments, **more)
    assert answer.status == expected, (arguments[0], answer.status, answer.data[:300])
    return answer
def store(number):
    created = ask(201, "POST", f"http://{service}/asset").json()
    url = urllib.parse.urlsplit(created["upload_url"])
    body = hashlib.sha256(str(number).encode()).digest()
    sent = ask(200, "PUT", f"http://{s3}{url.path}?{url.query}", body=body, headers={"Host": url.netloc})
    marked = {"Status": "uploaded", "etag": sent.headers["etag"]}
    ask(202, "PUT", f"http://{service}/asset/{created['id']}", json=marked)
    return created["id"]
with ThreadPoolExecutor(8) as pool:
    print(json.dumps(list(pool.map(store, range(count)))))
"""
# Prints how many are final; their bytes are compared.
COUNT = """
import hashlib, json, sys, urllib.parse, urllib3
from concurrent.futures import ThreadPoolExecutor
service, s3, ids = sys.argv[1], sys.argv[2], sys.argv[3:]
http = urllib3.PoolManager(maxsize=8)
def is_final(number):
    answer = http.request("GET", f"http://{service}/asset/{ids[number]}")
    if answer.status == 404 and answer.json()["code"] == "asset_not_uploaded":
        return False
    assert answer.status == 200, (answer.status, answer.data[:300])
    url = urllib.parse.urlsplit(answer.json()["Download_url"])
    got = http.request("GET", f"http://{s3}{url.path}?{url.query}", headers={"Host": url.netloc})
    assert got.status == 200 and got.data == hashlib.sha256(str(number).encode()).digest(), (got.status, number)
    return True
with ThreadPoolExecutor(8) as pool:
    print(json.dumps(sum(pool.map(is_final, range(len(ids))))))
"""


def _store_many(release: Release, image: Image, count: int) -> list[str]:
    """So many pinned assets: all due, none final."""
    with running(release, image, STORE, release.fullname, f"{release.s3_service}:8333", str(count)) as script:
        ids: list[str] = script.result()
        return ids


def _count_final(release: Release, image: Image, ids: list[str]) -> int:
    """How many of these are final, every byte of them compared."""
    with running(release, image, COUNT, release.fullname, f"{release.s3_service}:8333", *ids) as script:
        count: int = script.result()
        return count


def test_two_shards_finalize_a_few_hundred_assets_once_each(batch: Release, image: Image) -> None:
    """Both pods of the Indexed Job work, and what they say that they finalized adds up to the number of assets."""
    ids = _store_many(batch, image, FEW_HUNDRED)
    assert _count_final(batch, image, ids) == 0
    batch.start_run("sharded")
    assert batch.job_end("sharded")["type"] == "Complete"
    reports = batch.reports("sharded")
    assert sorted(report["shard"] for report in reports) == [0, 1]
    assert all(report["finalized"] > FEW_HUNDRED // 4 for report in reports)
    assert sum(report["finalized"] for report in reports) == FEW_HUNDRED
    assert _count_final(batch, image, ids) == FEW_HUNDRED


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
    assert sum(report.get("finalized", 0) for report in batch.reports("told")) == 1
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


def test_a_pod_killed_in_mid_run_loses_nothing(batch: Release, image: Image, client: Client) -> None:
    """With some assets final and others not, every pod of a run is killed; the next run finishes, all bytes right.

    Whether a pod still hears SIGTERM and ends in good order, or does not, is the node's affair: both happen.
    """
    lots: list[list[str]] = []
    for attempt in range(3):  # to hit the middle of a run of some seconds takes luck on a busy machine
        job = f"killed-{attempt}"
        lots.append(_store_many(batch, image, MANY))
        first = min(lots[-1])  # a run goes by key
        batch.start_run(job)
        wait_until("the run has begun", partial(client.look, first), 60)
        at_once = ("--force", "--grace-period=0", "--ignore-not-found", "-l", f"batch.kubernetes.io/job-name={job}")
        batch.cluster.kubectl("-n", batch.namespace, "delete", "pod", *at_once)
        batch.job_end(job)
        left = sum(MANY - _count_final(batch, image, lot) for lot in lots)
        if left:
            break
    else:
        pytest.fail("each of three runs was over before it could be killed")
    batch.start_run("after")
    assert batch.job_end("after")["type"] == "Complete"
    assert sum(report.get("finalized", 0) for report in batch.reports("after")) == left
    assert [_count_final(batch, image, lot) for lot in lots] == [MANY] * len(lots)
