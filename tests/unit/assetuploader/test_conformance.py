"""The check of conditional deletion recognizes a store that breaks the promise, and blames no other."""

from dataclasses import dataclass

import pytest

from assetuploader.conformance import CHECK_KEY, check_conditional_delete
from assetuploader.errors import PreconditionFailedError, StoreAccessDeniedError, StoreUnsupportedError
from assetuploader.store import ObjectAttributes
from tests.support.in_memory_s3 import InMemoryS3


class DeletesAnyVersion(InMemoryS3):
    """An S3 that ignores the condition."""

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """Delete whatever is there."""
        del if_match
        self.objects.pop(key, None)


class DeletesNothing(InMemoryS3):
    """An S3 whose condition never holds."""

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """Refuse."""
        raise PreconditionFailedError(f"{key} {if_match}")


@dataclass(slots=True)
class SendsTwice(InMemoryS3):
    """An S3 behind a client that repeats each write, because the first response was lost."""

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """Write, and write again."""
        await InMemoryS3.put_object(self, key, body, attributes, if_match=if_match, if_none_match=if_none_match)
        return await InMemoryS3.put_object(self, key, body, attributes, if_match=if_match, if_none_match=if_none_match)

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """Delete, and delete again."""
        await InMemoryS3.delete_object(self, key, if_match=if_match)
        await InMemoryS3.delete_object(self, key, if_match=if_match)


@pytest.mark.parametrize("s3", [InMemoryS3(), SendsTwice()], ids=["once", "twice"])
async def test_a_conforming_store_passes_and_keeps_its_objects(s3: InMemoryS3) -> None:
    """A lost response is not a broken promise. The check object of the programs is not touched."""
    s3.store("put_object", CHECK_KEY, b"probe", ObjectAttributes())
    before = dict(s3.objects)
    await check_conditional_delete(s3)
    assert s3.objects == before
    assert CHECK_KEY not in {key for _, key in s3.calls}


@pytest.mark.parametrize(
    ("s3", "message"),
    [
        (
            DeletesAnyVersion(),
            "this store ignores conditions: DeleteObject with If-Match deleted although its condition failed",
        ),
        (
            DeletesNothing(),
            "this store rejects conditions: DeleteObject with If-Match did not delete the version that it names",
        ),
    ],
    ids=["any version", "nothing"],
)
async def test_a_store_that_breaks_the_promise_is_recognized(s3: InMemoryS3, message: str) -> None:
    """The message names the request and what it did."""
    with pytest.raises(StoreUnsupportedError) as rejected:
        await check_conditional_delete(s3)
    assert str(rejected.value) == message


async def test_a_missing_permission_is_not_a_broken_promise() -> None:
    """A role that may not delete is reported as that."""

    class Denies(InMemoryS3):
        async def delete_object(self, key: str, *, if_match: str) -> None:
            """Refuse."""
            raise StoreAccessDeniedError(f"{key} {if_match}")

    with pytest.raises(StoreAccessDeniedError):
        await check_conditional_delete(Denies())
