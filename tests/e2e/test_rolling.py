"""Replacing the API's pods under load fails no request."""

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import CHART, Image, Release, wait_until
from tests.e2e.in_cluster import Script, running

THREADS = 6
# Runs in the cluster, because a port-forward uses one pod and ends with it. Each thread keeps its connection until the
# server closes it, and sends a request every 10 ms. Any unexpected response is a failure, and nothing is retried.
LOAD = """
import http.client, json, os, sys, threading, time
HOST, THREADS, DEADLINE = sys.argv[1], int(sys.argv[2]), time.monotonic() + 240
sent, failures, lock = [0], [], threading.Lock()
def request(connection, method, path, expected):
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    assert response.status == expected, f"{response.status} {body[:200]}"
    return body
def work():
    connection = http.client.HTTPConnection(HOST, timeout=10)
    asset_id = None
    while time.monotonic() < DEADLINE and not os.path.exists("/tmp/stop"):
        try:
            if asset_id is None:
                asset_id = json.loads(request(connection, "POST", "/asset", 201))["id"]
            else:
                request(connection, "GET", f"/asset/{asset_id}", 404)
        except Exception as error:
            with lock: failures.append(f"{type(error).__name__}: {error}")
            connection.close()
        with lock: sent[0] += 1
        if sent[0] == 200: print("running", flush=True)
        time.sleep(0.01)
threads = [threading.Thread(target=work) for _ in range(THREADS)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({"sent": sent[0], "failures": failures[:20], "failed": len(failures)}))
"""


@pytest.fixture
def load(release: Release, image: Image) -> Iterator[Script]:
    """Run a pod that sends requests to the Service until /tmp/stop exists."""
    with running(release, image, LOAD, release.fullname, str(THREADS)) as script:
        script.wait_for_line("running")
        yield script


def _check_no_failures(load: Script) -> None:
    load.touch("/tmp/stop")  # noqa: S108 - in the pod
    result = load.result()
    assert result["sent"] > 500
    assert (result["failed"], result["failures"]) == (0, [])


def _ready_pods(release: Release) -> set[str]:
    return {
        pod["metadata"]["uid"]
        for pod in release.pods("service")
        if "deletionTimestamp" not in pod["metadata"]
        and any(found["type"] == "Ready" and found["status"] == "True" for found in pod["status"].get("conditions", []))
    }


def test_a_deleted_pod_fails_no_request(release: Release, load: Script) -> None:
    """`kubectl delete pod` under load fails no request."""
    before = _ready_pods(release)
    assert len(before) == 2
    victim = release.pods("service")[0]["metadata"]["name"]
    # kubectl waits until the pod is gone.
    release.cluster.kubectl("-n", release.namespace, "delete", "pod", victim)
    wait_until("two pods are ready again", lambda: len(_ready_pods(release)) == 2, 60)
    _check_no_failures(load)


def test_an_upgrade_to_the_next_chart_version_loses_no_request_and_no_asset(
    release: Release, client: Client, load: Script, tmp_path: Path
) -> None:
    """`helm upgrade` to a newer chart replaces the API's pods without a failed request, and keeps SeaweedFS's pod."""
    asset_id = client.store(b"before the upgrade", is_pinned=True)
    before, s3 = _ready_pods(release), release.pods("s3")
    newer = Path(copytree(CHART, tmp_path / "assetuploader"))
    metadata = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(re.sub(r"(?m)^version: .*", "version: 99.0.0", metadata))
    release.upgrade(newer, {"downloadUrlTtlSeconds": 61})  # only the API's pods have it
    wait_until(
        "the old pods are gone",
        lambda: before.isdisjoint(pod["metadata"]["uid"] for pod in release.pods("service")),
        60,
    )
    assert len(_ready_pods(release)) == 2
    _check_no_failures(load)
    assert [pod["metadata"]["uid"] for pod in s3] == [pod["metadata"]["uid"] for pod in release.pods("s3")]
    with connected(release) as again:  # the first port-forward ended with its pod
        assert again.download(asset_id, 90) == b"before the upgrade"
