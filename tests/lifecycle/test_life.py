"""The whole lifecycle of assets, with a reconciler that watches as the CronJob's does."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from dev.seaweedfs import LocalS3
from tests.support.processes import Program, ended, serving, started
from tests.support.product import await_until
from tests.support.stores import raw_client
from tests.support.user_client import Asset, Client

UPLOAD_URL_TTL_SECONDS = 4
GRACE_SECONDS = 1
POLL_INTERVAL_SECONDS = 1
SETTINGS = {
    "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": str(UPLOAD_URL_TTL_SECONDS),
    "ASSETUPLOADER_GRACE_SECONDS": str(GRACE_SECONDS),
    "ASSETUPLOADER_POLL_INTERVAL_SECONDS": str(POLL_INTERVAL_SECONDS),
    "ASSETUPLOADER_WATCH_SECONDS": "300",
    "ASSETUPLOADER_LOG_LEVEL": "debug",
}


@dataclass(frozen=True, slots=True)
class FinalizedAssets:
    """Twenty assets that became final, and the logs."""

    s3: LocalS3
    client: Client
    pinned: list[Asset]
    unpinned: list[Asset]
    bodies: dict[str, bytes]
    """The bytes of each when it was first available."""
    service: Program
    reconciler: Program


@pytest.fixture(scope="module")
def finalized(s3: LocalS3) -> Iterator[FinalizedAssets]:
    """Take twenty assets through their lifecycle at once, every second one pinned."""
    environment = {**s3.environment(), **SETTINGS}
    with (
        serving(environment) as service,
        started(["reconcile"], environment) as reconciler,
        ThreadPoolExecutor(20) as threads,
    ):
        client = Client(service.url, service.http)
        reconciler.await_event("s3_request_finished")

        def run_lifecycle(number: int) -> tuple[Asset, bytes]:
            asset = client.create()
            assert client.mark(asset, pinned=number % 2 == 0) == 202
            return asset, client.await_final(asset)

        results = list(threads.map(run_lifecycle, range(20)))
        assets = [asset for asset, _ in results]
        bodies = {asset.asset_id: body for asset, body in results}
        yield FinalizedAssets(s3, client, assets[::2], assets[1::2], bodies, service.program, reconciler)


def test_every_asset_has_the_bytes_that_its_client_sent(finalized: FinalizedAssets) -> None:
    """Twenty clients at once each download what they uploaded."""
    assert finalized.bodies == {asset.asset_id: asset.body for asset in (*finalized.pinned, *finalized.unpinned)}


def test_a_pinned_asset_is_available_within_ten_seconds_of_its_mark(finalized: FinalizedAssets) -> None:
    """A client that pins its bytes need not wait for the expiry."""
    assert max(asset.available_at - asset.marked_at for asset in finalized.pinned) < 10


def test_an_unpinned_asset_is_available_after_its_expiry_and_soon(finalized: FinalizedAssets) -> None:
    """Not before expiry and grace, because the client may send it again until then; afterwards within a poll."""
    waits = [asset.available_at - asset.marked_at for asset in finalized.unpinned]

    due_after = UPLOAD_URL_TTL_SECONDS + GRACE_SECONDS
    assert min(waits) > due_after - 3  # the URL's time began up to 3 s before the mark
    assert max(waits) < due_after + POLL_INTERVAL_SECONDS + 4


def test_a_late_upload_is_refused_and_changes_nothing(finalized: FinalizedAssets) -> None:
    """After its expiry the upload URL is rejected, and the asset stays unchanged."""
    for asset in (*finalized.pinned[:2], *finalized.unpinned[:2]):
        sent = asset.body
        await_until("the URL has expired", lambda asset=asset: finalized.client.upload(asset, b"late") == 403)
        assert finalized.client.await_final(asset) == sent


def test_a_final_asset_refuses_another_mark(finalized: FinalizedAssets) -> None:
    """A mark of a final asset is 409. Only the same pin again is 202."""
    pinned, unpinned = finalized.pinned[0], finalized.unpinned[0]

    assert finalized.client.mark(unpinned, pinned=True) == 409
    assert finalized.client.mark(unpinned, pinned=False) == 409
    assert finalized.client.mark(pinned, pinned=False) == 409
    assert finalized.client.mark(pinned, pinned=True) == 202


def test_nothing_is_left_in_temp(finalized: FinalizedAssets) -> None:
    """Finalized uploads are deleted from `temp/`, and late ones are swept."""
    client = raw_client(finalized.s3.endpoint_url)
    mine = {f"temp/{asset.asset_id}" for asset in (*finalized.pinned, *finalized.unpinned)}

    def remaining() -> set[str]:
        found = client.list_objects_v2(Bucket=finalized.s3.bucket, Prefix="temp/").get("Contents", [])
        return mine & {listed["Key"] for listed in found}

    await_until("no upload of these assets is in temp/", lambda: not remaining())


def test_a_second_run_has_nothing_to_do(finalized: FinalizedAssets) -> None:
    """When everything is final, a run of one scan reconciles nothing, and exits with 0."""
    once = ended(["reconcile"], {**finalized.s3.environment(), **SETTINGS, "ASSETUPLOADER_WATCH_SECONDS": "0"})

    assert (once.returncode, once.stderr.count("asset_reconciled")) == (0, 0)


def test_a_watching_run_that_is_stopped_exits_with_0_at_once(finalized: FinalizedAssets) -> None:
    """Kubernetes stops a run when its node drains: its scan was complete, and the log contains that."""
    started_at = time.monotonic()

    assert finalized.reconciler.end(signal.SIGTERM) == 0
    assert time.monotonic() - started_at < 5
    (finished,) = finalized.reconciler.events("run_finished")
    assert (finished["exit_code"], finished["is_complete"], finished["failed"]) == (0, True, 0)


def test_each_asset_was_finalized_once(finalized: FinalizedAssets) -> None:
    """The run's log names each unpinned asset once as finalized, and no pinned one: its mark finalized it."""
    events = finalized.reconciler.events("asset_reconciled")
    names = [event["asset_id"] for event in events if event["outcome"] == "finalized"]

    assert sorted(names) == sorted(asset.asset_id for asset in finalized.unpinned)


def test_no_log_holds_a_presigned_url(finalized: FinalizedAssets) -> None:
    """At debug, including the libraries' lines, no line contains a signature or a signed host."""
    written = "".join((*finalized.service.lines, *finalized.reconciler.lines))

    assert len(finalized.service.events("request_finished")) > 60
    assert [part for part in ("X-Amz", "Signature", "AWS4", finalized.s3.endpoint_url) if part in written] == []
