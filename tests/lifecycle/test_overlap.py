"""Processes that start and stop during the lifecycle of assets."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import urllib3

from assetuploader.keys import temp_key, uploaded_key
from assetuploader.state_machine import AssetState, Status, to_metadata
from dev.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY, LocalS3, free_port, running_s3
from tests.support.in_memory_s3 import START, etag_of
from tests.support.processes import ended, serving, started
from tests.support.product import await_until
from tests.support.stores import raw_client
from tests.support.user_client import Client


def _put_due_assets(s3: LocalS3, count: int) -> dict[str, bytes]:
    """Write this many marked and pinned assets directly; return their bytes by id."""
    client = raw_client(s3.endpoint_url)
    bodies = {f"{number:08x}-0000-4000-8000-000000000000": b"%d" % number for number in range(count)}

    def put(asset_id: str) -> None:
        body = bodies[asset_id]
        state = to_metadata(AssetState(Status.MARKED, START, etag_of(body)))
        client.put_object(Bucket=s3.bucket, Key=uploaded_key(asset_id), Body=b"nonce", Metadata=state)
        client.put_object(Bucket=s3.bucket, Key=temp_key(asset_id), Body=body)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, bodies))
    return bodies


def _download_finals(s3: LocalS3, http: urllib3.PoolManager, asset_ids: list[str]) -> dict[str, bytes]:
    with serving(s3.environment()) as service:
        client = Client(service.url, http)
        urls = {
            asset_id: http.request("GET", f"{client.url}/asset/{asset_id}").json().get("Download_url")
            for asset_id in asset_ids
        }
        return {asset_id: http.request("GET", url).data for asset_id, url in urls.items() if url}


def test_a_run_stopped_in_the_middle_loses_nothing_and_the_next_two_at_once_finish() -> None:
    """A run exits with code 0 soon after SIGTERM; two runs at once then finalize the rest, each asset once."""
    with running_s3(free_port(), "assets") as s3, urllib3.PoolManager() as http:
        bodies = _put_due_assets(s3, 300)
        with started(["reconcile"], s3.environment()) as first:
            first.await_event("asset_reconciled")
            stopped_at = time.monotonic()
            first_code = first.end(signal.SIGTERM)
            stop_seconds = time.monotonic() - stopped_at
        with ThreadPoolExecutor(2) as threads:
            others = list(threads.map(lambda _: ended(["reconcile"], s3.environment()), range(2)))
        finals = _download_finals(s3, http, list(bodies))

    (finished,) = first.events("run_finished")
    assert (first_code, stop_seconds < 10, finished["is_complete"]) == (0, True, False)
    assert [other.returncode for other in others] == [0, 0]
    assert finals == bodies
    lines = [*first.lines, *(line for other in others for line in other.stderr.splitlines())]
    finalized = [event["asset_id"] for event in map(json.loads, lines) if event.get("outcome") == "finalized"]
    assert sorted(finalized) == sorted(bodies)
    assert 0 < finished["finalized"] < len(bodies)


def test_the_service_may_be_restarted_at_any_moment(s3: LocalS3) -> None:
    """An asset is created with one process, which is killed, marked with the next and downloaded with a third."""
    environment = s3.environment()
    with serving(environment) as service:
        asset = Client(service.url, service.http).create()
        service.program.process.kill()
    with serving(environment) as service:
        assert Client(service.url, service.http).mark(asset, pinned=True) == 202
        code = service.program.end(signal.SIGTERM)
    assert ended(["reconcile"], environment).returncode == 0
    with serving(environment) as service:
        body = Client(service.url, service.http).download(asset)

    assert (code, body) == (0, asset.body)


def test_an_upload_to_a_final_asset_is_swept_and_never_served(s3: LocalS3) -> None:
    """A pinned asset may be final while its URL is valid: S3 accepts more bytes, and the next run deletes them."""
    with serving(s3.environment()) as service:
        client = Client(service.url, service.http)
        asset = client.create()
        final = asset.body
        assert client.mark(asset, pinned=True) == 202
        assert ended(["reconcile"], s3.environment()).returncode == 0
        assert client.upload(asset, b"late") == 200
        before = client.download(asset)
        swept = ended(["reconcile"], s3.environment())
        after = client.download(asset)

    assert (before, after) == (final, final)
    events = [json.loads(line) for line in swept.stderr.splitlines()]
    assert [(event["asset_id"], event["outcome"]) for event in events if event["event"] == "asset_reconciled"] == [
        (asset.asset_id, "swept")
    ]


def test_a_stopped_service_serves_until_load_balancers_have_noticed(s3: LocalS3) -> None:
    """While it drains, /readyz is 503, every request gets a response, and each response closes its connection."""
    with serving({**s3.environment(), "ASSETUPLOADER_DRAIN_SECONDS": "2"}) as service:
        service.program.process.send_signal(signal.SIGTERM)
        await_until("it drains", lambda: service.status("/readyz") == 503)
        response = service.http.request("POST", f"{service.url}/asset")
        alive = service.status("/livez")
        code = service.program.process.wait(20)

    assert service.program.errors() == []
    assert (response.status, response.headers["Connection"], alive, code) == (201, "close", 200, 0)


def test_a_service_starts_during_an_outage_and_recovers() -> None:
    """It is alive, but not ready before it has verified its store. It serves once S3 responds, without a restart."""
    port = free_port()
    environment = {
        "AWS_REGION": REGION,
        "AWS_BUCKET": "assets",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    with serving(environment, awaited="/livez") as service:
        during_outage = {path: service.status(path) for path in ("/livez", "/readyz", "/healthcheck")}
        refused = service.http.request("POST", f"{service.url}/asset")
        with running_s3(port, "assets") as s3:
            await_until("it is healthy", lambda: service.status("/healthcheck") == 200)
            created = service.status("/asset", "POST")
            s3.process.send_signal(signal.SIGSTOP)
            requested_at = time.monotonic()
            stopped = service.status("/asset", "POST")
            stopped_seconds = time.monotonic() - requested_at
            alive = service.status("/livez"), service.status("/readyz")
            s3.process.send_signal(signal.SIGCONT)
            await_until("it is healthy again", lambda: service.status("/healthcheck") == 200)
            again = service.status("/asset", "POST")

    assert during_outage == {"/livez": 200, "/readyz": 503, "/healthcheck": 503}
    assert (refused.status, refused.json()["code"], refused.headers["Retry-After"]) == (503, "store_unavailable", "2")
    assert (created, stopped, stopped_seconds < 3.5, alive, again) == (201, 503, True, (200, 200), 201)


def test_a_run_is_stopped_within_seconds_while_s3_is_frozen() -> None:
    """Stopped while S3 does not respond, a run abandons its requests, and its process ends in time."""
    with running_s3(free_port(), "assets") as s3:
        _put_due_assets(s3, 100)
        with started(["reconcile"], s3.environment()) as run:
            run.await_event("asset_reconciled")
            s3.process.send_signal(signal.SIGSTOP)
            assert run.end(signal.SIGTERM) == 0
