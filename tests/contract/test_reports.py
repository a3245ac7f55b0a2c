"""The reports' objects: read and written whole, without conditions."""

import pytest

from assetstore.errors import StoreUnavailableError
from tests.contract.stores import BUCKET, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_report_is_read_as_it_was_written(subject: Subject) -> None:
    """The latest write is what is read, with its content type for whoever opens it by hand."""
    key = subject.key("report.json")
    await subject.bucket.reports.put(key, b'{"old": 1}', "application/json")
    await subject.bucket.reports.put(key, b'{"new": 1}', "application/json")

    assert await subject.bucket.reports.get(key, 100) == b'{"new": 1}'
    assert subject.store.raw.head_object(Bucket=BUCKET, Key=key)["ContentType"] == "application/json"


async def test_a_missing_report_is_none(subject: Subject) -> None:
    """Before the first run there is none, and that is no error."""
    assert await subject.bucket.reports.get(subject.key("report.json"), 100) is None


async def test_an_object_that_is_too_long_is_not_read_whole(subject: Subject) -> None:
    """Somebody else's object in a report's place cannot fill the service's memory."""
    key = subject.key("report.json")
    subject.store.put(key, b"x" * 101)

    assert await subject.bucket.reports.get(key, 101) == b"x" * 101
    with pytest.raises(StoreUnavailableError):
        await subject.bucket.reports.get(key, 100)
