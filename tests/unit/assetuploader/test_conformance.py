"""The check of conditional deletion recognizes a store that breaks the promise, and blames no other."""

import pytest

from assetuploader.conformance import CHECK_DELETE_KEY, CHECK_KEY, check_conditional_delete
from assetuploader.errors import StoreAccessDeniedError, StoreUnsupportedError
from assetuploader.store import ObjectAttributes
from tests.support.in_memory_s3 import InMemoryS3


class DeletesAnyVersion(InMemoryS3):
    """An S3 that ignores the condition."""

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """Delete whatever is there."""
        await InMemoryS3.delete_object(self, key, if_match=self.objects[key].etag or if_match)


class DeniesDeletions(InMemoryS3):
    """An S3 whose policy allows no deletions."""

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """Refuse."""
        raise StoreAccessDeniedError(f"{key} {if_match}")


async def test_a_conforming_store_passes_repeatedly() -> None:
    """The check deletes nothing, and does not touch the object that other checks need."""
    s3 = InMemoryS3()
    for _ in range(2):
        await check_conditional_delete(s3)
    assert s3.writes == [("put_object", CHECK_DELETE_KEY)]
    assert s3.calls == [("put_object", CHECK_DELETE_KEY), ("delete_object", CHECK_DELETE_KEY)] * 2


async def test_a_store_that_deletes_any_version_is_recognized() -> None:
    """The message names the request and what it did. The conformance object of the programs is still there."""
    s3 = DeletesAnyVersion()
    s3.store("put_object", CHECK_KEY, b"probe", ObjectAttributes())
    for _ in range(2):
        with pytest.raises(StoreUnsupportedError) as rejected:
            await check_conditional_delete(s3)
        assert str(rejected.value) == (
            "this store ignores conditions: DeleteObject with If-Match deleted although its condition failed"
        )
    assert s3.objects.keys() == {CHECK_KEY}


async def test_a_missing_permission_is_not_a_broken_promise() -> None:
    """A role that may not delete is reported as that."""
    with pytest.raises(StoreAccessDeniedError):
        await check_conditional_delete(DeniesDeletions())
