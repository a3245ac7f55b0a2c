"""One kept-alive HTTP/1.1 connection: one request at a time, one whole answer or none.

httptools (llhttp, as in Sanic and Node) parses strictly. Whatever is not exactly one well-formed answer to what was
asked (cut, garbage, too long, too slow, more than one) ends the connection: nothing on it can be believed any more.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from assetstore.s3.message import Answer, NoAnswerError, Request

if TYPE_CHECKING:
    from asyncio import Future, TimerHandle

HEAD_LIMIT: Final = 64 * 1024
"""Longest head of an answer, in bytes, with the 1xx answers before it. S3's own limit for metadata is 2 kB."""
_FINAL: Final = 200


class StaleConnectionError(NoAnswerError):
    """A kept-alive connection had been closed from the other side when the request was written to it."""


class Connection(asyncio.Protocol):
    """A connection to S3, open or not any more."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_fed",
        "_headers",
        "_heard_at",
        "_is_answered",
        "_is_head_done",
        "_last_id",
        "_loop",
        "_parser",
        "_raw_headers",
        "_request",
        "_rings_at",
        "_started_at",
        "_status",
        "_timer",
        "_transport",
        "_waiter",
        "answers",
        "closed",
        "is_reusable",
        "on_header",
        "opened_at",
        "quiet_since",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: Future[Answer] | None = None
        self._timer: TimerHandle | None = None
        self._rings_at = 0.0
        self._last_id: bytes | None = None
        self._is_answered = True
        self.closed: Future[None] = loop.create_future()
        """Done when the connection is gone."""
        self.answers = 0
        self.is_reusable = True
        """Whether another request may be written: the last answer ended cleanly and S3 keeps the connection."""
        self.opened_at = self.quiet_since = loop.time()

    # --- for the pool -------------------------------------------------------------------------------------------------

    async def exchange(self, request: Request) -> Answer:
        """Write the request and wait for its whole answer.

        Raises:
            StaleConnectionError: the other side had closed the connection before it saw the request.
            NoAnswerError: no whole, believable answer in time.
        """
        transport = self._transport
        if transport is None or not self.is_reusable or transport.is_closing():
            raise StaleConnectionError("the connection was closed", was_sent=False)
        self._request = request
        self._raw_headers: dict[bytes, bytes] = {}
        # httptools calls this for each header: straight into C, for there are a dozen to each answer. One that
        # stands there twice is its last; none that is read here may.
        self.on_header = self._raw_headers.__setitem__
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []
        self._body_bytes = self._fed = 0
        self._is_head_done = self._is_answered = False
        waiter: Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        now = self._started_at = self._heard_at = self._loop.time()
        patience = request.patience
        self._look_by(now + min(patience.silent_seconds, patience.total_seconds))
        self.is_reusable = False
        transport.write(request.data)
        try:
            return await waiter
        finally:
            self._waiter = None
            self.answers += 1
            self.quiet_since = self._loop.time()
            if not self.is_reusable:  # an answer is still on its way, or nothing more will come
                self.abort()

    def close(self) -> None:
        """End the connection in good order."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    # --- for asyncio --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: it is open."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it is gone."""
        self.is_reusable = False
        if self._timer is not None:
            self._timer.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        if self.answers and not self._is_answered and not self._fed:
            self._fail(StaleConnectionError("the kept-alive connection was closed", was_sent=True))
        else:
            how = "closed" if exc is None else f"broken ({type(exc).__name__})"
            self._fail(NoAnswerError(f"the connection was {how} before a whole answer came", was_sent=True))

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._is_answered:  # nothing was asked: whatever this answers, it is not the next request
            self.abort()
            return
        self._heard_at = self._loop.time()
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            # Also after a whole answer: garbage behind it.
            self._fail(NoAnswerError("the answer is not HTTP", was_sent=True))
            self.is_reusable = False
        if not self._is_head_done and self._fed > HEAD_LIMIT:
            self._fail(NoAnswerError("the answer's head is too long", was_sent=True))

    # --- for httptools ------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """httptools: an answer begins."""
        if self._is_answered:  # a second answer to one request
            self.is_reusable = False

    def on_headers_complete(self) -> None:
        """httptools: the head is whole."""
        self._status = self._parser.get_status_code()
        if self._status < _FINAL or self._is_answered:
            return
        self._is_head_done = True
        raw = self._raw_headers  # taken apart in C: there are fifteen of them
        self._headers = dict(zip(map(bytes.lower, raw), map(bytes.strip, raw.values()), strict=True))
        if self._request.is_head:  # llhttp does not know what was asked, and would wait for a body
            is_kept = b"close" not in self._headers.get(b"connection", b"").lower()
            self._answer(is_kept=is_kept and self._parser.get_http_version() == "1.1")

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        if self._is_answered:  # a body after HEAD, or one nobody asked for
            self.is_reusable = False
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._request.body_limit:
            self._fail(NoAnswerError("the answer is too long", was_sent=True, is_final=True))
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        if self._is_answered:
            return
        if self._status < _FINAL:  # 100 Continue and its like announce the answer
            self._raw_headers.clear()
            return
        self._answer(is_kept=self._parser.should_keep_alive())

    # --- how an exchange ends -----------------------------------------------------------------------------------------

    def _answer(self, *, is_kept: bool) -> None:
        answer_id = self._headers.get(b"x-amz-request-id")
        if answer_id is not None and answer_id == self._last_id:
            # The last answer once more, come too late to be seen as such then. It answers another request.
            self._fail(NoAnswerError("the same answer came twice", was_sent=True))
            return
        self._last_id = answer_id
        self._is_answered = True
        self.is_reusable = is_kept
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(Answer(self._status, self._headers, b"".join(self._body)))

    def _fail(self, error: NoAnswerError) -> None:
        self._is_answered = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _look_by(self, when: float) -> None:
        # A timer that is set already is left alone if it rings in time: setting one for each request costs more than
        # looking at the clock for nothing every few seconds.
        if self._timer is not None:
            if self._rings_at <= when:
                return
            self._timer.cancel()
        self._rings_at = when
        self._timer = self._loop.call_at(when, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._is_answered:
            return
        patience = self._request.patience
        ends_at = min(self._heard_at + patience.silent_seconds, self._started_at + patience.total_seconds)
        if ends_at <= self._loop.time():
            self._fail(NoAnswerError("no answer in time", was_sent=True))
        else:
            self._look_by(ends_at)
