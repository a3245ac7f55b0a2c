"""One S3 call as a choice point: the door that asks a scheduler before each call, and what may become of the call."""

import types
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from assetstore.door import Head, Page, Said
from tests.memory_s3 import MemoryS3


class Fate(StrEnum):
    """What becomes of one call."""

    OK = "ok"
    NOT_SENT = "not sent"
    """No effect; the caller is told that S3 could not be reached."""
    LOST = "lost"
    """It takes effect, but the caller is told that S3 could not be reached."""
    RETRIED = "retried"
    """It takes effect, the answer is lost, the SDK sends it again, and the caller gets the second answer."""
    DOUBLED = "doubled"
    """It takes effect and is answered, and a second copy of it is on its way, to land whenever."""
    LATE = "late"
    """The caller is told that S3 could not be reached; the request lands whenever, or never."""
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"


READ_FATES: Final = (Fate.NOT_SENT,)
"""A crash at a read is the same as one after the write before it."""
WRITE_FATES: Final = tuple(fate for fate in Fate if fate is not Fate.OK)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that waits for its fate."""

    operation: str
    key: str
    act: Callable[[], Any]
    fates: Sequence[Fate] = ()
    """The faults that can befall it."""


@types.coroutine
def ask(call: Call) -> Generator[Call, Any, Any]:
    """Hand the call to the scheduler; what it answers."""
    return (yield call)


T = TypeVar("T")


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waited")


@dataclass(frozen=True, slots=True)
class SteppedDoor:
    """`assetstore.door.Door` on the in-memory S3, asking before each call.

    A copy is two steps, as on S3: the source is read (and compared) when it begins, the target is compared and
    written when it ends, minutes later for a large object.
    """

    s3: MemoryS3

    async def head(self, key: str) -> Head | None:
        """See `Door.head`."""
        found: Head | None = await ask(Call("head", key, lambda: run_now(self.s3.head(key)), READ_FATES))
        return found

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """See `Door.put_if`."""
        operation = f"put {said.metadata['status']}"
        act = lambda: run_now(self.s3.put_if(key, body, said, etag=etag))  # noqa: E731 -- reads like its neighbours
        written: str = await ask(Call(operation, key, act, WRITE_FATES))
        return written

    async def copy_if(self, source: str, source_etag: str, target: str, target_etag: str, said: Said) -> str:
        """See `Door.copy_if`."""
        body: bytes = await ask(Call("copy from", source, lambda: self.s3.read_source(source, source_etag)))
        act = lambda: self.s3.finish_copy(body, target, target_etag, said)  # noqa: E731 -- as above
        written: str = await ask(Call("copy to", target, act, WRITE_FATES))
        return written

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""
        act = lambda: run_now(self.s3.list_page(prefix, start_after))  # noqa: E731 -- as above
        page: Page = await ask(Call("list", prefix, act, READ_FATES))
        return page

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `Door.delete_many`."""
        act = lambda: run_now(self.s3.delete_many(keys))  # noqa: E731 -- as above
        failed: Mapping[str, str] = await ask(Call("delete", " ".join(keys), act, WRITE_FATES))
        return failed
