"""Multipart uploads that are neither completed nor aborted. S3 charges for their parts, and lists them separately."""

from collections.abc import AsyncIterator
from typing import Final

from assetuploader.errors import StoreUnavailableError
from assetuploader.store import MultipartStore, OpenUploadPage

MAX_ABORT_ROUNDS: Final = 3
"""How often the uploads of an asset are listed and aborted in one run."""


async def list_pages(store: MultipartStore, prefix: str) -> AsyncIterator[OpenUploadPage]:
    """Yield all pages of the open uploads whose keys have this prefix.

    Raises:
        StoreError: A request to S3 failed.
    """
    page = await store.list_multipart_uploads(prefix)
    yield page
    while page.next_marker is not None:
        page = await store.list_multipart_uploads(prefix, page.next_marker)
        yield page


async def abort_uploads(store: MultipartStore, key: str) -> int:
    """Abort all open uploads of this key until there are none, and return how many were aborted.

    A part that is being sent may survive an abort, so "it might be necessary to abort a given multipart upload multiple
    times" (AbortMultipartUpload in the Amazon S3 API reference).

    Raises:
        StoreError: A request to S3 failed, or an upload is still there.
    """
    aborted: set[str] = set()
    for _ in range(MAX_ABORT_ROUNDS):
        found = [upload async for upload in _list_uploads(store, key)]
        if not found:
            return len(aborted)
        for upload_id in found:
            await store.abort_multipart_upload(key, upload_id)
            aborted.add(upload_id)
    raise StoreUnavailableError("parts of an aborted upload are still being sent: the next run aborts it again")


async def _list_uploads(store: MultipartStore, key: str) -> AsyncIterator[str]:
    async for page in list_pages(store, key):
        for upload in page.uploads:
            if upload.key == key:
                yield upload.upload_id
