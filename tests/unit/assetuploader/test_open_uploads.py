"""Open uploads are aborted until S3 lists none."""

from dataclasses import dataclass

import pytest

from assetuploader.errors import StoreUnavailableError
from assetuploader.open_uploads import MAX_ABORT_ROUNDS, abort_uploads, list_pages
from assetuploader.store import ObjectAttributes
from tests.support.in_memory_s3 import InMemoryS3

KEY = "uploaded/a"


@dataclass(slots=True)
class SlowPartS3(InMemoryS3):
    """An S3 on which a part is being sent, which survives some aborts."""

    survives: int = 0

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Abort, and let the part arrive afterwards."""
        upload = self.uploads[upload_id]
        await InMemoryS3.abort_multipart_upload(self, key, upload_id)
        if self.survives:
            self.survives -= 1
            self.store_part(upload, upload_id, 1, b"late")


async def test_without_uploads_nothing_is_aborted() -> None:
    """One request shows that there are none."""
    s3 = InMemoryS3()
    assert await abort_uploads(s3, KEY) == 0
    assert s3.calls == [("list_multipart_uploads", KEY)]


async def test_all_uploads_of_exactly_this_key_are_aborted() -> None:
    """S3 takes a prefix, and other keys may begin with this one."""
    s3 = InMemoryS3(page_size=2)
    for _ in range(5):
        await s3.create_multipart_upload(KEY, ObjectAttributes())
    other = await s3.create_multipart_upload(KEY + "b", ObjectAttributes())
    assert await abort_uploads(s3, bytes(KEY, "ascii").decode()) == 5  # an equal key, not the same object
    assert list(s3.uploads) == [other]
    assert s3.writes == [("abort_multipart_upload", KEY)] * 5


@pytest.mark.parametrize("survives", range(MAX_ABORT_ROUNDS))
async def test_an_upload_that_survives_is_aborted_again(survives: int) -> None:
    """A part that is being sent may keep it. It counts once."""
    s3 = SlowPartS3(survives=survives)
    await s3.create_multipart_upload(KEY, ObjectAttributes())
    if survives == MAX_ABORT_ROUNDS - 1:  # nobody has seen that the last abort succeeded
        with pytest.raises(StoreUnavailableError):
            await abort_uploads(s3, KEY)
    else:
        assert await abort_uploads(s3, KEY) == 1
    assert s3.uploads == {}


async def test_an_upload_that_always_survives_is_left_to_the_next_run() -> None:
    """The asset counts as failed, so that the next run comes back to it."""
    s3 = SlowPartS3(survives=99)
    await s3.create_multipart_upload(KEY, ObjectAttributes())
    with pytest.raises(StoreUnavailableError, match="still being sent"):
        await abort_uploads(s3, KEY)
    assert len(s3.writes) == 2 * MAX_ABORT_ROUNDS


@pytest.mark.parametrize(("uploads", "pages"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
async def test_all_pages_are_listed_once(uploads: int, pages: int) -> None:
    """Each page begins where the one before ended."""
    s3 = InMemoryS3(page_size=2)
    created = [await s3.create_multipart_upload(f"uploaded/{number}", ObjectAttributes()) for number in range(uploads)]
    found = [page async for page in list_pages(s3, "uploaded/")]
    assert [upload.upload_id for page in found for upload in page.uploads] == created
    assert len(found) == pages


async def test_an_outage_aborts_nothing() -> None:
    """The error is the caller's."""
    s3 = InMemoryS3(fails_with=StoreUnavailableError("away"))
    with pytest.raises(StoreUnavailableError, match="away"):
        await abort_uploads(s3, KEY)
