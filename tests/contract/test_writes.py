"""Conditional writes: a placeholder is only changed by compare-and-swap."""

import asyncio
import hashlib

import pytest

from assetuploader.errors import PreconditionFailedError
from assetuploader.store import ObjectAttributes
from tests.contract.s3_races import PUTS, winners
from tests.support.stores import ON_SEAWEEDFS, ON_VERSITYGW, Subject

ATTRIBUTES = ObjectAttributes(
    {"status": "pending", "expires-at": "2026-01-01T12:15:00Z"}, {"status": "pending", "a": "b c/d:e"}
)
NOTHING = ObjectAttributes({}, {})
OTHER_ETAG = "0" * 32

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_put_if_none_match_creates_a_missing_object(subject: Subject) -> None:
    """With If-None-Match the first write takes place: bytes, metadata and tags at once."""
    key = subject.key()

    etag = await subject.bucket.store.put_object(key, b"nonce", ATTRIBUTES, if_none_match="*")

    assert subject.store.body(key) == b"nonce"
    assert (subject.store.metadata(key), subject.store.tags(key)) == (ATTRIBUTES.metadata, ATTRIBUTES.tags)
    assert etag == hashlib.md5(b"nonce", usedforsecurity=False).hexdigest()


async def test_a_put_if_none_match_is_refused_when_the_object_exists(subject: Subject) -> None:
    """With If-None-Match the second write fails, and the object stays as the first wrote it."""
    key = subject.key()
    subject.store.put(key, b"first")

    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.put_object(key, b"second", ATTRIBUTES, if_none_match="*")

    assert (subject.store.body(key), subject.store.metadata(key)) == (b"first", {})


async def test_a_put_that_names_the_version_replaces_it_whole(subject: Subject) -> None:
    """With the right If-Match the write takes place, and nothing of the version before remains."""
    key = subject.key()
    store = subject.bucket.store
    before = await store.put_object(
        key, b"first", ObjectAttributes({"a": "1", "b": "2"}, {"a": "1"}), if_none_match="*"
    )

    after = await store.put_object(key, b"second", ObjectAttributes({"c": "3"}, {"c": "3"}), if_match=before)

    assert (subject.store.body(key), subject.store.metadata(key)) == (b"second", {"c": "3"})
    assert subject.store.tags(key) == {"c": "3"}
    assert after != before


async def test_a_put_that_names_another_version_is_refused(subject: Subject) -> None:
    """With a wrong If-Match nothing is written: neither bytes nor metadata nor tags."""
    key = subject.key()
    store = subject.bucket.store
    await store.put_object(key, b"first", ATTRIBUTES, if_none_match="*")

    with pytest.raises(PreconditionFailedError):
        await store.put_object(key, b"second", NOTHING, if_match=OTHER_ETAG)

    assert (subject.store.body(key), subject.store.metadata(key)) == (b"first", ATTRIBUTES.metadata)
    assert subject.store.tags(key) == ATTRIBUTES.tags


async def test_a_put_that_names_a_version_of_a_missing_object_is_refused(subject: Subject) -> None:
    """With If-Match nothing is ever created."""
    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.put_object(subject.key(), b"body", ATTRIBUTES, if_match=OTHER_ETAG)

    assert subject.store.keys(subject.prefix) == []


@ON_SEAWEEDFS
async def test_of_many_first_writes_at_once_one_wins(subject: Subject) -> None:
    """If-None-Match is atomic: of ten writes at the same time one succeeds, and its bytes are stored."""
    key = subject.key()
    store = subject.bucket.store

    results = await asyncio.gather(
        *(store.put_object(key, b"%d" % number, ATTRIBUTES, if_none_match="*") for number in range(10)),
        return_exceptions=True,
    )

    winners = [number for number, result in enumerate(results) if isinstance(result, str)]
    assert [b"%d" % number for number in winners] == [subject.store.body(key)]
    assert sum(isinstance(result, PreconditionFailedError) for result in results) == 9


@ON_SEAWEEDFS
async def test_of_many_replacements_at_once_one_wins(subject: Subject) -> None:
    """If-Match is atomic: of ten writes that name the same version one succeeds, and its bytes are stored."""
    key = subject.key()
    store = subject.bucket.store
    before = subject.store.put(key, b"before")

    results = await asyncio.gather(
        *(store.put_object(key, b"%d" % number, ATTRIBUTES, if_match=before) for number in range(10)),
        return_exceptions=True,
    )

    winners = [number for number, result in enumerate(results) if isinstance(result, str)]
    assert [b"%d" % number for number in winners] == [subject.store.body(key)]
    assert sum(isinstance(result, PreconditionFailedError) for result in results) == 9


@ON_VERSITYGW
async def test_of_two_replacements_at_once_exactly_one_wins(subject: Subject) -> None:
    """If-Match is atomic: of two writes at the same time that name the same version one succeeds, each time."""
    counts = [await winners(subject.bucket.store, PUTS, subject.key(f"race{number}")) for number in range(100)]

    assert counts == [1] * 100


async def test_the_same_bytes_have_the_same_etag(subject: Subject) -> None:
    """A pin identifies bytes: the ETag is the MD5 of what one PUT sent, independent of client and time."""
    etags = {
        await subject.bucket.store.put_object(subject.key("1"), b"bytes", ATTRIBUTES, if_none_match="*"),
        subject.store.put(subject.key("2"), b"bytes"),
        subject.store.put(subject.key("3"), b"bytes"),
    }

    assert etags == {hashlib.md5(b"bytes", usedforsecurity=False).hexdigest()}


async def test_each_nonce_has_an_etag_of_its_own(subject: Subject) -> None:
    """Each transition of a placeholder changes its ETag, so that a condition detects it."""
    key = subject.key()
    store = subject.bucket.store
    etags = [await store.put_object(key, b"nonce 0", ATTRIBUTES, if_none_match="*")]
    for number in range(1, 4):
        etags.append(await store.put_object(key, b"nonce %d" % number, ATTRIBUTES, if_match=etags[-1]))

    assert len(set(etags)) == 4
