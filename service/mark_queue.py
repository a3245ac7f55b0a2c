"""One mark of an asset at a time: clients that mark the same asset at once do not make each other start over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from assetuploader.errors import AssetBusyError, AssetError, StoreUnavailableError

MAX_WAITING: Final = 64
"""How many marks of one asset wait in this process. The next one is told to come back."""
MAX_WAIT_SECONDS: Final = 0.5
"""How long a mark waits. With the time that S3 gets, a client has its response within three seconds."""


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0
    """Including the mark that is being written."""
    decided: int = 0
    """How many marks S3 responded to, successful or not."""


@dataclass(frozen=True, slots=True)
class MarkQueue:
    """The marks in progress, by asset. An asset without one has no entry."""

    max_wait_seconds: float = MAX_WAIT_SECONDS
    queues: dict[str, _Queue] = field(default_factory=dict)

    @asynccontextmanager
    async def turn(self, asset_id: str) -> AsyncIterator[None]:
        """Wait until no other mark of this asset is in progress here.

        Raises:
            AssetBusyError: Too many marks of this asset wait, or the wait is too long.
            StoreUnavailableError: The wait is too long, because S3 does not respond to the mark in progress.
        """
        queue = self.queues.setdefault(asset_id, _Queue())
        if queue.length > MAX_WAITING:
            raise AssetBusyError
        queue.length += 1
        decided_before = queue.decided
        try:
            try:
                async with asyncio.timeout(self.max_wait_seconds):
                    await queue.lock.acquire()
            except TimeoutError:
                if queue.decided == decided_before:
                    raise StoreUnavailableError("S3 does not respond to another mark of this asset") from None
                raise AssetBusyError from None
            try:
                yield
                queue.decided += 1
            except AssetError:
                queue.decided += 1
                raise
            finally:
                queue.lock.release()
        finally:
            queue.length -= 1
            if not queue.length:
                del self.queues[asset_id]
