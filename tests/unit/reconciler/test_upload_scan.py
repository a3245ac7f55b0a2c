"""The hourly scan of open multipart uploads: it aborts those that no asset waits for, and no others."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from assetuploader.errors import StoreAccessDeniedError, StoreUnsupportedError
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.multipart_check import CHECK_MULTIPART_KEY
from assetuploader.multipart_service import MultipartService
from assetuploader.shard_reports import OpenUploads
from assetuploader.state_machine import NOTHING_DECLARED
from assetuploader.store import ObjectAttributes, OpenUploadPage, UploadMarker
from reconciler.shards import Shard
from reconciler.upload_scan import MIN_AGE, UploadScan, is_upload_scan_due
from tests.support.builders import POLICY, asset_id, build_reconciler
from tests.support.in_memory_s3 import START, InMemoryS3

ENDED = timedelta(seconds=POLICY.multipart_ttl_seconds + POLICY.expire_after_seconds)


async def create(s3: InMemoryS3, number: int) -> tuple[str, str]:
    """Create an asset that waits for parts; return its id and its upload id."""
    name = asset_id(number)
    service = MultipartService(s3, s3, s3, POLICY, lambda: UUID(name), lambda: b"nonce %d" % number)
    _, upload_id = await service.create(NOTHING_DECLARED, s3.now)
    return name, upload_id


async def scan(
    s3: InMemoryS3, shard: Shard | None = None, *, dry_run: bool = False, is_stopped: bool = False
) -> OpenUploads | None:
    """Scan the open uploads."""
    return await UploadScan(build_reconciler(s3), shard or Shard(), lambda: is_stopped, dry_run).run()


async def test_an_upload_of_a_pending_asset_stays() -> None:
    """However old it is: its client may still be sending parts."""
    s3 = InMemoryS3()
    _, upload_id = await create(s3, 1)
    for now in (START, START + MIN_AGE, START + ENDED - timedelta(seconds=1)):
        s3.now = now
        assert await scan(s3) == OpenUploads(pending=1, ended=0)
    assert set(s3.uploads) == {upload_id}


@pytest.mark.parametrize("is_marked", [True, False])
async def test_an_upload_of_an_asset_that_is_over_is_aborted(*, is_marked: bool) -> None:
    """Also when the object in `temp/` is lost by which other scans find it. The asset expires first."""
    s3 = InMemoryS3()
    name, _ = await create(s3, 1)
    if not is_marked:
        del s3.objects[temp_key(name)]
    s3.now += ENDED
    with capture_logs() as logs:
        assert await scan(s3) == OpenUploads(pending=0, ended=0)
    assert (s3.uploads, s3.objects[uploaded_key(name)].metadata["status"]) == ({}, "expired")
    assert [operation for operation, _ in s3.writes[-2:]] == ["put_object", "abort_multipart_upload"]
    assert [line["aborted"] for line in logs if line["event"] == "open_uploads_scanned"] == [1]


async def test_an_upload_without_an_asset_is_aborted() -> None:
    """Somebody deleted the placeholder, or the upload was created by a request that arrived late."""
    s3 = InMemoryS3()
    name, _ = await create(s3, 1)
    s3.objects.clear()
    assert await scan(s3) == OpenUploads(pending=1, ended=0)  # it may be a moment old
    s3.now += MIN_AGE
    assert await scan(s3) == OpenUploads(pending=0, ended=0)
    assert (s3.uploads, name in str(s3.objects)) == ({}, False)


async def test_an_upload_beside_an_object_of_a_newer_version_stays() -> None:
    """It may be the placeholder of an asset whose state this version cannot read."""
    s3 = InMemoryS3()
    name, upload_id = await create(s3, 1)
    key = uploaded_key(name)
    s3.objects[key] = replace(s3.objects[key], metadata={**s3.objects[key].metadata, "schema": "99"})
    s3.now += ENDED
    assert await scan(s3) == OpenUploads(pending=1, ended=0)
    assert set(s3.uploads) == {upload_id}


async def test_what_is_not_an_assets_is_left_alone_but_for_the_check() -> None:
    """A program that was killed during its check leaves an upload. Others are somebody else's."""
    s3 = InMemoryS3()
    await s3.create_multipart_upload(CHECK_MULTIPART_KEY, ObjectAttributes())
    other = await s3.create_multipart_upload("uploaded/other", ObjectAttributes())
    await scan(s3)
    assert len(s3.uploads) == 2
    s3.now += MIN_AGE
    await scan(s3, dry_run=True)
    assert len(s3.uploads) == 2
    assert await scan(s3) == OpenUploads(pending=0, ended=0)
    assert set(s3.uploads) == {other}


async def test_a_dry_run_only_counts() -> None:
    """What a run would abort is counted as not aborted."""
    s3 = InMemoryS3()
    await create(s3, 1)
    await create(s3, 2)
    s3.now += ENDED
    written = len(s3.writes)
    assert await scan(s3, dry_run=True) == OpenUploads(pending=0, ended=2)
    assert (len(s3.writes), len(s3.uploads)) == (written, 2)


async def test_a_shard_counts_its_own_uploads_on_all_pages() -> None:
    """The shards together count each upload once."""
    s3 = InMemoryS3(page_size=3)
    for number in range(1, 21):
        await create(s3, number)
    found = [await scan(s3, Shard(index, 4)) for index in range(4)]
    assert all(uploads is not None and uploads.pending for uploads in found)
    assert sum(uploads.pending for uploads in found if uploads is not None) == 20


@dataclass(slots=True)
class FailingS3(InMemoryS3):
    """An S3 that does not list or does not abort uploads."""

    listing_error: Exception | None = None
    abort_error: Exception | None = None

    async def list_multipart_uploads(self, prefix: str, marker: UploadMarker | None = None) -> OpenUploadPage:
        """Fail, or list."""
        if self.listing_error is not None:
            raise self.listing_error
        return await InMemoryS3.list_multipart_uploads(self, prefix, marker)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Fail, or abort."""
        if self.abort_error is not None:
            raise self.abort_error
        await InMemoryS3.abort_multipart_upload(self, key, upload_id)


@pytest.mark.parametrize("error", [StoreAccessDeniedError("denied"), StoreUnsupportedError("501")])
async def test_a_store_that_lists_no_uploads_fails_no_run(error: Exception) -> None:
    """Other assets do not depend on it; the log says why nothing was counted."""
    with capture_logs() as logs:
        assert await scan(FailingS3(listing_error=error)) is None
    assert [(line["event"], line["reason"]) for line in logs] == [("open_uploads_scan_failed", str(error))]


@pytest.mark.parametrize("has_placeholder", [True, False])
async def test_what_cannot_be_aborted_is_counted(*, has_placeholder: bool) -> None:
    """The alert is about these: S3 charges for them."""
    s3 = FailingS3(abort_error=StoreAccessDeniedError("denied"))
    await create(s3, 1)
    if not has_placeholder:
        s3.objects.clear()
    s3.now += ENDED
    assert await scan(s3) == OpenUploads(pending=0, ended=1)
    assert len(s3.uploads) == 1


async def test_a_stopped_scan_counts_nothing() -> None:
    """A part of the uploads is not a number of open uploads."""
    s3 = InMemoryS3()
    await create(s3, 1)
    assert await scan(s3, is_stopped=True) is None


def test_a_scan_is_due_once_an_hour() -> None:
    """The first full scan of each hour, and one that knows of none before. Nothing is stored for it."""
    assert is_upload_scan_due(None, START)
    assert not is_upload_scan_due(START, START + timedelta(minutes=59))
    assert is_upload_scan_due(START + timedelta(minutes=59), START + timedelta(minutes=60))
    assert is_upload_scan_due(START, START + timedelta(days=1))
