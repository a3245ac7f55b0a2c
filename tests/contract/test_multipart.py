"""Uploads in parts: what S3 promises of them, straight onto a key that already has an object."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import uuid4

import pytest

from assetuploader.declaration import Declaration
from assetuploader.errors import (
    MultipartUploadLostError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreUnavailableError,
    UploadLostError,
)
from assetuploader.keys import uploaded_key
from assetuploader.multipart_check import CHECK_MULTIPART_KEY, find_multipart_problem
from assetuploader.multipart_service import MultipartService
from assetuploader.open_uploads import abort_uploads, list_pages
from assetuploader.parts import MIN_PART_BYTES, implied_etag
from assetuploader.s3.client import S3Client, S3Operation
from assetuploader.s3.http import Response
from assetuploader.s3.multipart_store import S3MultipartStore
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import CompletedPart, MultipartStore, ObjectAttributes, PartTarget, UploadedPart
from dev.seaweedfs import HOST, free_port
from tests.contract.conftest import opened
from tests.support.stores import BUCKET, ON_MOTO, ON_SEAWEEDFS, ON_VERSITYGW, Subject

T = TypeVar("T")

pytestmark = pytest.mark.asyncio(loop_scope="session")

ATTRIBUTES = ObjectAttributes(
    {"status": "uploaded", "expires-at": "2026-11-22T12:00:00Z"},
    {"status": "uploaded", "expires-at": "2026-11-22T12:00:00Z"},
    {"content-type": "video/mp4"},
)
UPLOAD_IDS = ["made-up", "../x", "a/b", "a" * 1024, "%00", "%2e%2e%2f", "<x>", "a?b&c=d#e", ".", "a\\b"]


def etag_of(body: bytes) -> str:
    """Return the ETag of a part with these bytes."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Upload:
    """One open upload, onto a key that has a placeholder."""

    subject: Subject
    key: str
    upload_id: str
    placeholder_etag: str

    async def part_url(self, number: int, size: int) -> str:
        """Return the URL of one part."""
        target = PartTarget(self.upload_id, number, size)
        return (await self.subject.bucket.presigner.presign_part(self.key, 60, target)).url

    async def send(self, number: int, body: bytes) -> CompletedPart:
        """Send one part as a client does."""
        response = self.subject.http.request("PUT", await self.part_url(number, len(body)), body=body)
        assert response.status == 200
        return CompletedPart(number, response.headers["ETag"].strip('"'))

    async def complete(self, *parts: CompletedPart, if_match: str | None = None, size: int | None = None) -> str:
        """Complete it."""
        return await self.subject.bucket.multipart.complete_multipart_upload(
            self.key, self.upload_id, parts, if_match=if_match or self.placeholder_etag, size=size
        )

    async def parts(self) -> Sequence[UploadedPart]:
        """Return the parts that S3 has."""
        return await self.subject.bucket.multipart.list_parts(self.key, self.upload_id)

    def body(self) -> bytes:
        """Return the bytes of the object."""
        return self.subject.store.body(self.key)


class SmallPages(S3Client):
    """A client that asks for two entries on each page of a list."""

    async def execute(self, operation: S3Operation, parse: Callable[[Response], T]) -> T:
        """See `S3Client.execute`."""
        name = {"ListParts": "max-parts", "ListMultipartUploads": "max-uploads"}.get(operation.name)
        query = operation.query if name is None else [*operation.query, (name, "2")]
        return await S3Client.execute(self, replace(operation, query=query), parse)


def with_small_pages(subject: Subject) -> MultipartStore:
    """Return the store, but with pages that a test can fill."""
    store = subject.bucket.multipart
    assert isinstance(store, S3MultipartStore)
    return S3MultipartStore(SmallPages(**{field.name: getattr(store.client, field.name) for field in fields(S3Client)}))


async def create(subject: Subject, name: str = "object") -> Upload:
    """Write a placeholder and create an upload."""
    key = subject.key(name)
    etag = subject.store.put(key, b"placeholder")
    upload_id = await subject.bucket.multipart.create_multipart_upload(key, ATTRIBUTES)
    return Upload(subject, key, upload_id, etag)


# --- complete ---------------------------------------------------------------------------------------------------------


async def test_the_final_object_is_what_the_upload_was_created_with(subject: Subject) -> None:
    """Metadata, tags and type come with the bytes, in one write. Until then, the placeholder can be read."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    assert (part.etag, upload.body()) == (etag_of(b"bytes"), b"placeholder")

    completed = await upload.complete(part, size=5)

    head = await subject.bucket.store.head_object(upload.key)
    assert head is not None
    assert (head.etag, head.size, head.metadata) == (completed, 5, ATTRIBUTES.metadata)
    assert (head.headers, subject.store.tags(upload.key)) == (ATTRIBUTES.headers, ATTRIBUTES.tags)
    assert upload.body() == b"bytes"
    assert completed == implied_etag([part.etag])


async def test_parts_become_one_object(subject: Subject) -> None:
    """In the order of their numbers, whatever the order in which they were sent. Only the last one may be short."""
    upload = await create(subject)
    long, short = bytes(range(256)) * (MIN_PART_BYTES // 256), b"end"
    second = await upload.send(2, short)
    first = await upload.send(1, long)

    completed = await upload.complete(first, second, size=len(long + short))

    assert upload.body() == long + short
    assert completed == implied_etag([first.etag, second.etag])


async def test_an_empty_file_has_one_empty_part(subject: Subject) -> None:
    """It is an asset like others."""
    upload = await create(subject)
    await upload.complete(await upload.send(1, b""), size=0)
    assert upload.body() == b""


@pytest.mark.moto_unsupported("ignores If-Match of CompleteMultipartUpload")
async def test_a_completion_replaces_only_the_version_that_it_names(subject: Subject) -> None:
    """With a stale ETag it fails, and the upload remains: the right one completes it."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    new = subject.store.put(upload.key, b"another placeholder")
    with pytest.raises(PreconditionFailedError):
        await upload.complete(part)
    assert upload.body() == b"another placeholder"
    assert await upload.parts() == [UploadedPart(1, part.etag, 5)]

    await upload.complete(part, if_match=new)

    assert upload.body() == b"bytes"


@pytest.mark.moto_unsupported("ignores If-Match of CompleteMultipartUpload")
async def test_a_completion_does_not_bring_an_object_back(subject: Subject) -> None:
    """The asset was deleted meanwhile."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    await subject.bucket.store.delete_objects([upload.key])
    with pytest.raises(PreconditionFailedError):
        await upload.complete(part)
    assert subject.store.keys(upload.key) == []


@pytest.mark.parametrize(
    "wrong", [CompletedPart(1, "0" * 32), CompletedPart(2, "0" * 32), CompletedPart(1, "no+md5/_.")]
)
async def test_parts_that_s3_does_not_have_make_no_object(subject: Subject, wrong: CompletedPart) -> None:
    """The upload remains, and the right parts complete it."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    with pytest.raises(PartsRejectedError):
        await upload.complete(*([part, wrong] if wrong.number > 1 else [wrong]))
    assert upload.body() == b"placeholder"
    await upload.complete(part)
    assert upload.body() == b"bytes"


async def test_the_content_is_what_the_etags_name(subject: Subject) -> None:
    """A part may be sent again. The completion names the bytes that it means, so that no others become final."""
    upload = await create(subject)
    old, new = await upload.send(1, b"old"), await upload.send(1, b"new")
    assert old.etag != new.etag
    await upload.complete(new)
    assert upload.body() == b"new"


async def test_an_overwritten_part_never_becomes_final_under_the_etag_of_the_new_one(subject: Subject) -> None:
    """Stores keep the old bytes or reject their ETag. None serves the new ones, which the client did not name."""
    upload = await create(subject)
    old = await upload.send(1, b"old")
    await upload.send(1, b"new")
    with suppress(PartsRejectedError):
        await upload.complete(old)
    assert upload.body() in {b"old", b"placeholder"}


async def test_a_repeated_completion_never_changes_the_object(subject: Subject) -> None:
    """Stores respond with a success or an error. The caller reads the object again."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    completed = await upload.complete(part)
    for if_match in (upload.placeholder_etag, completed):
        with suppress(PreconditionFailedError, MultipartUploadLostError, PartsRejectedError, StoreUnavailableError):
            await upload.complete(part, if_match=if_match)
        head = await subject.bucket.store.head_object(upload.key)
        assert head is not None
        assert (head.etag, head.metadata["status"]) == (completed, "uploaded")
        assert upload.body() == b"bytes"


@ON_SEAWEEDFS
@pytest.mark.parametrize("upload_id", UPLOAD_IDS)
async def test_an_upload_that_does_not_exist_is_lost(subject: Subject, upload_id: str) -> None:
    """Whatever a client makes up, it is no failure of S3, and no object changes."""
    made_up = replace(await create(subject), upload_id=upload_id)
    with pytest.raises(MultipartUploadLostError):
        await made_up.parts()
    with pytest.raises((MultipartUploadLostError, PartsRejectedError)):
        await made_up.complete(CompletedPart(1, "0" * 32))
    await subject.bucket.multipart.abort_multipart_upload(made_up.key, upload_id)
    status = subject.http.request("PUT", await made_up.part_url(1, 5), body=b"bytes").status
    assert status in {400, 404}
    assert made_up.body() == b"placeholder"


@ON_SEAWEEDFS
async def test_an_upload_belongs_to_its_key(subject: Subject) -> None:
    """Its id is worth nothing for another object."""
    mine, other = await create(subject, "mine"), await create(subject, "other")
    part = await mine.send(1, b"bytes")
    stolen = replace(other, upload_id=mine.upload_id)
    with pytest.raises(MultipartUploadLostError):
        await stolen.parts()
    with pytest.raises(MultipartUploadLostError):
        await stolen.complete(part)
    assert subject.http.request("PUT", await stolen.part_url(1, 5), body=b"other").status == 404
    assert (other.body(), await mine.parts()) == (b"placeholder", [UploadedPart(1, part.etag, 5)])


# --- part URLs --------------------------------------------------------------------------------------------------------


@pytest.mark.moto_unsupported("ignores signatures")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_a_part_url_only_sends_its_part(subject: Subject, method: str) -> None:
    """With its upload id, another method would list, complete or abort."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    body = b"bytes" if method == "POST" else None
    assert subject.http.request(method, await upload.part_url(1, 5), body=body).status == 403
    assert await upload.parts() == [UploadedPart(1, part.etag, 5)]
    assert upload.body() == b"placeholder"


@pytest.mark.moto_unsupported("ignores signatures")
@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("partNumber=1", "partNumber=2"),
        lambda url: url.replace("partNumber=1&", ""),
        lambda url: url.partition("?")[0] + "?X-Amz" + url.partition("&X-Amz")[2],
        lambda url: url.partition("?")[0],
        lambda url: url.replace("uploadId=", "uploadId=x"),
        lambda url: url.replace("/object", "/other"),
        lambda url: url.replace("X-Amz-Expires=60", "X-Amz-Expires=604800"),
    ],
    ids=[
        "another number",
        "no number",
        "a PUT of the object",
        "no query",
        "another upload",
        "another key",
        "a later expiry",
    ],
)
async def test_an_altered_part_url_is_refused(subject: Subject, change: Callable[[str], str]) -> None:
    """The signature covers everything that makes it this part. Above all, it is no URL to overwrite the object."""
    upload = await create(subject)
    url = await upload.part_url(1, 5)
    altered = change(url)
    assert altered != url
    assert subject.http.request("PUT", altered, body=b"bytes").status == 403
    assert (await upload.parts(), upload.body()) == ([], b"placeholder")


@pytest.mark.moto_unsupported("ignores signatures")
@pytest.mark.parametrize("body", [b"byte", b"bytes.", b""])
async def test_a_part_of_another_length_is_refused(subject: Subject, body: bytes) -> None:
    """The length is signed: the only limit of size that every store keeps."""
    upload = await create(subject)
    assert subject.http.request("PUT", await upload.part_url(1, 5), body=body).status == 403
    assert await upload.parts() == []


@pytest.mark.moto_unsupported("obeys an unsigned x-amz-copy-source")
async def test_a_part_url_cannot_be_made_to_copy(subject: Subject) -> None:
    """If an unsigned x-amz-copy-source were obeyed, the holder of a part URL could read any object."""
    upload, secret = await create(subject), subject.key("secret")
    subject.store.put(secret, b"secret")
    for source in (f"/{BUCKET}/{secret}", f"{BUCKET}/{secret}"):
        headers = {"x-amz-copy-source": source}
        response = subject.http.request("PUT", await upload.part_url(1, 0), headers=headers)
        assert b"CopyPartResult" not in response.data
    assert all(part.size == 0 for part in await upload.parts())


@pytest.mark.moto_unsupported("responds 500 to a part of an upload that does not exist")
async def test_a_late_part_is_refused(subject: Subject) -> None:
    """Once the object is final, its part URLs are dead. Nothing is left that would be paid for."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    url = await upload.part_url(1, 4)
    await upload.complete(part)
    assert subject.http.request("PUT", url, body=b"late").status == 404
    assert upload.body() == b"bytes"
    assert await abort_uploads(subject.bucket.multipart, upload.key) == 0


# --- abort ------------------------------------------------------------------------------------------------------------


@pytest.mark.moto_unsupported("responds 500 to a part of an upload that does not exist")
async def test_an_aborted_upload_is_gone(subject: Subject) -> None:
    """With its parts, and as often as it is aborted. The object stays."""
    upload = await create(subject)
    part = await upload.send(1, b"bytes")
    url = await upload.part_url(2, 4)
    for _ in range(2):
        await subject.bucket.multipart.abort_multipart_upload(upload.key, upload.upload_id)
    with pytest.raises(MultipartUploadLostError):
        await upload.parts()
    assert subject.http.request("PUT", url, body=b"late").status == 404
    with pytest.raises(MultipartUploadLostError):
        await upload.complete(part)
    assert upload.body() == b"placeholder"


async def test_all_uploads_of_a_key_are_aborted_and_no_others(subject: Subject) -> None:
    """A key may have several: the response to a creation was lost."""
    uploads = [await create(subject, "a") for _ in range(3)]
    other = await create(subject, "ab")
    assert [await abort_uploads(subject.bucket.multipart, uploads[0].key) for _ in range(2)] == [3, 0]
    assert await abort_uploads(subject.bucket.multipart, other.key) == 1


# --- lists ------------------------------------------------------------------------------------------------------------

_LIST = "names a list of parts ListPartsResponse"


@pytest.mark.moto_unsupported(_LIST)
async def test_a_list_of_parts_has_all_of_them(subject: Subject) -> None:
    """More than fit on a page of Amazon, in order, however they were sent."""
    upload = await create(subject)
    numbers = range(1, 1_003)
    urls = [await upload.part_url(number, 4) for number in numbers]

    def put(number: int) -> int:
        return subject.http.request("PUT", urls[number - 1], body=b"%04d" % number).status

    statuses = await asyncio.gather(*(asyncio.to_thread(put, number) for number in numbers))
    assert set(statuses) == {200}
    assert await upload.parts() == [UploadedPart(number, etag_of(b"%04d" % number), 4) for number in numbers]


@pytest.mark.moto_unsupported(_LIST)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6])
async def test_pages_of_parts_are_followed(subject: Subject, count: int) -> None:
    """As the store continues them. A number may be missing."""
    upload = await create(subject)
    sent = [await upload.send(2 * number + 1, b"%d" % number) for number in range(count)]
    found = await with_small_pages(subject).list_parts(upload.key, upload.upload_id)
    assert [(part.number, part.etag) for part in found] == [(part.number, part.etag) for part in sent]


@pytest.mark.moto_unsupported(_LIST)
async def test_an_overwritten_part_is_listed_as_it_was_sent_last(subject: Subject) -> None:
    """Once. In the same second, a store may not tell which one is the last: then the client sends it again."""
    upload = await create(subject)
    await upload.send(1, b"old")
    await upload.send(2, b"two")
    await asyncio.sleep(1.1)  # stores list times in whole seconds
    await upload.send(1, b"newer")
    assert await upload.parts() == [UploadedPart(1, etag_of(b"newer"), 5), UploadedPart(2, etag_of(b"two"), 3)]
    for body in (b"a", b"b"):
        await upload.send(2, body)
    first, *rest = await upload.parts()
    assert first.number == 1
    assert rest in ([], [UploadedPart(2, etag_of(b"b"), 1)])


@pytest.mark.moto_unsupported("lists all uploads on one page, with a time in 2010")
@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
async def test_pages_of_uploads_are_followed(subject: Subject, count: int) -> None:
    """As the store continues them, each with its key and its time. Several may have the same key."""
    store = with_small_pages(subject)
    uploads = [await create(subject, f"{number % 2}") for number in range(count)]
    pages = [page async for page in list_pages(store, subject.prefix)]
    found = [upload for page in pages for upload in page.uploads]
    expected = sorted((upload.upload_id, upload.key) for upload in uploads)
    assert sorted((upload.upload_id, upload.key) for upload in found) == expected
    assert len(pages) >= count / 2
    assert all(
        abs(page.server_time - upload.initiated_at) < timedelta(minutes=1) for page in pages for upload in page.uploads
    )
    assert sum([await abort_uploads(store, subject.key(f"{number}")) for number in range(2)]) == count


# --- the check --------------------------------------------------------------------------------------------------------


@ON_SEAWEEDFS
async def test_a_right_store_has_no_problem(subject: Subject) -> None:
    """However often it is tried, and by several programs at once. No upload is left."""
    assert await asyncio.gather(*(find_multipart_problem(subject.bucket) for _ in range(3))) == [None] * 3
    assert await abort_uploads(subject.bucket.multipart, CHECK_MULTIPART_KEY) == 0


@ON_MOTO
async def test_a_store_that_ignores_signatures_has_a_problem(subject: Subject) -> None:
    """The service takes no uploads in parts then."""
    problem = await find_multipart_problem(subject.bucket)
    assert problem is not None
    assert problem.startswith("this store obeys an unsigned x-amz-copy-source on a presigned part")
    assert await abort_uploads(subject.bucket.multipart, CHECK_MULTIPART_KEY) == 0


async def test_an_outage_is_no_problem_of_the_store() -> None:
    """Otherwise uploads in parts would be refused until the next start."""
    async with opened(f"http://{HOST}:{free_port()}") as bucket:
        with pytest.raises(StoreUnavailableError):
            await find_multipart_problem(bucket)


# --- races ------------------------------------------------------------------------------------------------------------

RACES = 60
LAGS = (0.0, 0.0005, -0.0005, 0.001, -0.001)
"""How many seconds the completion begins after the other write, so that each of them comes first sometimes."""


async def _winners(upload: Upload, others: Coroutine[None, None, str], part: CompletedPart, lag: float) -> list[str]:
    """Complete an upload and do something else at once, one of them a little later; return the ETags of successes."""

    async def after(seconds: float, write: Coroutine[None, None, str]) -> str | None:
        await asyncio.sleep(seconds)
        try:
            return await write
        except (PreconditionFailedError, MultipartUploadLostError):
            return None

    written = await asyncio.gather(after(max(lag, 0), upload.complete(part)), after(max(-lag, 0), others))
    return [etag for etag in written if etag is not None]


async def _require_one_winner(upload: Upload, etags: list[str]) -> None:
    head = await upload.subject.bucket.store.head_object(upload.key)
    assert head is not None
    assert etags == [head.etag]


@ON_VERSITYGW
async def test_a_completion_and_a_write_of_the_same_version_never_both_succeed(subject: Subject) -> None:
    """Otherwise an asset could become final and expire at once."""
    for number in range(RACES):
        upload = await create(subject, f"{number}")
        part = await upload.send(1, b"part")
        put = subject.bucket.store.put_object(upload.key, b"tombstone", ATTRIBUTES, if_match=upload.placeholder_etag)
        await _require_one_winner(upload, await _winners(upload, put, part, LAGS[number % len(LAGS)]))


@ON_VERSITYGW
async def test_two_completions_of_the_same_version_never_both_succeed(subject: Subject) -> None:
    """Two uploads of one asset: one of them is final, with all of its bytes, and the other one is not."""
    for number in range(RACES):
        first = await create(subject, f"{number}")
        other_id = await subject.bucket.multipart.create_multipart_upload(first.key, ATTRIBUTES)
        second = replace(first, upload_id=other_id)
        part, other_part = await first.send(1, b"first"), await second.send(1, b"other")
        etags = await _winners(first, second.complete(other_part), part, LAGS[number % len(LAGS)])
        await _require_one_winner(first, etags)
        assert first.body() == (b"first" if etags == [implied_etag([part.etag])] else b"other")


@ON_VERSITYGW
async def test_a_success_without_effect_is_none(subject: Subject) -> None:
    """Versitygw responds with a success to the completion of an upload that it does not have, and writes nothing."""
    bucket = subject.bucket
    service = MultipartService(
        bucket.store, bucket.multipart, bucket.presigner, LifecyclePolicy(), uuid4, lambda: os.urandom(16)
    )
    asset, upload_id = await service.create(Declaration(), datetime.now(UTC))
    key = uploaded_key(asset.asset_id)
    placeholder = await bucket.store.head_object(key)
    assert placeholder is not None
    made_up = Upload(subject, key, str(uuid4()), placeholder.etag)
    part = CompletedPart(1, etag_of(b"part"))
    assert await made_up.complete(part) == implied_etag([part.etag])

    with pytest.raises(UploadLostError):
        await service.complete(asset.asset_id, made_up.upload_id, [part])

    assert await bucket.store.head_object(key) == placeholder
    sent = await replace(made_up, upload_id=upload_id).send(1, b"part")
    assert (await service.complete(asset.asset_id, upload_id, [sent])).is_final
