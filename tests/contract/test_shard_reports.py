"""Shard reports are read and written whole, without conditions."""

import pytest

from assetuploader.errors import ObjectUnreadableError
from assetuploader.shard_reports import REPORT_HEADERS
from assetuploader.store import ObjectAttributes
from tests.support.stores import BUCKET, Subject

JSON = ObjectAttributes(headers=REPORT_HEADERS)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_report_is_read_as_it_was_written(subject: Subject) -> None:
    """A read returns the latest write. The content type is there for people who open the report."""
    key = subject.key("report.json")
    await subject.bucket.reports.put_object(key, b'{"old": 1}', JSON)
    await subject.bucket.reports.put_object(key, b'{"new": 1}', JSON)

    assert await subject.bucket.reports.get_object(key, 100) == b'{"new": 1}'
    assert subject.store.raw.head_object(Bucket=BUCKET, Key=key)["ContentType"] == "application/json"


async def test_a_missing_report_is_none(subject: Subject) -> None:
    """Before the first run there is no report, which is not an error."""
    assert await subject.bucket.reports.get_object(subject.key("report.json"), 100) is None


async def test_an_object_that_is_too_long_is_not_read_whole(subject: Subject) -> None:
    """An object of another program at a report's key cannot fill the service's memory."""
    key = subject.key("report.json")
    subject.store.put(key, b"x" * 101)

    assert await subject.bucket.reports.get_object(key, 101) == b"x" * 101
    with pytest.raises(ObjectUnreadableError):
        await subject.bucket.reports.get_object(key, 100)


async def test_an_empty_object_is_not_an_outage(subject: Subject) -> None:
    """It has no bytes in the range of the request: some stores return nothing, others 416."""
    key = subject.key("report.json")
    subject.store.put(key, b"")
    try:
        body = await subject.bucket.reports.get_object(key, 100)
    except ObjectUnreadableError:
        body = b""
    assert body == b""
