"""The in-memory S3 compared with a real server: the same calls to both, and the same results.

Every write names its content type, because a server guesses a missing one.
"""

import hashlib
import random
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from assetuploader.conformance import prepare_check_object
from assetuploader.errors import MultipartUploadLostError, PartsRejectedError, PreconditionFailedError
from assetuploader.store import (
    CompletedPart,
    ListPage,
    MultipartStore,
    ObjectAttributes,
    ObjectInfo,
    ObjectStore,
    PartTarget,
    Presigner,
)
from tests.support.in_memory_s3 import InMemoryS3, RefusedError, Stored, etag_of
from tests.support.load_client import request_url

KEYS: Final = ("temp/a", "temp/b", "uploaded/a", "uploaded/b", "uploaded/\u00fc b")
BODIES: Final = (b"", b"A", b"B" * 5000)
_HEADERS: Final[tuple[dict[str, str], ...]] = (
    {"content-type": "text/x-test"},
    {"content-type": "text/plain", "cache-control": "no-cache", "content-language": "de"},
    {"content-type": "text/plain", "content-disposition": 'attachment; filename="a b.txt"'},
    {"content-type": "text/plain", "content-encoding": "gzip", "expires": "Thu, 01 Jan 2026 12:00:00 GMT"},
)

_OPERATIONS: Final = (
    *("head", "head", "get", "put", "put", "copy", "copy", "list", "delete one", "delete", "upload", "download"),
    *("declared upload", "declared upload", "multipart", "multipart", "multipart", "multipart"),
)
_MULTIPART_OPERATIONS: Final = ("part", "part", "complete", "complete", "list parts", "abort")


@dataclass(frozen=True, slots=True)
class Side:
    """The server or the reference."""

    store: ObjectStore
    multipart: MultipartStore
    presigner: Presigner
    upload_ids: list[str] = field(default_factory=list)
    """Those of all uploads in parts, in the order of their creation, which is the same on both sides."""


Act = Callable[[Side], Awaitable[object]]


@dataclass(slots=True)
class Reference:
    """One run of the check."""

    server: Side
    calls: int = 0
    violations: list[str] = field(default_factory=list)
    memory: InMemoryS3 = field(default_factory=InMemoryS3)
    reference: Side = field(init=False)
    rng: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 -- calls, not secrets

    def __post_init__(self) -> None:
        self.reference = Side(self.memory, self.memory, self.memory)

    async def run(self, number: int) -> None:
        """Send this many calls to both."""
        for side in (self.server, self.reference):
            await prepare_check_object(side.store)
        etags: list[str] = ["0" * 32]
        for _ in range(number):
            name, act = self._draw(etags)
            real = await _outcome_of(act, self.server)
            expected = await _outcome_of(act, self.reference)
            self.calls += 1
            if real != expected:
                self.violations.append(f"{name}: the server {real}, the reference {expected}")
            if isinstance(real, str) and real not in etags:
                etags.append(real)

    def _draw(self, etags: list[str]) -> tuple[str, Act]:
        rng = self.rng
        key, other = rng.choice(KEYS), rng.choice(KEYS)
        body = rng.choice((*BODIES, rng.randbytes(8)))
        status = rng.choice(("pending", "marked", "uploaded"))
        attributes = ObjectAttributes(
            {"status": status, "expires-at": "2026-01-01T12:15:00Z"}, {"status": status}, rng.choice(_HEADERS)
        )
        # About half of the conditions hold.
        current = {name: found.etag for name, found in self.memory.objects.items()}
        etag = current.get(key) if rng.random() < 0.6 else rng.choice([None, *etags])
        known = current.get(key, "0" * 32) if rng.random() < 0.7 else rng.choice(etags)
        source = current.get(other, "0" * 32) if rng.random() < 0.7 else rng.choice(etags)
        upload = Upload(key, body, {"content-type": "text/x-test"})
        match rng.choice(_OPERATIONS):
            case "head":
                return f"head {key}", lambda side: _head(side.store, key)
            case "get" if current.get(key) != etag_of(b""):  # S3 has no range of an empty object
                return f"get {key} if {etag}", lambda side: side.store.get_object(key, 10_000, if_match=etag)
            case "put":
                condition = "*" if etag is None else None
                return f"put {key} if {etag}", lambda side: side.store.put_object(
                    key, body, attributes, if_match=etag, if_none_match=condition
                )
            case "copy" if "-" not in current.get(other, ""):  # servers differ in the ETag of a copy of parts
                name = f"copy {other} if {source} to {key} if {known}"
                return name, lambda side: side.store.copy_object(
                    other, key, attributes, source_if_match=source, if_match=known
                )
            case "list":
                return f"list after {key}", lambda side: _list(side.store, key.partition("/")[0] + "/", key)
            case "delete":
                keys = [key, other, "temp/never"]
                return f"delete {keys}", lambda side: side.store.delete_objects(keys)
            case "delete one":
                return f"delete {key} if {known}", lambda side: side.store.delete_object(key, if_match=known)
            case "upload":
                return f"upload {key}", upload.send
            case "multipart":
                return self._draw_multipart(key, attributes, known)
            case "declared upload":
                upload = _draw_declared_upload(rng, key, body)
                return f"upload {upload}", upload.send
            case _:
                return f"download {key}", lambda side: self._download(side, key)

    def _open_uploads(self) -> list[int]:
        """Return the uploads that both sides treat alike: on Amazon, one whose key was written since then is lost."""
        memory, ids = self.memory, self.reference.upload_ids
        return [
            index
            for index, upload_id in enumerate(ids)
            if (upload := memory.uploads.get(upload_id)) is not None
            and upload.order > max(memory.deleted.get(upload.key, 0), _order_of(memory.objects.get(upload.key)))
        ]

    def _draw_multipart(self, key: str, attributes: ObjectAttributes, known: str) -> tuple[str, Act]:
        open_uploads = self._open_uploads()
        if not open_uploads or self.rng.random() < 0.25:
            return f"create an upload of {key}", lambda side: _create_upload(side, key, attributes)
        if self.rng.random() < 0.1:
            return f"list uploads of {key}", lambda side: _list_uploads(side, key)
        index = self.rng.choice(open_uploads)
        upload = self.memory.uploads[self.reference.upload_ids[index]]
        part = PartUpload(index, upload.key)
        match self.rng.choice(_MULTIPART_OPERATIONS):
            case "list parts":
                return f"list the parts of upload {index}", lambda side: _list_parts(side, part)
            case "abort":
                return f"abort upload {index}", lambda side: side.multipart.abort_multipart_upload(
                    part.key, side.upload_ids[index]
                )
            case "complete" if upload.parts:  # SeaweedFS calls an upload without parts lost
                found = self.memory.objects.get(part.key)
                etag = found.etag if found and self.rng.random() < 0.8 else known
                parts = [CompletedPart(1, part.etag if self.rng.random() < 0.8 else "0" * 32)]
                size = len(part.body) if self.rng.random() < 0.5 else None
                return f"complete upload {index} if {etag}", lambda side: side.multipart.complete_multipart_upload(
                    part.key, side.upload_ids[index], parts, if_match=etag, size=size
                )
            case _:
                return f"send the part of upload {index}", part.send

    async def _download(self, side: Side, key: str) -> object:
        signed = await side.presigner.presign_get(key, 60)
        if isinstance(side.store, InMemoryS3):
            found = side.store.objects.get(key)
            return (404, None) if found is None else (200, found.body)
        response = await request_url(signed.url, "GET")
        return response.status, response.body if response.status == 200 else None


@dataclass(frozen=True, slots=True)
class Upload:
    """A client's PUT to an upload URL."""

    key: str
    body: bytes
    headers: Mapping[str, str]
    signed: Mapping[str, str] = field(default_factory=dict)

    async def send(self, side: Side) -> object:
        """Return the ETag, or the status of the refusal."""
        url = await side.presigner.presign_put(self.key, 60, self.signed)
        if isinstance(side.store, InMemoryS3):
            try:
                return side.store.put(url.url, self.body, self.headers)
            except RefusedError as refused:
                return refused.status
        response = await request_url(url.url, "PUT", self.body, **self.headers)
        return response.headers["etag"].strip('"') if response.status == HTTPStatus.OK else response.status


@dataclass(frozen=True, slots=True)
class PartUpload:
    """A client's PUT of the only part of an upload. S3 lets no other part but the last be this short."""

    index: int
    key: str

    @property
    def body(self) -> bytes:
        """Its bytes: always the same ones, because servers differ in how they list an overwritten part."""
        return f"the part of upload {self.index}".encode()

    @property
    def etag(self) -> str:
        """The ETag of its bytes."""
        return etag_of(self.body)

    async def send(self, side: Side) -> object:
        """Return the ETag, or the status of the refusal."""
        target = PartTarget(side.upload_ids[self.index], 1, len(self.body))
        url = await side.presigner.presign_part(self.key, 60, target)
        if isinstance(side.store, InMemoryS3):
            return side.store.put_part(url.url, self.body)
        response = await request_url(url.url, "PUT", self.body)
        return response.headers["etag"].strip('"') if response.status == HTTPStatus.OK else response.status


async def _create_upload(side: Side, key: str, attributes: ObjectAttributes) -> None:
    side.upload_ids.append(await side.multipart.create_multipart_upload(key, attributes))


async def _list_parts(side: Side, part: PartUpload) -> object:
    return list(await side.multipart.list_parts(part.key, side.upload_ids[part.index]))


async def _list_uploads(side: Side, key: str) -> object:
    page = await side.multipart.list_multipart_uploads(key)
    return sorted(side.upload_ids.index(upload.upload_id) for upload in page.uploads if upload.key == key)


def _order_of(stored: Stored | None) -> int:
    return 0 if stored is None else stored.order


def _draw_declared_upload(rng: random.Random, key: str, body: bytes) -> Upload:
    """Return an upload whose size, type and checksum are signed, and that may have others, or be a second one."""
    checksum = b64encode(hashlib.sha256(body).digest()).decode()
    signed = {"content-length": str(len(body)), "content-type": "text/x-test", "x-amz-checksum-sha256": checksum}
    if rng.random() < 0.5:
        signed["if-none-match"] = "*"
    sent = {name: value for name, value in signed.items() if name != "content-length"}
    match rng.choice(("right", "right", "longer", "other bytes", "other type", "missing", "unsigned")):
        case "longer":
            body += b"."
        case "other bytes" if body and "if-none-match" not in signed:  # servers differ in which one they look at first
            body = bytes([body[0] ^ 1]) + body[1:]
        case "other type":
            sent["content-type"] = "text/x-other"
        case "missing":
            del sent[rng.choice(sorted(sent))]
        case "unsigned":
            del signed["x-amz-checksum-sha256"]
        case _:
            pass
    return Upload(key, body, sent, signed)


async def _head(store: ObjectStore, key: str) -> object:
    found: ObjectInfo | None = await store.head_object(key)
    if found is None:
        return None
    return found.etag, found.size, dict(found.metadata), dict(found.headers), found.sha256


async def _list(store: ObjectStore, prefix: str, start_after: str) -> object:
    page: ListPage = await store.list_objects(prefix, start_after)
    assert page.server_time.microsecond == 0
    assert all(abs(page.server_time - found.last_modified) < timedelta(days=1) for found in page.objects)
    return [found.key for found in page.objects], page.is_truncated


async def _outcome_of(act: Act, side: Side) -> object:
    try:
        return await act(side)
    except (PreconditionFailedError, MultipartUploadLostError, PartsRejectedError) as error:
        return type(error)
