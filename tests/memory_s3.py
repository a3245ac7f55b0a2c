"""An S3 bucket in memory: what the protocol stands on, as an executable reference, and the fake behind the door.

It is `Door` and `Signer` in one, and the client's side too: `put` and `get` follow the presigned URLs. No method waits
for anything, so it serves asyncio and a scheduler that steps by hand alike. The store contract holds it against a real
S3 server.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from assetstore.door import RESTATED_HEADERS, Head, Listed, Page, Said, SignedUrl
from assetstore.errors import PreconditionFailedError
from assetstore.s3.door import restatable

START: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAGE_SIZE: Final = 1_000
_SPELLING: Final = "%Y%m%dT%H%M%SZ"


class RefusedError(Exception):
    """S3 answers a client 403: the URL is expired, altered, or for something else."""


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


def etag_of(body: bytes) -> str:
    """What S3 answers to the upload of these bytes."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class MemoryS3:
    """The bucket. Tests read and set its objects and its clock as they please."""

    now: datetime = START
    """S3's clock: the `Date` of every answer, `Last-Modified` of every write, and what URLs expire by."""
    objects: dict[str, Stored] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    """Every change that took place: the operation and its key."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Every call of the door, whatever came of it: the operation and its key, or prefix."""
    fails_with: Exception | None = None
    """What every call of the door raises; nothing then takes effect."""
    page_size: int = PAGE_SIZE
    signer_is_ahead: timedelta = timedelta()
    """How far the clock of the machine that signs is ahead of S3's."""

    # --- the door -----------------------------------------------------------------------------------------------------

    async def head(self, key: str) -> Head | None:
        """See `Door.head`."""
        self._enter("head", key)
        found = self.objects.get(key)
        if found is None:
            return None
        headers = {name: value for name, value in found.headers.items() if name in RESTATED_HEADERS}
        return Head(found.etag, len(found.body), found.last_modified, found.metadata, headers)

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """See `Door.put_if`."""
        self._enter("put_if", key)
        self._require(key, etag)
        return self.store("put_if", key, body, _restated(said))

    async def copy_if(self, source: str, source_etag: str, target: str, target_etag: str, said: Said) -> str:
        """See `Door.copy_if`."""
        self._enter("copy_if", target)
        return self.finish_copy(self.read_source(source, source_etag), target, target_etag, said)

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""
        self._enter("list_page", prefix)
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        rest = keys[bisect_right(keys, start_after) :]
        found = [Listed(key, self.objects[key].last_modified) for key in rest[: self.page_size]]
        return Page(found, is_last=len(rest) <= self.page_size, listed_at=self._whole_second())

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `Door.delete_many`."""
        for key in keys:
            self._enter("delete_many", key)
        for key in keys:
            self.writes.append(("delete_many", key))
            self.objects.pop(key, None)
        return {}

    # --- a copy's two halves, for schedulers that let time pass between them -----------------------------------------

    def read_source(self, source: str, source_etag: str) -> bytes:
        """The bytes that a copy is about to write.

        Raises:
            PreconditionFailedError: the source is another version, or gone.
        """
        self._require(source, source_etag)
        return self.objects[source].body

    def finish_copy(self, body: bytes, target: str, target_etag: str, said: Said) -> str:
        """Write what a copy has read, if the target is still the same; its ETag.

        Raises:
            PreconditionFailedError: the target is another version, or gone.
        """
        self._require(target, target_etag)
        return self.store("copy_if", target, body, _restated(said))

    def store(self, operation: str, key: str, body: bytes, said: Said) -> str:
        """Write an object whatever is there; its ETag."""
        etag = etag_of(body)
        self.writes.append((operation, key))
        self.objects[key] = Stored(
            body, etag, self._whole_second(), dict(said.metadata), dict(said.tags), dict(said.headers)
        )
        return etag

    # --- the signer, and the client who follows its URLs --------------------------------------------------------------

    async def sign_upload(self, key: str, seconds: int) -> SignedUrl:
        """See `Signer.sign_upload`."""
        return self._sign("PUT", key, seconds)

    async def sign_download(self, key: str, seconds: int) -> SignedUrl:
        """See `Signer.sign_download`."""
        return self._sign("GET", key, seconds)

    def put(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> str:
        """The client's upload; the ETag that S3 answers.

        Raises:
            RefusedError: the URL allows it no longer, or never did.
        """
        return self.store("put", self.allowed("PUT", url), body, Said({}, {}, headers or {}))

    def get(self, url: str) -> Stored:
        """The client's download.

        Raises:
            RefusedError: the URL allows it no longer, or never did.
            KeyError: nothing is there.
        """
        return self.objects[self.allowed("GET", url)]

    def allowed(self, method: str, url: str) -> str:
        """The key that the URL allows the method on, now.

        Raises:
            RefusedError: it allows that no longer, or never did.
        """
        key, signed_at, seconds, signature = _read_url(url)
        if signature != _signature(method, key, signed_at, seconds):
            raise RefusedError("SignatureDoesNotMatch")
        if self.now >= signed_at + timedelta(seconds=seconds):
            raise RefusedError("AccessDenied: Request has expired")
        return key

    # ------------------------------------------------------------------------------------------------------------------

    def _sign(self, method: str, key: str, seconds: int) -> SignedUrl:
        if self.fails_with is not None:
            raise self.fails_with
        signed_at = self._whole_second() + self.signer_is_ahead
        url = _signed_url(method, key, signed_at, seconds)
        return SignedUrl(url, signed_at + timedelta(seconds=seconds))

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


def _restated(said: Said) -> Said:
    """As the real door says it: a client's headers that cannot be restated are dropped."""
    return replace(said, headers=dict(restatable(said.headers))) if said.headers else said


# A scheduler signs and reads the same few URLs a million times.
@lru_cache(maxsize=256)
def _signed_url(method: str, key: str, signed_at: datetime, seconds: int) -> str:
    query = {
        "X-Amz-Date": signed_at.strftime(_SPELLING),
        "X-Amz-Expires": str(seconds),
        "X-Amz-Signature": _signature(method, key, signed_at, seconds),
    }
    return f"https://s3.test/bucket/{quote(key)}?{urlencode(query)}"


@lru_cache(maxsize=256)
def _read_url(url: str) -> tuple[str, datetime, int, str]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    signed_at = datetime.strptime(query["X-Amz-Date"], _SPELLING).replace(tzinfo=UTC)
    key = unquote(parts.path.removeprefix("/bucket/"))
    return key, signed_at, int(query["X-Amz-Expires"]), query["X-Amz-Signature"]


@lru_cache(maxsize=256)
def _signature(method: str, key: str, signed_at: datetime, seconds: int) -> str:
    return hashlib.sha256(f"{method} {key} {signed_at:{_SPELLING}} {seconds}".encode()).hexdigest()
