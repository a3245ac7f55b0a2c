"""One S3 call as a choice point: a store that waits for the scheduler before each call, and the outcomes of a call."""

import types
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from assetuploader.store import (
    CompletedPart,
    ListPage,
    ObjectAttributes,
    ObjectInfo,
    OpenUploadPage,
    UploadedPart,
    UploadMarker,
)
from tests.support.in_memory_s3 import InMemoryS3, Stored


class StepOutcome(StrEnum):
    """What happens to one call."""

    OK = "ok"
    NOT_SENT = "not sent"
    """It has no effect, and the caller learns that S3 could not be reached."""
    LOST = "lost"
    """It takes effect, but the caller learns that S3 could not be reached."""
    RETRIED = "retried"
    """It takes effect, its response is lost, the client sends it again, and the caller gets the second response."""
    DOUBLED = "doubled"
    """It takes effect, the caller gets the response, and a second copy of it arrives at any later time."""
    LATE = "late"
    """The caller learns that S3 could not be reached; the request arrives at any later time, or never."""
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"


READ_OUTCOMES: Final = (StepOutcome.NOT_SENT,)
"""A crash at a read is the same as a crash after the write before it."""
WRITE_OUTCOMES: Final = tuple(outcome for outcome in StepOutcome if outcome is not StepOutcome.OK)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that waits for the scheduler."""

    operation: str
    key: str
    act: Callable[[], Any]
    outcomes: Sequence[StepOutcome] = ()
    """The faults that can happen to it."""


@types.coroutine
def perform(call: Call) -> Generator[Call, Any, Any]:
    """Hand the call to the scheduler; return its result."""
    return (yield call)


T = TypeVar("T")


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("the coroutine waited")


@dataclass(frozen=True, slots=True)
class SteppedStore:
    """An `ObjectStore` and `MultipartStore` on the in-memory S3 that waits for the scheduler before each call.

    A copy has two steps, as on S3: the source is compared and read when the copy begins, and the target is compared and
    written when it ends, which takes minutes for a large object.
    """

    s3: InMemoryS3

    async def head_object(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head_object`."""
        found: ObjectInfo | None = await perform(
            Call("head_object", key, lambda: run_now(self.s3.head_object(key)), READ_OUTCOMES)
        )
        return found

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """See `ObjectStore.put_object`."""
        operation = f"put {attributes.metadata.get('status', 'a marker')}"
        act = lambda: run_now(self.s3.put_object(key, body, attributes, if_match=if_match, if_none_match=if_none_match))  # noqa: E731 -- one step of the schedule
        written: str = await perform(Call(operation, key, act, WRITE_OUTCOMES))
        return written

    async def copy_object(  # noqa: PLR0913 -- the interface's
        self,
        source: str,
        target: str,
        attributes: ObjectAttributes,
        *,
        source_if_match: str,
        if_match: str,
        max_seconds: float | None = None,  # noqa: ARG002
    ) -> str:
        """See `ObjectStore.copy_object`. The fault `LATE` stands for the end of `max_seconds`."""
        read: Stored = await perform(Call("copy from", source, lambda: self.s3.read_source(source, source_if_match)))
        act = lambda: self.s3.finish_copy(read, target, if_match, attributes)  # noqa: E731 -- one step of the schedule
        written: str = await perform(Call("copy to", target, act, WRITE_OUTCOMES))
        return written

    async def get_object(self, key: str, max_bytes: int, *, if_match: str | None = None) -> bytes | None:
        """See `ObjectStore.get_object`."""
        act = lambda: run_now(self.s3.get_object(key, max_bytes, if_match=if_match))  # noqa: E731 -- one step of the schedule
        body: bytes | None = await perform(Call("get_object", key, act, READ_OUTCOMES))
        return body

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """See `ObjectStore.list_objects`."""
        act = lambda: run_now(self.s3.list_objects(prefix, start_after))  # noqa: E731 -- one step of the schedule
        page: ListPage = await perform(Call("list", prefix, act, READ_OUTCOMES))
        return page

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """See `ObjectStore.delete_object`."""
        act = lambda: run_now(self.s3.delete_object(key, if_match=if_match))  # noqa: E731 -- one step of the schedule
        await perform(Call("delete", key, act, WRITE_OUTCOMES))

    async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `ObjectStore.delete_objects`."""
        act = lambda: run_now(self.s3.delete_objects(keys))  # noqa: E731 -- one step of the schedule
        failed: Mapping[str, str] = await perform(Call("delete", " ".join(keys), act, WRITE_OUTCOMES))
        return failed

    async def create_multipart_upload(self, key: str, attributes: ObjectAttributes) -> str:
        """See `MultipartStore.create_multipart_upload`."""
        act = lambda: run_now(self.s3.create_multipart_upload(key, attributes))  # noqa: E731 -- one step of the schedule
        upload_id: str = await perform(Call("create upload", key, act, WRITE_OUTCOMES))
        return upload_id

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """See `MultipartStore.complete_multipart_upload`."""
        act = lambda: run_now(  # noqa: E731 -- one step of the schedule
            self.s3.complete_multipart_upload(key, upload_id, parts, if_match=if_match, size=size)
        )
        etag: str = await perform(Call("complete", f"{key} {upload_id}", act, WRITE_OUTCOMES))
        return etag

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """See `MultipartStore.abort_multipart_upload`."""
        act = lambda: run_now(self.s3.abort_multipart_upload(key, upload_id))  # noqa: E731 -- one step of the schedule
        await perform(Call("abort", f"{key} {upload_id}", act, WRITE_OUTCOMES))

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        """See `MultipartStore.list_parts`."""
        act = lambda: run_now(self.s3.list_parts(key, upload_id))  # noqa: E731 -- one step of the schedule
        parts: Sequence[UploadedPart] = await perform(Call("list parts", key, act, READ_OUTCOMES))
        return parts

    async def list_multipart_uploads(self, prefix: str, marker: UploadMarker | None = None) -> OpenUploadPage:
        """See `MultipartStore.list_multipart_uploads`."""
        act = lambda: run_now(self.s3.list_multipart_uploads(prefix, marker))  # noqa: E731 -- one step of the schedule
        page: OpenUploadPage = await perform(Call("list uploads", prefix, act, READ_OUTCOMES))
        return page
