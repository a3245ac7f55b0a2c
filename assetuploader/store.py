"""The object store: protocols and values for the few S3 operations that assets need.

The asset service, the multipart service and the asset reconciler use only these. Another implementation needs no change
elsewhere, and a test can step their coroutines by hand, one S3 call at a time.

Every operation raises a `StoreError` of `assetuploader.errors` when it fails. ETags have no quotes. Timestamps are UTC.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType, TracebackType
from typing import Final, Protocol, Self

from assetuploader.http_settings import HttpSettings


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One version of an object, as HeadObject returns it."""

    etag: str
    size: int
    """In bytes."""
    last_modified: datetime
    metadata: Mapping[str, str]
    """`x-amz-meta-*`, keys in lower case without that prefix."""
    headers: Mapping[str, str]
    """Those of `SYSTEM_METADATA_HEADERS` that are set, which a copy must name again; keys in lower case."""
    sha256: str | None = None
    """The SHA-256 of the bytes, 64 hexadecimal digits in lower case, if the upload had that checksum."""
    has_opaque_etag: bool = False
    """Whether S3 encrypted it with a key of KMS: its ETag is then not computed from its bytes or from its parts."""


SYSTEM_METADATA_HEADERS: Final = (
    "content-type",
    "content-disposition",
    "content-encoding",
    "content-language",
    "cache-control",
    "expires",
)


NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
SAVE_AS_FILE: Final[Mapping[str, str]] = MappingProxyType({"content-disposition": "attachment"})
"""The client chose the content type of its upload: a browser must not show it as a page of the store's host."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object, as ListObjectsV2 returns it."""

    key: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing: at most 1,000 objects, in the order of their keys."""

    objects: Sequence[ListedObject]
    is_truncated: bool
    """More objects follow."""
    server_time: datetime
    """S3's clock when it responded, from the `Date` header."""


@dataclass(frozen=True, slots=True)
class ObjectAttributes:
    """What a write stores besides the bytes."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Some of `SYSTEM_METADATA_HEADERS`, keys in lower case."""


class ObjectStore(Protocol):
    """The bucket, as far as assets need it. Every put and copy is conditional."""

    async def head_object(self, key: str) -> ObjectInfo | None:
        """Return what S3 knows about the object at this key, or None when it does not exist.

        Raises:
            ObjectUnreadableError: S3 gives out other objects, but not this one.
        """

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """Write the object under one of the two conditions, and return its new ETag.

        `if_match` is the ETag of the version to replace. `if_none_match="*"` requires that there is no object.

        Raises:
            PreconditionFailedError: The condition failed, or another write happened at the same time.
        """

    async def copy_object(  # noqa: PLR0913 -- two objects, a condition for each, and a limit
        self,
        source: str,
        target: str,
        attributes: ObjectAttributes,
        *,
        source_if_match: str,
        if_match: str,
        max_seconds: float | None = None,
    ) -> str:
        """Copy the source's bytes onto the target if both have these ETags, and return the target's new ETag.

        The attributes replace those of the source. After `max_seconds` the operation fails, although S3 may still
        carry it out.

        Raises:
            PreconditionFailedError: One of the conditions failed, or another write happened at the same time.
        """

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """Delete the version of the object with this ETag.

        Raises:
            PreconditionFailedError: The object is another version or does not exist, or another write happened at the
                same time.
        """

    async def get_object(self, key: str, max_bytes: int, *, if_match: str | None = None) -> bytes | None:
        """Return the bytes of the version with this ETag, or None when there is no object.

        Raises:
            PreconditionFailedError: The object is another version.
            ObjectUnreadableError: The object is longer than `max_bytes`, or S3 does not give it out.
        """

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """Return the first page of the objects with this prefix whose keys come after `start_after`."""

    async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Delete up to 1,000 objects; return those that could not be deleted, each with S3's reason."""


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """One part of a completion, as the client names it."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """One part of a multipart upload, as ListParts returns it."""

    number: int
    etag: str
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """One multipart upload that is neither completed nor aborted, as ListMultipartUploads returns it."""

    key: str
    upload_id: str
    initiated_at: datetime


@dataclass(frozen=True, slots=True)
class UploadMarker:
    """Where a page of multipart uploads begins. A store may use only one of the two, and leave the other empty."""

    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class OpenUploadPage:
    """One page of a listing of multipart uploads: at most 1,000. Stores differ in their order."""

    uploads: Sequence[OpenUpload]
    next_marker: UploadMarker | None
    """Where the next page begins; None after the last one."""
    server_time: datetime
    """S3's clock when it responded, from the `Date` header."""


class MultipartStore(Protocol):
    """The bucket, as far as uploads in parts need it. Clients send the parts themselves."""

    async def create_multipart_upload(self, key: str, attributes: ObjectAttributes) -> str:
        """Begin a multipart upload of an object with these attributes, and return its upload id.

        The object at the key stays until the upload is completed.
        """

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """Replace the version with this ETag by an object of these parts, and return its ETag.

        `size` is what the parts must add up to, in bytes; stores other than Amazon may ignore it. Success is only what
        a HEAD shows afterwards: some stores respond 200 for an upload that does not exist.

        Raises:
            PreconditionFailedError: The object is another version or does not exist. The upload remains.
            MultipartUploadLostError: The upload does not exist.
            PartsRejectedError: These parts make no object.
        """

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Delete the parts of this upload. It may not exist. A part that is being sent may arrive afterwards."""

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        """Return all parts in order, of an overwritten part the last one.

        Raises:
            MultipartUploadLostError: The upload does not exist.
        """

    async def list_multipart_uploads(self, prefix: str, marker: UploadMarker | None = None) -> OpenUploadPage:
        """Return one page of the open uploads whose keys have this prefix."""


class ShardReportStore(Protocol):
    """The bucket, as far as shard reports need it.

    It is separate from `ObjectStore`, because reports are written without a condition, and assets must not be.
    """

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """See `ObjectStore.list_objects`."""

    async def get_object(self, key: str, max_bytes: int) -> bytes | None:
        """Return the object's bytes, or None when it does not exist.

        Raises:
            ObjectUnreadableError: S3 gives out other objects, but not this one, or it is longer than `max_bytes`.
        """

    async def put_object(self, key: str, body: bytes, attributes: ObjectAttributes) -> str:
        """Write the object, replacing any version, and return its ETag."""


@dataclass(frozen=True, slots=True)
class PresignedUrl:
    """A presigned URL. It is a bearer token and never logged."""

    url: str = field(repr=False)
    expires_at: datetime
    """When it expires: whole seconds, not later than the credentials that signed it."""


@dataclass(frozen=True, slots=True)
class PartTarget:
    """The part that a presigned URL takes."""

    upload_id: str
    number: int
    size: int
    """In bytes."""


class Presigner(Protocol):
    """The creator of URLs with which a client reaches S3."""

    async def presign_put(self, key: str, expires_in: int, headers: Mapping[str, str] = NO_HEADERS) -> PresignedUrl:
        """Return a URL to PUT the object with, valid for at most `expires_in` seconds.

        S3 rejects a request that does not have these headers; names in lower case.
        """

    async def presign_part(self, key: str, expires_in: int, part: PartTarget) -> PresignedUrl:
        """Return a URL to PUT one part of a multipart upload with, valid for at most `expires_in` seconds.

        S3 rejects a request of another length.
        """

    async def presign_get(self, key: str, expires_in: int, headers: Mapping[str, str] = SAVE_AS_FILE) -> PresignedUrl:
        """Return a URL to GET the object with, valid for at most `expires_in` seconds.

        `headers` replace those of `SYSTEM_METADATA_HEADERS` that the object has; keys in lower case.
        """


async def _close_nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, as a program uses it. Close it with `async with` or `aclose`."""

    name: str
    store: ObjectStore
    multipart: MultipartStore
    reports: ShardReportStore
    presigner: Presigner
    """For clients, at the public endpoint."""
    internal_presigner: Presigner
    """At the endpoint that this process reaches."""
    http: HttpSettings = field(default_factory=HttpSettings)
    """For every other HTTP client that reaches this store."""
    aclose: Callable[[], Awaitable[None]] = _close_nothing
    """Close the connections to S3. No operation is possible afterwards."""
    requests_in_flight: Callable[[], int] = lambda: 0
    """Return how many requests to S3 are in flight."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
