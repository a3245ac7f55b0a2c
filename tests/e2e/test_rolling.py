"""The service replaced under load: nobody who talks to it through the Service notices."""

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import CHART, Image, Release, wait_until
from tests.e2e.in_cluster import Script, running

THREADS = 6
# Runs in the cluster, since a port-forward leads to one pod and dies with it. Each thread keeps one connection as long
# as the server does, and makes a request every 10 ms; whatever is no answer of the API's own is a failure, and none is
# retried.
LOAD = """
import http.client, json, os, sys, threading, time
HOST, THREADS, DEADLINE = sys.argv[1], int(sys.argv[2]), time.monotonic() + 240
asked, failures, lock = [0], [], threading.Lock()
def ask(connection, method, path, expected):
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == expected, f"{answer.status} {body[:200]}"
    return body
def work():
    connection = http.client.HTTPConnection(HOST, timeout=10)
    asset_id = None
    while time.monotonic() < DEADLINE and not os.path.exists("/tmp/stop"):
        try:
            if asset_id is None:
                asset_id = json.loads(ask(connection, "POST", "/asset", 201))["id"]
            else:
                ask(connection, "GET", f"/asset/{asset_id}", 404)
        except Exception as error:
            with lock: failures.append(f"{type(error).__name__}: {error}")
            connection.close()
        with lock: asked[0] += 1
        if asked[0] == 200: print("under way", flush=True)
        time.sleep(0.01)
threads = [threading.Thread(target=work) for _ in range(THREADS)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({"asked": asked[0], "failures": failures[:20], "failed": len(failures)}))
"""


@pytest.fixture
def load(release: Release, image: Image) -> Iterator[Script]:
    """A pod that asks the Service without a pause until /tmp/stop is there."""
    with running(release, image, LOAD, release.fullname, str(THREADS)) as script:
        script.await_line("under way")
        yield script


def _check_nobody_noticed(load: Script) -> None:
    load.tell("/tmp/stop")  # noqa: S108 - in the pod
    result = load.result()
    assert result["asked"] > 500
    assert (result["failed"], result["failures"]) == (0, [])


def _ready_pods(release: Release) -> set[str]:
    return {
        pod["metadata"]["uid"]
        for pod in release.pods("service")
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    }


def test_a_deleted_pod_fails_no_request(release: Release, load: Script) -> None:
    """`kubectl delete pod` of a pod under load: 0 failed requests."""
    before = _ready_pods(release)
    assert len(before) == 2
    victim = release.pods("service")[0]["metadata"]["name"]
    # Returns when the pod is gone.
    release.cluster.kubectl("-n", release.namespace, "delete", "pod", victim)
    wait_until("two pods are ready again", lambda: len(_ready_pods(release)) == 2, 60)
    _check_nobody_noticed(load)


def test_an_upgrade_to_the_next_chart_version_loses_no_request_and_no_asset(
    release: Release, client: Client, load: Script, tmp_path: Path
) -> None:
    """`helm upgrade` to a newer chart that changes the pods: 0 failed requests, and the embedded S3 is left alone."""
    asset_id = client.store(b"before the upgrade", is_pinned=True)
    before, s3 = _ready_pods(release), release.pods("s3")
    newer = Path(copytree(CHART, tmp_path / "assetuploader"))
    about = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(re.sub(r"(?m)^version: .*", "version: 99.0.0", about))
    release.upgrade(newer, {"service": {"podAnnotations": {"example.com/rolled": "yes"}}})
    wait_until(
        "the old pods are gone",
        lambda: not before & {p["metadata"]["uid"] for p in release.pods("service")},
        60,
    )
    assert len(_ready_pods(release)) == 2
    _check_nobody_noticed(load)
    assert [pod["metadata"]["uid"] for pod in s3] == [pod["metadata"]["uid"] for pod in release.pods("s3")]
    with connected(release) as again:  # the other forward led to a pod that is gone
        assert again.download(asset_id, 90) == b"before the upgrade"
