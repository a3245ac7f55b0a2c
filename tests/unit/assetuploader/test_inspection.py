"""`status` predicts what the reconciler does."""

from datetime import datetime, timedelta

import pytest

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.inspection import AssetPhase, explain, inspect_asset, inspect_uploads
from assetuploader.outcome import Outcome
from assetuploader.state_machine import AssetState, LifecyclePolicy, Placeholder, Status, to_metadata, to_tags
from assetuploader.store import ObjectAttributes, ObjectInfo
from tests.support.in_memory_s3 import InMemoryS3, etag_of

POLICY = LifecyclePolicy(upload_url_ttl_seconds=900, grace_seconds=60, expire_after_seconds=3600)
EXPIRY = datetime.fromisoformat("2026-01-01T12:00:00Z")
UPLOADED = etag_of(b"uploaded")
OTHER = etag_of(b"other")
ASSET_ID = "00000000-0000-4000-8000-000000000000"

EXPECTED: dict[AssetPhase, set[Outcome]] = {
    AssetPhase.OVERDUE: {Outcome.FINALIZED},
    AssetPhase.EXPIRED: {Outcome.EXPIRED, Outcome.SWEPT},
    AssetPhase.WAITING: {Outcome.WAITING, Outcome.ETAG_MISMATCH, Outcome.UPLOAD_MISSING},
    AssetPhase.FINAL: {Outcome.SWEPT},
    AssetPhase.UNKNOWN: {Outcome.ORPHANED},
    AssetPhase.ORPHANED: {Outcome.ORPHANED},
}


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("pin", [None, UPLOADED, OTHER])
@pytest.mark.parametrize("body", [b"uploaded", None])
@pytest.mark.parametrize("seconds", [-10, 0, 59, 60, 3599, 3600])
async def test_a_run_does_what_the_explanation_says(
    status: Status | None, pin: str | None, body: bytes | None, seconds: int
) -> None:
    """For every state, on both sides of each deadline, the next run does what `explain` predicts."""
    s3 = InMemoryS3(now=EXPIRY - timedelta(minutes=5))
    if status is not None:
        state = AssetState(status, EXPIRY, pin)
        s3.store("set-up", f"uploaded/{ASSET_ID}", b"nonce", ObjectAttributes(to_metadata(state), to_tags(state)))
    if body is not None:
        s3.store("set-up", f"temp/{ASSET_ID}", body, ObjectAttributes({}, {}))
    now = EXPIRY + timedelta(seconds=seconds)
    info = await s3.head_object(f"uploaded/{ASSET_ID}")
    placeholder = (
        Placeholder(info.etag, AssetState(status, EXPIRY, pin), info.last_modified) if info and status else None
    )
    next_step = explain(placeholder, await s3.head_object(f"temp/{ASSET_ID}"), now, POLICY)
    result = await AssetReconciler(s3, s3, POLICY, lambda: b"next").reconcile(ASSET_ID, now)
    if body is None and next_step.phase is AssetPhase.EXPIRED:  # a run sees only uploads; a GET or a mark expires it
        assert result.outcome in {Outcome.UPLOAD_MISSING, Outcome.SWEPT}
    else:
        assert result.outcome in EXPECTED[next_step.phase]


@pytest.mark.parametrize("status", [Status.PENDING, Status.UPLOADED, Status.EXPIRED])
@pytest.mark.parametrize("marker", [b"", None])
@pytest.mark.parametrize("seconds", [-10, 0, 3599, 3600])
async def test_a_run_does_what_the_explanation_says_of_an_upload_in_parts(
    status: Status, marker: bytes | None, seconds: int
) -> None:
    """Also when the object in `temp/` is lost. The date of a final asset, that of its first request, is not shown."""
    s3 = InMemoryS3(now=EXPIRY - timedelta(minutes=5))
    state = AssetState(status, EXPIRY, part_bytes=16)
    s3.store("set-up", f"uploaded/{ASSET_ID}", b"nonce", ObjectAttributes(to_metadata(state), to_tags(state)))
    if marker is not None:
        s3.store("set-up", f"temp/{ASSET_ID}", marker, ObjectAttributes({}, {}))
    s3.now = EXPIRY + timedelta(seconds=seconds)
    next_step = (await inspect_asset(s3, ASSET_ID, POLICY)).next_step
    result = await AssetReconciler(s3, s3, POLICY, lambda: b"next").reconcile(ASSET_ID, s3.now)
    assert result.outcome in EXPECTED[next_step.phase]
    assert (next_step.at is None) is (status is Status.UPLOADED)


SWEPT_AT = EXPIRY + timedelta(days=7, hours=1)


@pytest.mark.parametrize("foreign", [None, b"not a placeholder"])
@pytest.mark.parametrize("seconds", [-1, 0])
async def test_orphaned_bytes_are_explained_and_swept_at_the_same_time(foreign: bytes | None, seconds: int) -> None:
    """They are listed with the time from which on a run sweeps them, and without one beside an object."""
    s3 = InMemoryS3(now=EXPIRY)
    s3.store("set-up", f"temp/{ASSET_ID}", b"uploaded", ObjectAttributes({}, {}))
    if foreign is not None:
        s3.store("set-up", f"uploaded/{ASSET_ID}", foreign, ObjectAttributes({}, {}))
    s3.now = SWEPT_AT + timedelta(seconds=seconds)
    (found,) = [each async for each in inspect_uploads(s3, POLICY)]
    assert found == await inspect_asset(s3, ASSET_ID, POLICY)
    assert (found.next_step.phase, found.next_step.at) == (AssetPhase.ORPHANED, None if foreign else SWEPT_AT)
    assert found.upload_age == s3.now - EXPIRY
    assert ("the next run" in found.next_step.message) is (seconds == 0 and foreign is None)
    reconciler = AssetReconciler(s3, s3, POLICY, lambda: b"next")
    outcome = (await reconciler.reconcile(ASSET_ID, s3.now, uploaded_at=EXPIRY)).outcome
    assert outcome is (Outcome.SWEPT if seconds == 0 and foreign is None else Outcome.ORPHANED)


def test_an_overdue_asset_has_the_time_when_it_became_due() -> None:
    """An unpinned asset is overdue when grace ends, a pinned one from its mark."""
    upload = ObjectInfo(UPLOADED, 8, EXPIRY, {}, {})
    marked_at = EXPIRY - timedelta(minutes=5)
    unpinned = explain(
        Placeholder("e", AssetState(Status.MARKED, EXPIRY), marked_at), upload, EXPIRY + timedelta(hours=1), POLICY
    )
    pinned = explain(Placeholder("e", AssetState(Status.MARKED, EXPIRY, UPLOADED), marked_at), upload, EXPIRY, POLICY)
    assert (unpinned.phase, unpinned.at) == (AssetPhase.OVERDUE, EXPIRY + timedelta(seconds=60))
    assert (pinned.phase, pinned.at) == (AssetPhase.OVERDUE, marked_at)
