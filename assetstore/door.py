"""The door to S3: the few calls that the protocol needs, in our own values.

All of an asset's life goes through `Door` and `Signer`. What stands behind them can be exchanged without a word
changing elsewhere, and a test can step the coroutines of `assetstore.assets` by hand, one S3 call at a time.

Every method raises StoreUnavailableError, StoreDeniedError or StoreMisconfiguredError as `assetstore.errors` tells them
apart. ETags come and go without quotes; instants are UTC.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol


class Head(NamedTuple):
    """One version of an object, as HeadObject answers."""

    etag: str
    size: int
    """In bytes."""
    last_modified: datetime
    metadata: Mapping[str, str]
    """`x-amz-meta-*`, keys in lower case without that prefix."""
    headers: Mapping[str, str]
    """The system headers that a copy must state again, keys in lower case: those of `RESTATED_HEADERS` that are set."""


RESTATED_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One object, as ListObjectsV2 answers."""

    key: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: at most 1,000 objects, by key."""

    objects: Sequence[Listed]
    is_last: bool
    listed_at: datetime
    """S3's clock when it answered: the `Date` header."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a write says about its object besides the bytes."""

    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)


class Door(Protocol):
    """The bucket, as far as the protocol needs it."""

    async def head(self, key: str) -> Head | None:
        """The object at this key, None when there is none."""

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """Write the object if the version there has this ETag, or, with None, if there is none; the new ETag.

        Raises:
            PreconditionFailedError: another version is there, or none, or the write raced another.
        """

    async def copy_if(self, source: str, source_etag: str, target: str, target_etag: str, said: Said) -> str:
        """Copy the source's bytes onto the target, tags and metadata replaced, if both have these ETags; the new ETag.

        Raises:
            PreconditionFailedError: one of them is another version, or gone, or the copy raced another write.
        """

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """Objects with the prefix whose keys come after `start_after`."""

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Delete up to 1,000 objects; those that could not be deleted, with S3's reason."""


class ReportStore(Protocol):
    """The bucket, as far as reports need it. Apart from `Door`: nothing of an asset is written without a condition."""

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""

    async def get(self, key: str, limit_bytes: int) -> bytes | None:
        """The object's bytes, None when there is none; a longer one is *unavailable*."""

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Write the object, whatever is there."""


@dataclass(slots=True)  # not frozen: see assetstore.s3.caller.Ask
class SignedUrl:
    """A presigned URL: a bearer token, never logged."""

    url: str = field(repr=False)
    expires_at: datetime
    """When it ends, from what was signed: whole seconds, not after the credentials that signed it."""


class Signer(Protocol):
    """Makes URLs with which a client reaches S3 at its public endpoint."""

    async def sign_upload(self, key: str, seconds: int) -> SignedUrl:
        """A URL to PUT the object with, for that long at most."""

    async def sign_download(self, key: str, seconds: int) -> SignedUrl:
        """A URL to GET the object with, for that long at most; the browser saves it, whatever its content type."""


async def _nothing_to_close() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, as a program uses it."""

    name: str
    door: Door
    reports: ReportStore
    signer: Signer
    """For clients, at the public endpoint."""
    inner_signer: Signer
    """At the endpoint that is reached from here."""
    close: Callable[[], Awaitable[None]] = _nothing_to_close
    """Ends the connections to S3; nothing can be asked any more."""
    open_connections: Callable[[], int] = int
    """How many connections to S3 are open now."""
