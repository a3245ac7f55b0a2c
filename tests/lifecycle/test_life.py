"""Assets' whole lives, under a reconciler that lingers as the CronJob's does."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import boto3
import pytest

from dev.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY, LocalS3
from tests.support.processes import Program, ended, serving, started
from tests.support.product import await_until
from tests.support.user_client import Asset, Client

UPLOAD_URL_SECONDS = 4
GRACE_SECONDS = 1
POLL_SECONDS = 1
SETTINGS = {
    "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": str(UPLOAD_URL_SECONDS),
    "ASSETUPLOADER_GRACE_SECONDS": str(GRACE_SECONDS),
    "ASSETUPLOADER_POLL_INTERVAL_SECONDS": str(POLL_SECONDS),
    "ASSETUPLOADER_WATCH_SECONDS": "300",
    "ASSETUPLOADER_LOG_LEVEL": "debug",
}


@dataclass(frozen=True, slots=True)
class Lived:
    """Twenty assets that became final, and what was written about it."""

    s3: LocalS3
    client: Client
    pinned: list[Asset]
    unpinned: list[Asset]
    bodies: dict[str, bytes]
    """What each was answered when it was first available."""
    service: Program
    reconciler: Program


@pytest.fixture(scope="module")
def lived(s3: LocalS3) -> Iterator[Lived]:
    """Twenty assets at once, every second one pinned."""
    environment = {**s3.environment(), **SETTINGS}
    with (
        serving(environment) as service,
        started(["reconcile"], environment) as reconciler,
        ThreadPoolExecutor(20) as threads,
    ):
        client = Client(service.url, service.http)
        await_until("the reconciler has probed", lambda: reconciler.process.poll() is None)

        def live(number: int) -> tuple[Asset, bytes]:
            asset = client.create()
            assert client.mark(asset, pinned=number % 2 == 0) == 202
            return asset, client.await_final(asset)

        ends = list(threads.map(live, range(20)))
        assets = [asset for asset, _ in ends]
        bodies = {asset.asset_id: body for asset, body in ends}
        yield Lived(s3, client, assets[::2], assets[1::2], bodies, service.program, reconciler)


def test_every_asset_has_the_bytes_that_its_client_sent(lived: Lived) -> None:
    """Twenty clients at once each download what they uploaded."""
    assert lived.bodies == {asset.asset_id: asset.body for asset in (*lived.pinned, *lived.unpinned)}


def test_a_pinned_asset_is_available_within_ten_seconds_of_its_mark(lived: Lived) -> None:
    """A client that says which bytes it means need not wait for the expiry."""
    assert max(asset.available_at - asset.marked_at for asset in lived.pinned) < 10


def test_an_unpinned_asset_is_available_after_its_expiry_and_soon(lived: Lived) -> None:
    """Not before expiry and grace, for the client may send it again until then; and then within a poll."""
    waits = [asset.available_at - asset.marked_at for asset in lived.unpinned]

    assert min(waits) > UPLOAD_URL_SECONDS + GRACE_SECONDS - 3  # to create, to send and to mark took of the URL's life
    assert max(waits) < UPLOAD_URL_SECONDS + GRACE_SECONDS + POLL_SECONDS + 4


def test_a_late_upload_is_refused_and_changes_nothing(lived: Lived) -> None:
    """After the expiry the upload URL is of no use, and the asset stays as it is."""
    for asset in (*lived.pinned[:2], *lived.unpinned[:2]):
        sent = asset.body
        await_until("the URL has ended", lambda asset=asset: lived.client.upload(asset, b"late") == 403)
        assert lived.client.await_final(asset) == sent


def test_a_final_asset_refuses_another_mark(lived: Lived) -> None:
    """Both kinds are final: 409, and the pinned one's own pin again is 202."""
    pinned, unpinned = lived.pinned[0], lived.unpinned[0]

    assert lived.client.mark(unpinned, pinned=True) == 409
    assert lived.client.mark(unpinned, pinned=False) == 409
    assert lived.client.mark(pinned, pinned=False) == 409
    assert lived.client.mark(pinned, pinned=True) == 202


def test_nothing_is_left_in_temp(lived: Lived) -> None:
    """What was finalized is deleted from `temp/`, and what came in between and was late is swept."""
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=lived.s3.endpoint_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    mine = {f"temp/{asset.asset_id}" for asset in (*lived.pinned, *lived.unpinned)}

    def left() -> set[str]:
        found = client.list_objects_v2(Bucket=lived.s3.bucket, Prefix="temp/").get("Contents", [])
        return mine & {listed["Key"] for listed in found}

    await_until("temp/ is empty of them", lambda: not left())


def test_a_second_run_has_nothing_to_do(lived: Lived) -> None:
    """Over finished work a run of one pass writes nothing, and ends 0."""
    once = ended(["reconcile"], {**lived.s3.environment(), **SETTINGS, "ASSETUPLOADER_WATCH_SECONDS": "0"})

    assert (once.returncode, once.stderr.count("asset_reconciled")) == (0, 0)


def test_a_lingering_run_that_is_told_to_stop_ends_0_at_once(lived: Lived) -> None:
    """Kubernetes stops a run when its node drains: it has done its pass, and says so."""
    started_at = time.monotonic()

    assert lived.reconciler.end(signal.SIGTERM) == 0
    assert time.monotonic() - started_at < 5
    (finished,) = lived.reconciler.events("run_finished")
    assert (finished["exit_code"], finished["is_complete"], finished["failed"]) == (0, True, 0)


def test_each_asset_was_finalized_once(lived: Lived) -> None:
    """The run's log names each asset once, as finalized."""
    names = [event["asset_id"] for event in lived.reconciler.events("asset_reconciled")]

    assert sorted(names) == sorted(lived.bodies)


def test_no_log_holds_a_presigned_url(lived: Lived) -> None:
    """At debug, with all that the libraries under us say, no line has a signature or a signed host."""
    written = "".join((*lived.service.lines, *lived.reconciler.lines))

    assert len(lived.service.events("request_finished")) > 60
    assert [part for part in ("X-Amz", "Signature", "AWS4", lived.s3.endpoint_url) if part in written] == []
