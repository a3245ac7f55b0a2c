"""Listing `temp/` by pages, and deleting in batches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from assetuploader.store import ListedObject
from tests.support.stores import BUCKET, Store, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 1_001
"""One more than a page holds."""


@pytest.fixture(scope="module")
def many(running_store: Store) -> Iterator[list[str]]:
    """Create MANY objects; yield their keys in order."""
    keys = [f"many/{number:08x}" for number in range(MANY)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: running_store.put(key, b""), reversed(keys)))
    yield keys
    running_store.raw.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys[:1_000]]})
    running_store.raw.delete_object(Bucket=BUCKET, Key=keys[-1])


async def test_a_page_has_a_thousand_objects_in_order_of_their_keys(subject: Subject, many: list[str]) -> None:
    """In whatever order objects are written, pages are in the order of keys, and only the last is not truncated."""
    first = await subject.bucket.store.list_objects("many/", "many/")
    second = await subject.bucket.store.list_objects("many/", first.objects[-1].key)

    assert [listed.key for listed in (*first.objects, *second.objects)] == many
    assert [(len(page.objects), page.is_truncated) for page in (first, second)] == [(1_000, True), (1, False)]


async def test_a_page_that_is_just_full_is_the_last(subject: Subject, many: list[str]) -> None:
    """Exactly a thousand objects are one page."""
    page = await subject.bucket.store.list_objects("many/", many[0])

    assert (len(page.objects), page.is_truncated) == (1_000, False)


async def test_a_listing_begins_after_a_key_that_need_not_exist(subject: Subject) -> None:
    """A shard may begin anywhere in the id space: its listing begins with the next key in the order of bytes."""
    keys = [subject.key(name) for name in ("0", "00000000-a", "7fffffff-b", "80000000-c", "a", "ffffffff-d")]
    for key in keys:
        subject.store.put(key, b"")

    page = await subject.bucket.store.list_objects(subject.prefix, subject.key("80000000"))

    assert [listed.key for listed in page.objects] == keys[3:]


async def test_a_listing_contains_only_its_prefix(subject: Subject) -> None:
    """A key that only begins like `temp/` is not listed: the prefix includes the slash."""
    for name in ("temp/1", "temp/2", "temporary", "temp", "uploaded/1"):
        subject.store.put(subject.key(name), b"")

    page = await subject.bucket.store.list_objects(subject.key("temp/"), subject.key("temp/"))

    assert [listed.key for listed in page.objects] == [subject.key("temp/1"), subject.key("temp/2")]


async def test_an_empty_listing_is_a_last_page_with_a_clock(subject: Subject) -> None:
    """A bucket without uploads is an ordinary case."""
    page = await subject.bucket.store.list_objects(subject.prefix, subject.prefix)

    assert (page.objects, page.is_truncated, page.server_time.tzinfo) == ([], False, UTC)


async def test_a_listing_carries_the_stores_clock(subject: Subject) -> None:
    """The time of a page is the `Date` of its response: it lies between those of the responses before and after."""

    def date() -> datetime:
        response = subject.store.raw.list_buckets()
        return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])

    before = date()
    page = await subject.bucket.store.list_objects(subject.prefix, subject.prefix)

    assert before <= page.server_time <= date()


async def test_a_listing_sees_what_was_just_written_and_when(subject: Subject) -> None:
    """An object that was just written is listed at once, with the time of its version, on the listing's clock."""
    subject.store.put(subject.key(), b"bytes")

    page = await subject.bucket.store.list_objects(subject.prefix, subject.prefix)

    head = await subject.bucket.store.head_object(subject.key())
    assert head is not None
    assert [(listed.key, listed.last_modified.replace(microsecond=0)) for listed in page.objects] == [
        (subject.key(), head.last_modified)
    ]
    assert timedelta() <= page.server_time - head.last_modified < timedelta(minutes=1)
    assert isinstance(page.objects[0], ListedObject)


@pytest.mark.parametrize("name", ["with space", "plus+plus", "perc%25ent", "a&b=c", "ümlaut", "<xml>", "q?x#y"])
async def test_odd_keys_are_listed_and_deleted_as_they_are(subject: Subject, name: str) -> None:
    """Keys of other programs in `temp/` neither break a listing nor are changed in it."""
    key = subject.key(name)
    subject.store.put(key, b"")

    page = await subject.bucket.store.list_objects(subject.prefix, subject.prefix)
    failed = await subject.bucket.store.delete_objects([key])

    assert [listed.key for listed in page.objects] == [key]
    assert (failed, subject.store.keys(subject.prefix)) == ({}, [])


async def test_a_batch_deletes_a_thousand_at_once(subject: Subject) -> None:
    """One call deletes as many objects as a page lists, and reports no failure."""
    keys = [subject.key(f"{number:04}") for number in range(1_000)]
    for key in keys[::100]:
        subject.store.put(key, b"")
    kept = subject.key("kept")
    subject.store.put(kept, b"")

    failed = await subject.bucket.store.delete_objects(keys)

    assert (failed, subject.store.keys(subject.prefix)) == ({}, [kept])


async def test_deleting_a_missing_object_succeeds(subject: Subject) -> None:
    """Another run may have deleted it already: a missing object counts as deleted."""
    assert await subject.bucket.store.delete_objects([subject.key("never"), subject.key("was")]) == {}
