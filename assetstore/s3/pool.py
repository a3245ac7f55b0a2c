"""A bounded pool of connections: first come, first served; the warmest connection first; stale ones replaced."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from assetstore.s3.connection import Connection, StaleConnectionError
from assetstore.s3.message import Answer, NoAnswerError, Request

if TYPE_CHECKING:
    from asyncio import Future

IDLE_SECONDS: Final = 50.0
"""A connection quiet for longer is not used again: NAT gateways and load balancers forget them without a word."""
AGE_SECONDS: Final = 600.0
"""A connection older than this is replaced, so that a change in DNS is followed."""
CLOSE_SECONDS: Final = 1.0


class Pool:
    """Sends requests over as many connections as needed, `size` at most. Bound to the event loop that first uses it."""

    __slots__ = ("_dial", "_idle", "_is_closed", "_open", "_waiting", "busy", "limit", "size")

    def __init__(self, dial: Callable[[], Awaitable[Connection]], size: int) -> None:
        self.size = size
        """The most connections there may be."""
        self.limit = size
        """How many requests may be under way now: at most `size`, fewer while S3 asks for patience."""
        self._dial = dial
        self.busy = 0
        """How many requests are under way."""
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiting: deque[Future[None]] = deque()
        self._is_closed = False

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    async def send(self, request: Request) -> Answer:
        """Send the request once and bring its whole answer.

        A kept-alive connection that S3 had already closed does not count: the request goes over a new one. S3 closes
        idle connections as it likes, and a request that met such an end was not answered, though it may, rarely, have
        been done: every request of ours may be repeated (see `assetstore.s3.caller`).

        Raises:
            NoAnswerError: no connection, or no whole answer in time.
        """
        if self.busy < self.limit and not self._waiting:
            self.busy += 1
        else:
            await self._wait_for_place()
        try:
            connection = self._warmest()
            if connection is not None:
                try:
                    return await connection.exchange(request)
                except StaleConnectionError:
                    pass
                finally:
                    self._take_back(connection)
            connection = await self._open_one()
            try:
                return await connection.exchange(request)
            finally:
                self._take_back(connection)
        finally:
            self.busy -= 1
            if self._waiting:
                self.admit()

    async def close(self) -> None:
        """Close what is idle, and what is under way once it is answered; nothing can be sent any more."""
        self._is_closed = True
        closing = [*self._idle]
        self._idle.clear()
        for connection in closing:
            connection.close()
        if closing:
            await asyncio.wait([connection.closed for connection in closing], timeout=CLOSE_SECONDS)
        for connection in closing:  # TLS says goodbye and waits for an answer: not for ever
            connection.abort()

    # --- places, first come, first served -----------------------------------------------------------------------------

    async def _wait_for_place(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled():  # given a place and cancelled at once: pass it on
                self.busy -= 1
                self.admit()
            elif place in self._waiting:
                self._waiting.remove(place)
            raise

    def admit(self) -> None:
        """Let in those who wait, as far as `limit` allows: to be called when it was raised."""
        while self._waiting and self.busy < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self.busy += 1
                place.set_result(None)

    # --- connections --------------------------------------------------------------------------------------------------

    def _warmest(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            is_young = now - connection.opened_at < AGE_SECONDS and now - connection.quiet_since < IDLE_SECONDS
            if connection.is_reusable and is_young:
                return connection
            connection.close()
        return None

    async def _open_one(self) -> Connection:
        if self._is_closed:
            raise NoAnswerError("the connections are closed: this program is stopping", was_sent=False, is_final=True)
        connection = await self._dial()
        self._open.add(connection)
        connection.closed.add_done_callback(lambda _: self._forget(connection))
        return connection

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _take_back(self, connection: Connection) -> None:
        if self._is_closed:
            connection.close()
        elif connection.is_reusable:
            self._idle.append(connection)
