"""Objects that S3 does not return, such as those that a client encrypted with its own key (SSE-C)."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.errors import AssetNotFoundError, ObjectUnreadableError, UploadMismatchError
from assetuploader.inspection import AssetPhase, inspect_asset
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.outcome import Outcome
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import ObjectInfo
from tests.support.in_memory_s3 import START, InMemoryS3, etag_of

POLICY = LifecyclePolicy()
ID = "00000000-0000-4000-8000-000000000000"
AFTER_GRACE = START + timedelta(seconds=POLICY.upload_url_ttl_seconds + POLICY.grace_seconds)
AFTER_EXPIRY = START + timedelta(seconds=POLICY.upload_url_ttl_seconds + POLICY.expire_after_seconds)


@dataclass(slots=True)
class GuardedS3(InMemoryS3):
    """An S3 that rejects HEAD of some keys with 400."""

    unreadable: set[str] = field(default_factory=set)

    async def head_object(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head_object`."""
        if key in self.unreadable:
            raise ObjectUnreadableError(key)
        return await InMemoryS3.head_object(self, key)


@pytest.fixture
async def s3() -> GuardedS3:
    """Return an S3 with one asset, whose upload cannot be read."""
    s3 = GuardedS3(unreadable={temp_key(ID)})
    created = await _service(s3).create()
    s3.put(created.upload.url, b"bytes")
    return s3


def _service(s3: GuardedS3) -> AssetService:
    return AssetService(s3, s3, POLICY, lambda: UUID(ID), lambda: b"nonce %d" % len(s3.writes))


def _reconciler(s3: GuardedS3) -> AssetReconciler:
    return AssetReconciler(s3, s3, POLICY, lambda: b"nonce %d" % len(s3.writes))


async def test_an_unreadable_upload_does_not_match_a_pin(s3: GuardedS3) -> None:
    """The client is told to upload again: this is not an outage of S3."""
    with pytest.raises(UploadMismatchError):
        await _service(s3).mark(ID, etag_of(b"bytes"), s3.now)


async def test_an_unreadable_upload_is_never_finalized_and_expires(s3: GuardedS3) -> None:
    """A marked asset waits for another upload until it expires, and does not fail the run."""
    service = _service(s3)
    await service.mark(ID, None, s3.now)
    assert (await _reconciler(s3).reconcile(ID, AFTER_GRACE)).outcome is Outcome.UPLOAD_UNREADABLE
    inspected = await inspect_asset(s3, ID, POLICY)
    assert (inspected.next_step.phase, inspected.upload) == (AssetPhase.WAITING, None)
    assert (await _reconciler(s3).reconcile(ID, AFTER_EXPIRY)).outcome is Outcome.EXPIRED
    assert s3.objects[uploaded_key(ID)].metadata["status"] == "expired"


async def test_an_upload_that_becomes_readable_is_finalized(s3: GuardedS3) -> None:
    """Once the upload can be read, a run finalizes it."""
    service = _service(s3)
    await service.mark(ID, None, s3.now)
    s3.unreadable.clear()
    assert (await _reconciler(s3).reconcile(ID, AFTER_GRACE)).outcome is Outcome.FINALIZED


async def test_an_unreadable_placeholder_is_not_an_asset(s3: GuardedS3) -> None:
    """Somebody else's object at the key of an asset is 404 for clients, and an orphan for the reconciler."""
    s3.unreadable = {uploaded_key(ID)}
    service = _service(s3)
    with pytest.raises(AssetNotFoundError):
        await service.resolve(ID, 60, START)
    long_after = AFTER_EXPIRY + timedelta(days=365)
    assert (await _reconciler(s3).reconcile(ID, long_after, uploaded_at=AFTER_EXPIRY)).outcome is Outcome.ORPHANED
