"""HEAD: state and version in one read."""

from datetime import UTC, datetime, timedelta

import pytest

from assetuploader.errors import ObjectUnreadableError
from assetuploader.store import ObjectInfo
from tests.support.stores import BUCKET, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_head_returns_version_state_and_headers_together(subject: Subject) -> None:
    """ETag, size, metadata and the system headers come from one version."""
    key = subject.key()
    written = subject.store.raw.put_object(
        Bucket=BUCKET,
        Key=key,
        Body=b"bytes",
        Metadata={"Status": "marked", "pin": "abc"},
        ContentType="text/x-odd; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='inline; filename="a.txt"',
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    )

    head = await subject.bucket.store.head_object(key)

    last_modified = subject.store.raw.head_object(Bucket=BUCKET, Key=key)["LastModified"]
    assert head == ObjectInfo(
        written["ETag"].strip('"'),
        5,
        last_modified,
        {"status": "marked", "pin": "abc"},
        {
            "cache-control": "max-age=60",
            "content-disposition": 'inline; filename="a.txt"',
            "content-encoding": "gzip",
            "content-language": "de",
            "content-type": "text/x-odd; charset=utf-8",
            "expires": "Wed, 02 Jan 2030 03:04:05 GMT",
        },
    )


async def test_head_of_a_missing_key_is_none(subject: Subject) -> None:
    """404 on HEAD means that there is no object. It is a value, not an error."""
    assert await subject.bucket.store.head_object(subject.key()) is None


async def test_head_sees_what_was_just_written_and_just_deleted(subject: Subject) -> None:
    """Reads follow writes at once, also after a deletion: no decision rests on an old version."""
    key = subject.key()
    seen = []
    for number in range(3):
        etag = subject.store.put(key, b"%d" % number)
        head = await subject.bucket.store.head_object(key)
        seen.append(head is not None and head.etag == etag)
        subject.store.raw.delete_object(Bucket=BUCKET, Key=key)
        seen.append(await subject.bucket.store.head_object(key) is None)

    assert seen == [True] * 6


async def test_head_returns_when_the_version_was_written(subject: Subject) -> None:
    """Last-Modified is the store's clock at the write, in UTC and whole seconds."""
    key = subject.key()
    before = datetime.now(UTC).replace(microsecond=0)
    subject.store.put(key, b"bytes")

    head = await subject.bucket.store.head_object(key)

    assert head is not None
    assert before <= head.last_modified <= datetime.now(UTC) + timedelta(seconds=1)
    assert (head.last_modified.tzinfo, head.last_modified.microsecond) == (UTC, 0)


async def test_an_empty_upload_has_a_version_too(subject: Subject) -> None:
    """A zero-byte upload is an upload."""
    key = subject.key()
    etag = subject.store.put(key, b"")

    head = await subject.bucket.store.head_object(key)

    assert head is not None
    assert (head.etag, head.size) == (etag, 0)


@pytest.mark.moto_unsupported("returns encrypted objects without their key")
async def test_an_object_with_a_key_of_its_own_is_unreadable(subject: Subject) -> None:
    """SSE-C: S3 rejects a HEAD or GET without the object's key with 400. That is no outage."""
    key = subject.key()
    subject.store.raw.put_object(
        Bucket=BUCKET, Key=key, Body=b"bytes", SSECustomerAlgorithm="AES256", SSECustomerKey=b"k" * 32
    )
    with pytest.raises(ObjectUnreadableError):
        await subject.bucket.store.head_object(key)
    with pytest.raises(ObjectUnreadableError):
        await subject.bucket.reports.get_object(key, 100)
