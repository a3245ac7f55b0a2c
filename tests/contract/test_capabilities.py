"""What a store enforces on upload URLs with signed headers, which declarations rely on, and how it is found."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping

import pytest

from assetuploader.capabilities import Capability, find_capabilities
from assetuploader.errors import PreconditionFailedError, StoreUnavailableError
from assetuploader.keys import CHECK_UPLOAD_KEY
from assetuploader.store import ObjectAttributes
from dev.seaweedfs import HOST, free_port
from tests.contract.conftest import opened
from tests.support.stores import ON_MOTO, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = b"declared"
SHA256 = hashlib.sha256(BODY)
CHECKSUM = b64encode(SHA256.digest()).decode()
DECLARED = {"content-length": str(len(BODY)), "content-type": "text/x-test", "x-amz-checksum-sha256": CHECKSUM}


def without(name: str, headers: Mapping[str, str] = DECLARED) -> dict[str, str]:
    """Return the headers without one of them."""
    return {other: value for other, value in headers.items() if other != name}


async def put(subject: Subject, signed: Mapping[str, str], body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """Upload to a fresh key; return the status, and the key."""
    key = subject.key()
    url = await subject.bucket.presigner.presign_put(key, 60, signed)
    # The client of the tests computes the length of what it sends.
    return subject.http.request("PUT", url.url, body=body, headers=without("content-length", headers)).status, key


@pytest.mark.moto_unsupported("forgets the checksum of a presigned PUT")
async def test_the_declared_upload_is_accepted_and_has_its_checksum(subject: Subject) -> None:
    """Size, type and checksum are signed; HEAD returns the checksum in hexadecimal."""
    status, key = await put(subject, DECLARED, BODY, DECLARED)

    head = await subject.bucket.store.head_object(key)
    assert head is not None
    assert (status, head.size, head.headers["content-type"]) == (200, len(BODY), "text/x-test")
    assert head.sha256 == SHA256.hexdigest()


async def test_an_upload_without_a_checksum_has_none(subject: Subject) -> None:
    """A checksum is what the client sent, never what the store thinks."""
    _, key = await put(subject, {}, BODY, {})

    head = await subject.bucket.store.head_object(key)
    assert head is not None
    assert head.sha256 is None


@pytest.mark.moto_unsupported("ignores signatures")
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY + b".", DECLARED),
        (BODY[:-1], DECLARED),
        (BODY, DECLARED | {"content-type": "text/html"}),
        (BODY, without("content-type")),
        (BODY, without("x-amz-checksum-sha256")),
    ],
    ids=["longer", "shorter", "another type", "no type", "no checksum"],
)
async def test_an_upload_that_is_not_the_declared_one_is_refused(
    subject: Subject, body: bytes, headers: Mapping[str, str]
) -> None:
    """The URL's signature covers the headers, so that S3 takes nothing else."""
    status, key = await put(subject, DECLARED, body, headers)

    assert (status, subject.store.keys(key)) == (403, [])


@pytest.mark.moto_unsupported("compares no checksums")
async def test_other_bytes_of_the_same_length_are_refused(subject: Subject) -> None:
    """The right checksum over other bytes is 400, and nothing is written."""
    status, key = await put(subject, DECLARED, BODY[::-1], DECLARED)

    assert (status, subject.store.keys(key)) == (400, [])


@pytest.mark.moto_unsupported("ignores signatures: a client may leave the header out")
async def test_a_write_once_url_takes_one_upload(subject: Subject) -> None:
    """A second upload is 412, and one without the header 403. Once the object is deleted, there is none."""
    key, once = subject.key(), {"if-none-match": "*"}
    url = (await subject.bucket.presigner.presign_put(key, 60, once)).url
    statuses = []
    for body, headers in ((b"1", once), (b"2", once), (b"3", {})):
        statuses.append(subject.http.request("PUT", url, body=body, headers=headers).status)
    assert (statuses, subject.store.body(key)) == ([200, 412, 403], b"1")
    await subject.bucket.store.delete_objects([key])

    assert subject.http.request("PUT", url, body=b"4", headers=once).status == 200


@pytest.mark.moto_unsupported("forgets the checksum of a presigned PUT")
async def test_a_copy_keeps_the_checksum(subject: Subject) -> None:
    """What a final asset's HEAD says about its bytes is what the client declared."""
    _, key = await put(subject, DECLARED, BODY, DECLARED)
    source = await subject.bucket.store.head_object(key)
    assert source is not None
    target = subject.key("target")
    etag = subject.store.put(target, b"placeholder")
    await subject.bucket.store.copy_object(key, target, ObjectAttributes(), source_if_match=source.etag, if_match=etag)

    head = await subject.bucket.store.head_object(target)
    assert head is not None
    assert head.sha256 == SHA256.hexdigest()


async def test_one_version_is_deleted_and_no_other(subject: Subject) -> None:
    """Another version stays, and a missing object is the same answer: read again."""
    key = subject.key()
    old, new = subject.store.put(key, b"old"), subject.store.put(key, b"new")
    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.delete_object(key, if_match=old)
    assert subject.store.body(key) == b"new"

    await subject.bucket.store.delete_object(key, if_match=new)

    assert subject.store.keys(key) == []
    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.delete_object(key, if_match=new)


@pytest.mark.moto_unsupported("enforces nothing")
async def test_everything_is_found_on_a_store_that_enforces_it_repeatedly(subject: Subject) -> None:
    """The check runs at every start, whatever an earlier one left."""
    before = set(subject.store.keys(""))
    for _ in range(2):
        assert await find_capabilities(subject.bucket) == frozenset(Capability)
    assert set(subject.store.keys("")) - before <= {CHECK_UPLOAD_KEY}


@ON_MOTO
async def test_nothing_is_found_on_a_store_that_ignores_signatures(subject: Subject) -> None:
    """A store that takes what was not declared has no capability, although it takes what was."""
    assert await find_capabilities(subject.bucket) == frozenset()


async def test_an_outage_is_not_a_missing_capability() -> None:
    """Otherwise declarations would be refused until the next start."""
    async with opened(f"http://{HOST}:{free_port()}") as bucket:
        with pytest.raises(StoreUnavailableError):
            await find_capabilities(bucket)
