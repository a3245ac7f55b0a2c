"""How many requests may be in flight, and how many may be retried: fewer while S3 throttles or fails."""

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Final

_BURST_SECONDS: Final = 1.0
"""Throttling responses within this time belong to the same burst and count once."""
_RETRY_COST: Final = 5


class AimdLimiter:
    """A limit of requests in flight, with additive increase and multiplicative decrease. Waiters are served in order.

    It is an asynchronous context manager: a request is in flight inside the `async with`.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.in_flight = 0
        self._limit = float(maximum)
        self._last_decrease_at = float("-inf")
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return int(self._limit)

    def on_throttle(self, now: float) -> None:
        """Halve the limit, or the number in flight if it is lower: S3 throttled. `now` is monotonic, in seconds."""
        if now - self._last_decrease_at >= _BURST_SECONDS:
            self._last_decrease_at = now
            self._limit = max(1.0, min(self._limit, self.in_flight) / 2)

    def on_success(self) -> None:
        """Raise the limit a little: after `limit` successes it is about one higher."""
        if self._limit < self.maximum:
            self._limit = min(float(self.maximum), self._limit + 1 / self._limit)
            self._admit()

    async def __aenter__(self) -> None:
        if self.in_flight < self.limit and not self._waiters:
            self.in_flight += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # admitted and cancelled at the same time
                self._leave()
            elif waiter in self._waiters:  # it is not if `_admit` has dropped the cancelled waiter already
                self._waiters.remove(waiter)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiters and self.in_flight < self.limit:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)


@dataclass(slots=True)
class RetryQuota:
    """A quota that limits retries during an outage: successes pay for them, as in the AWS SDKs' standard mode."""

    capacity: int = 500
    available: int = 500

    def acquire(self) -> bool:
        """Take the cost of one retry; return whether there was enough for it."""
        if self.available < _RETRY_COST:
            return False
        self.available -= _RETRY_COST
        return True

    def release(self) -> None:
        """Add one unit after a success; a retry costs several."""
        if self.available < self.capacity:
            self.available += 1
