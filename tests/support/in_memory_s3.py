"""An S3 bucket in memory: the executable reference of what assets rely on, and the fake object store of the tests.

It is `ObjectStore`, `MultipartStore` and `Presigner` in one, and acts for clients too: `put`, `put_part` and `get`
follow presigned URLs. No method of `InMemoryS3` waits, so that asyncio and a scheduler that steps by hand can both use
it. `tests.faults.reference` compares it with a real S3 server.

Multipart uploads are the worst of what S3 and its kin do: as on Amazon, an object is as old as the initiation of its
upload, and loses to whatever happened to its key since then, although the response is a success. As on versitygw, a
completion of an upload that does not exist is a success, too, and writes nothing. And a part that is being sent while
its upload is aborted keeps the upload. `completes_plainly` turns the first two off, because they hide other mistakes: a
completion without a condition cannot harm a newer object.
"""

import asyncio
import hashlib
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from assetuploader.errors import (
    MultipartUploadLostError,
    ObjectUnreadableError,
    PartsRejectedError,
    PreconditionFailedError,
)
from assetuploader.s3.object_store import copyable_headers
from assetuploader.store import (
    NO_HEADERS,
    SAVE_AS_FILE,
    SYSTEM_METADATA_HEADERS,
    CompletedPart,
    ListedObject,
    ListPage,
    ObjectAttributes,
    ObjectInfo,
    OpenUpload,
    OpenUploadPage,
    PartTarget,
    PresignedUrl,
    UploadedPart,
    UploadMarker,
)

START: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAGE_SIZE: Final = 1_000
CHECKSUM_HEADER: Final = "x-amz-checksum-sha256"
_SPELLING: Final = "%Y%m%dT%H%M%SZ"


_RESPONSE: Final = "response-"
Headers = tuple[tuple[str, str], ...]


class RefusedError(Exception):
    """S3 rejects a client's request."""

    def __init__(self, status: HTTPStatus, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of an object."""

    body: bytes
    etag: str
    last_modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """System headers, keys in lower case."""
    sha256: str | None = None
    """In hexadecimal, if the upload had this checksum."""
    order: int = 0
    """When it was written, or when its multipart upload was initiated: a number that grows with each write."""


@dataclass(frozen=True, slots=True)
class Multipart:
    """One multipart upload that is neither completed nor aborted."""

    key: str
    initiated_at: datetime
    order: int
    attributes: ObjectAttributes
    parts: Mapping[int, bytes] = field(default_factory=dict)


class _ReadUrl(NamedTuple):
    """What a presigned URL contains."""

    key: str
    signed_at: datetime
    seconds: int
    signature: str
    headers: Mapping[str, str]
    """Those that the response to GET has."""
    signed_headers: tuple[str, ...]
    """The names of those that the request must have."""
    part: tuple[str, int] | None
    """The upload id and the number of a part."""


def etag_of(body: bytes) -> str:
    """Return the ETag that S3 gives to these bytes."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def etag_of_parts(etags: Sequence[str]) -> str:
    """Return the ETag that S3 gives to an object of parts with these ETags."""
    digests = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"


@dataclass(slots=True)
class InMemoryS3:
    """The bucket. Tests read and set its objects and its clock as they please."""

    now: datetime = START
    """S3's clock: the `Date` of responses, the `Last-Modified` of writes, and the time that URLs expire by."""
    objects: dict[str, Stored] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    """Every write that took effect: the operation and its key."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Every call of the object store, whatever its outcome: the operation and its key or prefix."""
    fails_with: Exception | None = None
    """An error that every call of the object store raises. Nothing takes effect then."""
    page_size: int = PAGE_SIZE
    signer_is_ahead: timedelta = timedelta()
    """How far the clock of the machine that signs is ahead of S3's."""
    uploads: dict[str, Multipart] = field(default_factory=dict)
    """The open multipart uploads, by their ids."""
    deleted: dict[str, int] = field(default_factory=dict)
    """The order of the last deletion of each key."""
    order: int = 0
    """How many writes and initiations there were."""
    completes_plainly: bool = False
    """Whether a completion is what most stores make of it: the object is as old as the completion, and an upload that
    does not exist is an error, whatever the condition."""
    repeats_completions: bool = False
    """Whether a completion of an upload that became the object at its key is a success with the ETag of that object,
    whatever its condition and its parts. SeaweedFS does so when two completions arrive at once."""
    completed: dict[str, str] = field(default_factory=dict)
    """The ETags of the objects that uploads became, by the upload id."""

    # --- the object store ---------------------------------------------------------------------------------------------

    async def head_object(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head_object`."""
        self._enter("head_object", key)
        found = self.objects.get(key)
        if found is None:
            return None
        headers = {name: value for name, value in found.headers.items() if name in SYSTEM_METADATA_HEADERS}
        return ObjectInfo(found.etag, len(found.body), found.last_modified, found.metadata, headers, found.sha256)

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """See `ObjectStore.put_object`."""
        self._enter("put_object", key)
        if (if_match is None) == (if_none_match is None):
            raise AssertionError(f"{key} is written without exactly one condition")
        self._require(key, if_match)
        return self.store("put_object", key, body, _as_written(attributes))

    async def copy_object(  # noqa: PLR0913 -- the interface's
        self,
        source: str,
        target: str,
        attributes: ObjectAttributes,
        *,
        source_if_match: str,
        if_match: str,
        max_seconds: float | None = None,  # noqa: ARG002 -- no method waits
    ) -> str:
        """See `ObjectStore.copy_object`."""
        self._enter("copy_object", target)
        return self.finish_copy(self.read_source(source, source_if_match), target, if_match, attributes)

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """See `ObjectStore.delete_object`."""
        self._enter("delete_object", key)
        self._require(key, if_match)
        self.writes.append(("delete_object", key))
        self._delete(key)

    async def get_object(self, key: str, max_bytes: int, *, if_match: str | None = None) -> bytes | None:
        """See `ObjectStore.get_object`."""
        self._enter("get_object", key)
        found = self.objects.get(key)
        if found is None:
            return None
        if if_match is not None:
            self._require(key, if_match)
        if len(found.body) > max_bytes:
            raise ObjectUnreadableError(f"{key} is longer than {max_bytes} bytes")
        return found.body

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """See `ObjectStore.list_objects`."""
        self._enter("list_objects", prefix)
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        rest = keys[bisect_right(keys, start_after) :]
        found = [ListedObject(key, self.objects[key].last_modified) for key in rest[: self.page_size]]
        return ListPage(found, is_truncated=len(rest) > self.page_size, server_time=self._whole_second())

    async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `ObjectStore.delete_objects`."""
        for key in keys:
            self._enter("delete_objects", key)
        for key in keys:
            self.writes.append(("delete_objects", key))
            self._delete(key)
        return {}

    # --- a copy's two halves, for schedulers that let time pass between them -----------------------------------------

    def read_source(self, source: str, source_etag: str) -> Stored:
        """Return the version that a copy is about to write.

        Raises:
            PreconditionFailedError: The source is another version, or does not exist.
        """
        self._require(source, source_etag)
        return self.objects[source]

    def finish_copy(self, source: Stored, target: str, target_etag: str, attributes: ObjectAttributes) -> str:
        """Write what a copy read, with its checksum, if the target is still the same version; return the new ETag.

        Raises:
            PreconditionFailedError: The target is another version, or does not exist.
        """
        self._require(target, target_etag)
        return self.store("copy_object", target, source.body, _as_written(attributes), source.sha256)

    def store(
        self, operation: str, key: str, body: bytes, attributes: ObjectAttributes, sha256: str | None = None
    ) -> str:
        """Write an object unconditionally; return its ETag."""
        etag = etag_of(body)
        self.writes.append((operation, key))
        self.objects[key] = Stored(
            body,
            etag,
            self._whole_second(),
            dict(attributes.metadata),
            dict(attributes.tags),
            dict(attributes.headers),
            sha256,
            self._next_order(),
        )
        return etag

    # --- multipart uploads --------------------------------------------------------------------------------------------

    async def create_multipart_upload(self, key: str, attributes: ObjectAttributes) -> str:
        """See `MultipartStore.create_multipart_upload`."""
        self._enter("create_multipart_upload", key)
        order = self._next_order()
        upload_id = f"upload-{order}"
        self.uploads[upload_id] = Multipart(key, self._whole_second(), order, _as_written(attributes))
        return upload_id

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """See `MultipartStore.complete_multipart_upload`."""
        self._enter("complete_multipart_upload", key)
        upload = self.uploads.get(upload_id)
        is_lost = upload is None or upload.key != key
        if self.repeats_completions and key in self.objects and self.completed.get(upload_id) == self.objects[key].etag:
            return self.completed[upload_id]
        if is_lost and self.completes_plainly:
            raise MultipartUploadLostError("NoSuchUpload")
        self._require(key, if_match)
        etag = etag_of_parts([part.etag for part in parts])
        if upload is None or is_lost:
            return etag
        numbers = [part.number for part in parts]
        stored = {number: etag_of(body) for number, body in upload.parts.items()}
        if numbers != sorted(set(numbers)) or any(stored.get(part.number) != part.etag for part in parts):
            raise PartsRejectedError("InvalidPart")
        body = b"".join(upload.parts[number] for number in numbers)
        if size not in {None, len(body)}:
            raise PartsRejectedError("InvalidRequest")
        del self.uploads[upload_id]
        if self.completes_plainly:
            upload = replace(upload, initiated_at=self._whole_second(), order=self._next_order())
        if upload.order < max(self.objects[key].order, self.deleted.get(key, 0)):
            return etag
        self.writes.append(("complete_multipart_upload", key))
        self.completed[upload_id] = etag
        attributes = upload.attributes
        self.objects[key] = Stored(
            body,
            etag,
            upload.initiated_at,
            dict(attributes.metadata),
            dict(attributes.tags),
            dict(attributes.headers),
            order=upload.order,
        )
        return etag

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """See `MultipartStore.abort_multipart_upload`."""
        self._enter("abort_multipart_upload", key)
        if self.uploads.pop(upload_id, None) is not None:
            self.writes.append(("abort_multipart_upload", key))

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        """See `MultipartStore.list_parts`."""
        self._enter("list_parts", key)
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise MultipartUploadLostError("NoSuchUpload")
        return [UploadedPart(number, etag_of(body), len(body)) for number, body in sorted(upload.parts.items())]

    async def list_multipart_uploads(self, prefix: str, marker: UploadMarker | None = None) -> OpenUploadPage:
        """See `MultipartStore.list_multipart_uploads`."""
        self._enter("list_multipart_uploads", prefix)
        found = sorted(
            (upload.key, upload_id, upload.initiated_at)
            for upload_id, upload in self.uploads.items()
            if upload.key.startswith(prefix)
            and (marker is None or (upload.key, upload_id) > (marker.key, marker.upload_id))
        )
        page = found[: self.page_size]
        next_marker = UploadMarker(*page[-1][:2]) if len(found) > len(page) else None
        return OpenUploadPage([OpenUpload(*upload) for upload in page], next_marker, self._whole_second())

    def store_part(self, upload: Multipart, upload_id: str, number: int, body: bytes) -> None:
        """Write one part unconditionally, although the upload may have been aborted since the part began."""
        current = self.uploads.get(upload_id, upload)
        self.writes.append(("part", upload.key))
        self.uploads[upload_id] = replace(current, parts={**current.parts, number: body})

    # --- the presigner, and the client that follows its URLs ----------------------------------------------------------

    async def presign_put(self, key: str, expires_in: int, headers: Mapping[str, str] = NO_HEADERS) -> PresignedUrl:
        """See `Presigner.presign_put`."""
        return self._sign("PUT", key, expires_in, signed=tuple(sorted(headers.items())))

    async def presign_part(self, key: str, expires_in: int, part: PartTarget) -> PresignedUrl:
        """See `Presigner.presign_part`."""
        length = ("content-length", str(part.size))
        return self._sign("PUT", key, expires_in, signed=(length,), part=(part.upload_id, part.number))

    async def presign_get(self, key: str, expires_in: int, headers: Mapping[str, str] = SAVE_AS_FILE) -> PresignedUrl:
        """See `Presigner.presign_get`."""
        return self._sign("GET", key, expires_in, tuple(headers.items()))

    def put(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> str:
        """Upload as a client does; return the ETag of the response.

        Raises:
            RefusedError: 403 if the URL does not or no longer allow it, or the headers are not those that were signed,
                412 if the condition failed, and 400 if the checksum is that of other bytes.
        """
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        key = self.allowed("PUT", url, {**sent, "content-length": str(len(body))})
        if sent.get("if-none-match") == "*" and key in self.objects:
            raise RefusedError(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")
        sha256 = None
        if (checksum := sent.get(CHECKSUM_HEADER)) is not None:
            digest = hashlib.sha256(body)
            if checksum != b64encode(digest.digest()).decode():
                raise RefusedError(HTTPStatus.BAD_REQUEST, "BadDigest")
            sha256 = digest.hexdigest()
        kept = {name: value for name, value in sent.items() if name in SYSTEM_METADATA_HEADERS}
        return self.store("put", key, body, ObjectAttributes({}, {}, kept), sha256)

    def put_part(self, url: str, body: bytes) -> str:
        """Upload one part as a client does; return the ETag of the response.

        Raises:
            RefusedError: 403 if the URL does not or no longer allow it, 404 if the upload does not exist.
        """
        key = self.allowed("PUT", url, {"content-length": str(len(body))})
        upload_id, number = _read_url(url).part or ("", 0)
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise RefusedError(HTTPStatus.NOT_FOUND, "NoSuchUpload")
        self.store_part(upload, upload_id, number, body)
        return etag_of(body)

    def get(self, url: str) -> Stored:
        """Download as a client does.

        Raises:
            RefusedError: The URL does not or no longer allow it.
            KeyError: The object does not exist.
        """
        found = self.objects[self.allowed("GET", url)]
        return replace(found, headers={**found.headers, **_read_url(url).headers})

    def allowed(self, method: str, url: str, headers: Mapping[str, str] = NO_HEADERS) -> str:
        """Return the key that the URL allows this method on now, with these headers.

        Raises:
            RefusedError: The URL does not or no longer allow it.
        """
        read = _read_url(url)
        if any(name.startswith("x-amz-") and name not in read.signed_headers for name in headers):
            raise RefusedError(HTTPStatus.FORBIDDEN, "SignatureDoesNotMatch")
        signed = tuple((name, headers.get(name, "")) for name in read.signed_headers)
        if read.signature != _signature(
            method, read.key, read.signed_at, read.seconds, tuple(read.headers.items()), signed, read.part
        ):
            raise RefusedError(HTTPStatus.FORBIDDEN, "SignatureDoesNotMatch")
        if self.now >= read.signed_at + timedelta(seconds=read.seconds):
            raise RefusedError(HTTPStatus.FORBIDDEN, "AccessDenied")
        return read.key

    # ------------------------------------------------------------------------------------------------------------------

    def _sign(  # noqa: PLR0913, PLR0917 -- all that a URL contains
        self,
        method: str,
        key: str,
        seconds: int,
        headers: Headers = (),
        signed: Headers = (),
        part: tuple[str, int] | None = None,
    ) -> PresignedUrl:
        if self.fails_with is not None:
            raise self.fails_with
        signed_at = self._whole_second() + self.signer_is_ahead
        url = _signed_url(method, key, signed_at, seconds, headers, signed, part)
        return PresignedUrl(url, signed_at + timedelta(seconds=seconds))

    def _delete(self, key: str) -> None:
        self.objects.pop(key, None)
        self.deleted[key] = self._next_order()

    def _next_order(self) -> int:
        self.order += 1
        return self.order

    def _whole_second(self) -> datetime:
        return self.now.replace(microsecond=0)

    def _enter(self, operation: str, key: str) -> None:
        self.calls.append((operation, key))
        if self.fails_with is not None:
            raise self.fails_with

    def _require(self, key: str, etag: str | None) -> None:
        found = self.objects.get(key)
        if (found.etag if found else None) != etag:
            raise PreconditionFailedError(f"{key} is another version")


class HangingS3(InMemoryS3):
    """An S3 that accepts requests and never responds."""

    async def head_object(self, key: str) -> ObjectInfo | None:
        """Wait without end."""
        self.calls.append(("head_object", key))
        await asyncio.Event().wait()
        return None


def _as_written(attributes: ObjectAttributes) -> ObjectAttributes:
    """Drop the headers that a copy cannot restate, as `S3ObjectStore` does."""
    return (
        replace(attributes, headers=dict(copyable_headers(attributes.headers, attributes.metadata)))
        if attributes.headers
        else attributes
    )


# The explorer signs and reads the same few URLs millions of times.
@lru_cache(maxsize=256)
def _signed_url(  # noqa: PLR0913, PLR0917 -- all that a URL contains
    method: str,
    key: str,
    signed_at: datetime,
    seconds: int,
    headers: Headers,
    signed: Headers,
    part: tuple[str, int] | None,
) -> str:
    query = {
        **{_RESPONSE + name: value for name, value in headers},
        "X-Amz-Date": signed_at.strftime(_SPELLING),
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(name for name, _ in signed),
        "X-Amz-Signature": _signature(method, key, signed_at, seconds, headers, signed, part),
        **({} if part is None else {"uploadId": part[0], "partNumber": str(part[1])}),
    }
    return f"https://s3.test/bucket/{quote(key)}?{urlencode(query)}"


@lru_cache(maxsize=256)
def _read_url(url: str) -> _ReadUrl:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    signed_at = datetime.strptime(query["X-Amz-Date"], _SPELLING).replace(tzinfo=UTC)
    key = unquote(parts.path.removeprefix("/bucket/"))
    headers = {name.removeprefix(_RESPONSE): value for name, value in query.items() if name.startswith(_RESPONSE)}
    signed = tuple(query["X-Amz-SignedHeaders"].split(";")) if query["X-Amz-SignedHeaders"] else ()
    part = (query["uploadId"], int(query["partNumber"])) if "uploadId" in query else None
    return _ReadUrl(key, signed_at, int(query["X-Amz-Expires"]), query["X-Amz-Signature"], headers, signed, part)


@lru_cache(maxsize=256)
def _signature(  # noqa: PLR0913, PLR0917 -- all that a URL contains
    method: str,
    key: str,
    signed_at: datetime,
    seconds: int,
    headers: Headers,
    signed: Headers,
    part: tuple[str, int] | None,
) -> str:
    return hashlib.sha256(
        f"{method} {key} {signed_at:{_SPELLING}} {seconds} {headers} {signed} {part}".encode()
    ).hexdigest()
