"""`ObjectStore` and `ShardReportStore` for one bucket: the headers of each operation, and how to parse its response."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from assetuploader.conformance import CHECK_KEY
from assetuploader.errors import ObjectUnreadableError, StoreUnavailableError
from assetuploader.s3.client import BATCH_TIMEOUT, COPY_TIMEOUT, MAX_RESPONSE_BYTES, S3Client, S3Operation
from assetuploader.s3.clock import parse_http_date
from assetuploader.s3.error_mapping import On404
from assetuploader.s3.http import Response
from assetuploader.s3.sigv4 import encode_path
from assetuploader.s3.xml import (
    MalformedResponseError,
    build_delete_request,
    parse_copied_etag,
    parse_deletions,
    parse_list_page,
)
from assetuploader.store import SYSTEM_METADATA_HEADERS, ListPage, ObjectAttributes, ObjectInfo

_META: Final = "x-amz-meta-"
_META_BYTES: Final = _META.encode()
_META_LENGTH: Final = len(_META)
_SYSTEM_METADATA: Final = tuple((name.encode(), name) for name in SYSTEM_METADATA_HEADERS)
_SHA256_LENGTH: Final = 32
_MAX_COPIED_HEADER_BYTES: Final = 4 * 1024
"""How long the header values that a copy repeats may be, beside few metadata. S3 accepts 8 kB of headers in all."""
_FEW_METADATA_BYTES: Final = 512
_BYTES_PER_METADATA_HEADER: Final = 2 * _META_LENGTH + 6
"""Its prefix and its punctuation, and once more in the list of signed headers."""
MAX_LIST_BYTES: Final = 8 * 1024 * 1024
"""1,000 keys of 1,024 bytes, each byte three characters when encoded, and the XML around them: 4 MB."""
_LIST_PARAMETERS: Final = (("encoding-type", "url"), ("list-type", "2"))


@dataclass(frozen=True, slots=True)
class S3ObjectStore:
    """The bucket, through an `S3Client`."""

    bucket: str
    client: S3Client

    async def head_object(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head_object`.

        The response to HEAD has no error code. A 404 may also come from a bucket that was deleted, or from an ingress
        that has no route, and a 400 from an expired session token. So they count only while the conformance object,
        which every program writes at start, can be read.
        """
        try:
            info = await self._head_object(key)
        except ObjectUnreadableError:
            await self._require_check_object()
            raise
        if info is None and key != CHECK_KEY:
            await self._require_check_object()
        return info

    async def _require_check_object(self) -> None:
        try:
            info = await self._head_object(CHECK_KEY)
        except ObjectUnreadableError as error:
            raise StoreUnavailableError(
                f"S3 responds 400 for the conformance object {CHECK_KEY}, too: check AWS_SESSION_TOKEN and AWS_REGION"
            ) from error
        if info is None:
            raise StoreUnavailableError(
                f"S3 responds 404 for the conformance object {CHECK_KEY}, too: the bucket was deleted or emptied, no "
                "program has verified it yet, or the endpoint is not an S3 API"
            )

    async def _head_object(self, key: str) -> ObjectInfo | None:
        operation = S3Operation(
            "HeadObject", "HEAD", key, On404.RETURN_NONE, headers=[("x-amz-checksum-mode", "ENABLED")]
        )
        return await self.client.execute(operation, _parse_head)

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """See `ObjectStore.put_object`, and `ShardReportStore.put_object` for a write without a condition."""
        headers = attribute_headers(attributes)
        on_404 = On404.UNEXPECTED
        if if_none_match is not None:
            headers.append(("if-none-match", if_none_match))
        if if_match is not None:
            headers.append(("if-match", if_match))
            on_404 = On404.PRECONDITION_FAILED
        return await self.client.execute(
            S3Operation("PutObject", "PUT", key, on_404, headers=headers, body=body), _parse_etag
        )

    async def copy_object(  # noqa: PLR0913 -- see `ObjectStore.copy_object`
        self,
        source: str,
        target: str,
        attributes: ObjectAttributes,
        *,
        source_if_match: str,
        if_match: str,
        max_seconds: float | None = None,
    ) -> str:
        """See `ObjectStore.copy_object`."""
        headers = [
            ("if-match", if_match),
            ("x-amz-copy-source", encode_path(f"{self.bucket}/{source}")),
            ("x-amz-copy-source-if-match", source_if_match),
            ("x-amz-metadata-directive", "REPLACE"),
            ("x-amz-tagging-directive", "REPLACE"),
            *attribute_headers(attributes),
        ]
        operation = S3Operation(
            "CopyObject", "PUT", target, On404.PRECONDITION_FAILED, headers=headers, timeouts=COPY_TIMEOUT
        )
        try:
            async with asyncio.timeout(max_seconds):
                return await self.client.execute(operation, lambda response: parse_copied_etag(response.body))
        except TimeoutError:
            raise StoreUnavailableError(
                f"the copy of {source} took longer than {max_seconds:g} s: it may still take effect"
            ) from None

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """See `ObjectStore.delete_object`."""
        operation = S3Operation(
            "DeleteObject", "DELETE", key, On404.PRECONDITION_FAILED, headers=[("if-match", if_match)]
        )
        await self.client.execute(operation, lambda _: None)

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """See `ObjectStore.list_objects`.

        A page may be truncated and yet have no keys. Then the listing goes on with S3's token.
        """
        query = [*_LIST_PARAMETERS, ("prefix", prefix)]
        if start_after:
            query.append(("start-after", start_after))
        page, token = await self._list_page(query)
        while page.is_truncated and not page.objects:
            last_token = token
            page, token = await self._list_page([("continuation-token", token), *query])
            if token == last_token:
                raise StoreUnavailableError("S3's listing does not advance: check that the endpoint is an S3 API")
        return page

    async def _list_page(self, query: Sequence[tuple[str, str]]) -> tuple[ListPage, str]:
        operation = S3Operation(
            "ListObjectsV2", "GET", "", On404.UNEXPECTED, query=query, max_response_bytes=MAX_LIST_BYTES
        )
        return await self.client.execute(operation, self._parse_page)

    def _parse_page(self, response: Response) -> tuple[ListPage, str]:
        return parse_list_page(response.body, self.client.server_time(response))

    async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `ObjectStore.delete_objects`."""
        if not keys:
            return {}
        body = build_delete_request(keys)
        # DeleteObjects requires a checksum, and every store supports Content-MD5.
        checksum = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        headers = [("content-md5", checksum), ("content-type", "application/xml")]
        operation = S3Operation(
            "DeleteObjects",
            "POST",
            "",
            On404.UNEXPECTED,
            query=[("delete", "")],
            headers=headers,
            body=body,
            max_response_bytes=MAX_LIST_BYTES,
            timeouts=BATCH_TIMEOUT,
        )
        return await self.client.execute(operation, lambda response: parse_deletions(response.body))

    async def get_object(self, key: str, max_bytes: int, *, if_match: str | None = None) -> bytes | None:
        """See `ObjectStore.get_object` and `ShardReportStore.get_object`."""
        # One byte more than allowed, so that a longer object is noticed.
        headers = [("range", f"bytes=0-{max_bytes}")]
        if if_match is not None:
            headers.append(("if-match", if_match))
        operation = S3Operation(
            "GetObject",
            "GET",
            key,
            On404.RETURN_NONE,
            headers=headers,
            # An error document may be longer than the object.
            max_response_bytes=max(max_bytes + 1, MAX_RESPONSE_BYTES),
        )

        def parse(response: Response) -> bytes | None:
            if response.status == HTTPStatus.NOT_FOUND:
                return None
            if len(response.body) > max_bytes:
                raise ObjectUnreadableError(f"{key} is longer than {max_bytes} bytes")
            return response.body

        return await self.client.execute(operation, parse)


def copyable_headers(headers: Mapping[str, str], metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return those of `SYSTEM_METADATA_HEADERS` of an upload that a copy can repeat unchanged.

    The client chose their values, and S3 returns any bytes. Long values and those not in printable ASCII are dropped:
    stores sign them differently, and an asset without such a header is better than one that can never be finalized. The
    first ones are kept, as far as metadata leave room.
    """
    kept = []
    metadata_bytes = sum(2 * len(name) + len(value) + _BYTES_PER_METADATA_HEADER for name, value in metadata.items())
    remaining_bytes = _MAX_COPIED_HEADER_BYTES - max(0, metadata_bytes - _FEW_METADATA_BYTES)
    for name, value in headers.items():
        if value and value.isascii() and value.isprintable() and len(value) <= remaining_bytes:
            remaining_bytes -= len(value)
            kept.append((name, value))
    return kept


def attribute_headers(attributes: ObjectAttributes) -> list[tuple[str, str]]:
    """Return the headers with which a write stores these attributes."""
    return [
        *copyable_headers(attributes.headers, attributes.metadata),
        *[(_META + name, value) for name, value in attributes.metadata.items()],
        *([("x-amz-tagging", urlencode(attributes.tags))] if attributes.tags else []),
    ]


def _parse_etag(response: Response) -> str:
    etag = response.header("etag")
    if etag is None or not (bare := etag.strip('"')):
        raise MalformedResponseError("the response has no ETag")
    return bare


def _parse_head(response: Response) -> ObjectInfo | None:
    if response.status == HTTPStatus.NOT_FOUND:
        return None
    headers = response.headers
    return ObjectInfo(
        _parse_etag(response),
        int(headers[b"content-length"]),
        parse_http_date(headers[b"last-modified"].decode("latin-1")),
        {
            name[_META_LENGTH:].decode("latin-1"): value.decode("latin-1")
            for name, value in headers.items()
            if name.startswith(_META_BYTES)
        },
        {name: headers[raw].decode("latin-1") for raw, name in _SYSTEM_METADATA if raw in headers},
        _parse_sha256(response.header("x-amz-checksum-sha256")),
        has_opaque_etag=(response.header("x-amz-server-side-encryption") or "").startswith("aws:kms"),
    )


def _parse_sha256(checksum: str | None) -> str | None:
    """Return the checksum of the whole object in hexadecimal, or None for anything else that stores send.

    That of an upload in parts is a checksum of checksums, and ends in their number.
    """
    try:
        digest = b64decode(checksum or "", validate=True)
    except ValueError:
        return None
    return digest.hex() if len(digest) == _SHA256_LENGTH else None
