"""`MultipartStore` for one bucket: the headers of each operation, and how to parse its response."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from assetuploader.errors import ConflictError, MultipartUploadLostError, StoreUnavailableError
from assetuploader.s3.client import COPY_TIMEOUT, S3Client, S3Operation
from assetuploader.s3.error_mapping import On404
from assetuploader.s3.object_store import MAX_LIST_BYTES, attribute_headers
from assetuploader.s3.xml import (
    ListedPart,
    build_completion,
    parse_completed_etag,
    parse_open_upload_page,
    parse_part_page,
    parse_upload_id,
)
from assetuploader.store import CompletedPart, ObjectAttributes, OpenUploadPage, UploadedPart, UploadMarker


@dataclass(frozen=True, slots=True)
class S3MultipartStore:
    """The bucket, through an `S3Client`."""

    client: S3Client

    async def create_multipart_upload(self, key: str, attributes: ObjectAttributes) -> str:
        """See `MultipartStore.create_multipart_upload`."""
        operation = S3Operation(
            "CreateMultipartUpload",
            "POST",
            key,
            On404.UNEXPECTED,
            query=[("uploads", "")],
            headers=attribute_headers(attributes),
        )
        return await self.client.execute(operation, lambda response: parse_upload_id(response.body))

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """See `MultipartStore.complete_multipart_upload`."""
        headers = [("if-match", if_match), ("content-type", "application/xml")]
        if size is not None:
            headers.append(("x-amz-mp-object-size", str(size)))
        operation = S3Operation(
            "CompleteMultipartUpload",
            "POST",
            key,
            On404.UPLOAD_LOST,
            query=[("uploadId", upload_id)],
            headers=headers,
            body=build_completion(parts),
            timeouts=COPY_TIMEOUT,
        )
        try:
            return await self.client.execute(operation, lambda response: parse_completed_etag(response.body))
        except ConflictError as error:  # "re-initiate the multipart upload": CompleteMultipartUpload in the S3 API
            raise MultipartUploadLostError("a deletion happened at the same time") from error

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """See `MultipartStore.abort_multipart_upload`."""
        operation = S3Operation(
            "AbortMultipartUpload", "DELETE", key, On404.UPLOAD_LOST, query=[("uploadId", upload_id)]
        )
        with suppress(MultipartUploadLostError):
            await self.client.execute(operation, lambda _: None)

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        """See `MultipartStore.list_parts`."""
        listed: list[ListedPart] = []
        page, next_number = await self._list_parts(key, upload_id, 0)
        listed += page
        while next_number is not None:
            last_number = next_number
            page, next_number = await self._list_parts(key, upload_id, last_number)
            listed += page
            if next_number is not None and next_number <= last_number:
                raise StoreUnavailableError("S3's list of parts does not advance: check that the endpoint is an S3 API")
        return _select_latest(listed)

    async def _list_parts(self, key: str, upload_id: str, after: int) -> tuple[list[ListedPart], int | None]:
        operation = S3Operation(
            "ListParts",
            "GET",
            key,
            On404.UPLOAD_LOST,
            query=[("part-number-marker", str(after)), ("uploadId", upload_id)],
            max_response_bytes=MAX_LIST_BYTES,
        )
        return await self.client.execute(operation, lambda response: parse_part_page(response.body))

    async def list_multipart_uploads(self, prefix: str, marker: UploadMarker | None = None) -> OpenUploadPage:
        """See `MultipartStore.list_multipart_uploads`."""
        query = [("encoding-type", "url"), ("prefix", prefix), ("uploads", "")]
        if marker is not None:
            # SeaweedFS names no key, and takes one as a filter. Amazon names both, and needs both.
            query += [("key-marker", marker.key)] if marker.key else []
            query += [("upload-id-marker", marker.upload_id)] if marker.upload_id else []
        operation = S3Operation(
            "ListMultipartUploads", "GET", "", On404.UNEXPECTED, query=query, max_response_bytes=MAX_LIST_BYTES
        )
        page = await self.client.execute(
            operation, lambda response: parse_open_upload_page(response.body, self.client.server_time(response))
        )
        if page.next_marker is not None and page.next_marker == marker:
            raise StoreUnavailableError("S3's list of uploads does not advance: check that the endpoint is an S3 API")
        return page


def _select_latest(listed: Sequence[ListedPart]) -> list[UploadedPart]:
    """Return each part once, as it was sent last.

    SeaweedFS lists a part once for each time that it was sent, with times in whole seconds. A part whose last version
    cannot be told is left out: the client then sends it again.
    """
    by_number: dict[int, list[ListedPart]] = {}
    for found in listed:
        by_number.setdefault(found.part.number, []).append(found)
    latest: list[UploadedPart] = []
    for _, versions in sorted(by_number.items()):
        sent_at = max(found.last_modified for found in versions)
        last = {found.part for found in versions if found.last_modified == sent_at}
        if len(last) == 1:
            latest += last
    return latest
