"""Runs of the reconciler that the tests start: Events, permissions, shards, a killed pod."""

import re
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import Image, Install, Release, wait_until
from tests.e2e.in_cluster import running

FEW_HUNDRED = 300
MANY = 2_000
"""Enough assets that a run is still active when its pods are killed after the first asset."""


@pytest.fixture(scope="module")
def batch(install: Install, namespace: str) -> Release:
    """Install a release without scheduled runs; its runs do one scan in two shards, slowly enough to be killed.

    It leaves every copy to the reconciler.
    """
    reconciler = {"suspend": True, "watchSeconds": 0, "shardCount": 2, "resources": {"limits": {"cpu": "300m"}}}
    return install("batch", namespace, {"reconciler": reconciler, "finalizeAtOnceBytes": 0})


@pytest.fixture
def client(batch: Release) -> Iterator[Client]:
    """Connect a client to that release."""
    with connected(batch) as client:
        yield client


# Runs in the cluster, because a port-forward cannot carry hundreds of connections. Asset N contains the SHA-256 of N.
STORE = """
import hashlib, json, sys, urllib.parse, urllib3
from concurrent.futures import ThreadPoolExecutor
service, s3, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
http = urllib3.PoolManager(maxsize=8)
def request(expected, *arguments, **more):
    response = http.request(*arguments, **more)
    assert response.status == expected, (arguments[0], response.status, response.data[:300])
    return response
def store(number):
    created = request(201, "POST", f"http://{service}/asset").json()
    url = urllib.parse.urlsplit(created["upload_url"])
    body = hashlib.sha256(str(number).encode()).digest()
    sent = request(200, "PUT", f"http://{s3}{url.path}?{url.query}", body=body, headers={"Host": url.netloc})
    marked = {"Status": "uploaded", "etag": sent.headers["etag"]}
    request(202, "PUT", f"http://{service}/asset/{created['id']}", json=marked)
    return created["id"]
with ThreadPoolExecutor(8) as pool:
    print(json.dumps(list(pool.map(store, range(count)))))
"""
# Prints the number of final assets, and compares their bytes.
COUNT = """
import hashlib, json, sys, urllib.parse, urllib3
from concurrent.futures import ThreadPoolExecutor
service, s3, ids = sys.argv[1], sys.argv[2], sys.argv[3:]
http = urllib3.PoolManager(maxsize=8)
def is_final(number):
    response = http.request("GET", f"http://{service}/asset/{ids[number]}")
    if response.status == 404 and response.json()["code"] == "asset_not_uploaded":
        return False
    assert response.status == 200, (response.status, response.data[:300])
    url = urllib.parse.urlsplit(response.json()["Download_url"])
    got = http.request("GET", f"http://{s3}{url.path}?{url.query}", headers={"Host": url.netloc})
    assert got.status == 200 and got.data == hashlib.sha256(str(number).encode()).digest(), (got.status, number)
    return True
with ThreadPoolExecutor(8) as pool:
    print(json.dumps(sum(pool.map(is_final, range(len(ids))))))
"""


def _store_many(release: Release, image: Image, count: int) -> list[str]:
    """Store pinned assets, which are due but not final; return their ids."""
    with running(release, image, STORE, release.fullname, f"{release.s3_service}:8333", str(count)) as script:
        ids: list[str] = script.result()
        return ids


def _count_final(release: Release, image: Image, ids: list[str]) -> int:
    """Return the number of final assets, after comparing their bytes."""
    with running(release, image, COUNT, release.fullname, f"{release.s3_service}:8333", *ids) as script:
        count: int = script.result()
        return count


def test_two_shards_finalize_a_few_hundred_assets_once_each(batch: Release, image: Image) -> None:
    """Both pods of the Indexed Job finalize assets, and their counts add up to the number of assets."""
    ids = _store_many(batch, image, FEW_HUNDRED)
    assert _count_final(batch, image, ids) == 0
    batch.start_run("sharded")
    assert batch.wait_for_job("sharded")["type"] == "Complete"
    summaries = batch.summaries("sharded")
    assert sorted(summary["shard"] for summary in summaries) == [0, 1]
    assert all(summary["finalized"] > FEW_HUNDRED // 4 for summary in summaries)
    assert sum(summary["finalized"] for summary in summaries) == FEW_HUNDRED
    assert _count_final(batch, image, ids) == FEW_HUNDRED


def test_describe_cronjob_shows_what_a_run_changed(batch: Release, client: Client) -> None:
    """A run that finalizes an asset posts one Event on the CronJob; a run with nothing to do posts none."""

    def events() -> list[str]:
        description = batch.cluster.kubectl("-n", batch.namespace, "describe", "cronjob", batch.cronjob)
        return re.findall(r"Normal +AssetsChanged .*", description)

    before = len(events())
    client.store(b"one", is_pinned=True)
    batch.start_run("changed")
    assert batch.wait_for_job("changed")["type"] == "Complete"
    wait_until("the Event exists", lambda: len(events()) == before + 1, 15)
    assert "finalized 1" in events()[-1]
    batch.start_run("idle")
    assert batch.wait_for_job("idle")["type"] == "Complete"
    assert sum(summary.get("finalized", 0) for summary in batch.summaries("changed")) == 1
    assert len(events()) == before + 1


def test_the_role_allows_only_what_the_reconciler_uses(batch: Release) -> None:
    """Beyond the permissions of every ServiceAccount, it may create Events and get this CronJob."""
    account = f"system:serviceaccount:{batch.namespace}:{batch.cronjob}"
    default = f"system:serviceaccount:{batch.namespace}:default"

    def permissions(account: str) -> set[str]:
        listed = batch.cluster.kubectl("-n", batch.namespace, "auth", "can-i", "--list", f"--as={account}")
        return {" ".join(line.split()) for line in listed.splitlines()[1:]}

    assert permissions(account) - permissions(default) == {
        "events.events.k8s.io [] [] [create]",
        f"cronjobs.batch [] [{batch.cronjob}] [get]",
    }
    service = f"system:serviceaccount:{batch.namespace}:{batch.fullname}"
    assert permissions(service) == permissions(default)


def test_killed_pods_lose_nothing(batch: Release, image: Image, client: Client) -> None:
    """The run after one whose pods were killed finalizes the remaining assets, with the right bytes.

    Depending on the node, a killed pod may or may not receive SIGTERM first.
    """
    stored: list[list[str]] = []
    for attempt in range(3):  # a run of a few seconds may end before its pods are killed
        job = f"killed-{attempt}"
        stored.append(_store_many(batch, image, MANY))
        first = min(stored[-1])  # a run lists keys in order
        batch.start_run(job)
        wait_until("the run has started", partial(client.download_url, first), 60)
        forced = ("--force", "--grace-period=0", "--ignore-not-found", "-l", f"batch.kubernetes.io/job-name={job}")
        batch.cluster.kubectl("-n", batch.namespace, "delete", "pod", *forced)
        batch.wait_for_job(job)
        remaining = sum(MANY - _count_final(batch, image, ids) for ids in stored)
        if remaining:
            break
    else:
        pytest.fail("each of three runs ended before its pods were killed")
    batch.start_run("after")
    assert batch.wait_for_job("after")["type"] == "Complete"
    assert sum(summary.get("finalized", 0) for summary in batch.summaries("after")) == remaining
    assert [_count_final(batch, image, ids) for ids in stored] == [MANY] * len(stored)
