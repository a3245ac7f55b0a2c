"""HTTP/1.1 on Sanic's server, read as strictly as a proxy in front may read it, with a deadline for everything.

Sanic accepts framing that other programs read differently, which allows request smuggling (RFC 9112, section 11.2), and
lets a client hold a connection for hours.
"""

import asyncio
import re
import socket
from contextlib import suppress
from typing import Any, Final

from sanic.exceptions import BadRequest, PayloadTooLarge, SanicException
from sanic.http import Http, Stage
from sanic.http.http1 import HTTP_CONTINUE
from sanic.server.protocols.http_protocol import HttpProtocol

MAX_HEADER_BYTES: Final = 32 * 1024
"""Cookies and tokens of an authenticating proxy need more than Sanic's 8 kB."""
MAX_CHUNK_LINE_BYTES: Final = 256
MAX_TRAILER_BYTES: Final = 8 * 1024
SEND_BUFFER_BYTES: Final = 128 * 1024
"""The kernel's buffer of a connection. Without a bound, a client that reads slowly pins megabytes."""
WRITE_BYTES: Final = 64 * 1024
WRITE_TIMEOUT_SECONDS: Final = 20.0
"""How long a client may take to read what does not fit into the buffers. Sanic's RESPONSE_TIMEOUT is longer."""
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 64 * 1024 * 1024

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD: Final = re.compile(
    _TOKEN + rb" [!-~]+ HTTP/1\.[01](?:\r\n" + _TOKEN + rb":[\t -\xff]*)*",
)
_HOST: Final = re.compile(rb"\r\nhost:([^\r]*)", re.IGNORECASE)
_HOST_VALUE: Final = re.compile(rb"[0-9A-Za-z._~!$&'()*+,;=%:\[\]-]*")
_TRANSFER_ENCODING: Final = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_FRAMING: Final = re.compile(rb"\r\n(?:content-length|transfer-encoding):([^\r]*)", re.IGNORECASE)
_FRAMING_VALUE: Final = re.compile(rb"[0-9]{1,19}|chunked")
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t -\xff]*)?")
_TRAILER: Final = re.compile(rb"(?:" + _TOKEN + rb":[\t -\xff]*\r\n)*")


class HeadersTooLargeError(SanicException):
    """The header section is longer than MAX_HEADER_BYTES."""

    status_code = 431
    quiet = True


class StrictHttp(Http):
    """One connection. A request that another program could read differently is 400, and the connection is closed."""

    HEADER_MAX_SIZE = 2 * MAX_HEADER_BYTES  # Sanic's own limit, which ours is below
    __slots__ = ()
    request_body: Any
    request_bytes: Any
    request_bytes_left: Any
    request_max_size: Any
    response: Any

    async def http1(self) -> None:
        """Handle the requests of the connection; see `Http.http1`."""
        await super().http1()  # type: ignore[no-untyped-call]
        if not self.keep_alive and self.response is not None and self.response.status >= 400:  # noqa: PLR2004
            await self._linger()

    async def http1_request_header(self) -> None:
        """Receive and check the header section before Sanic parses it.

        Raises:
            HeadersTooLargeError: It is longer than MAX_HEADER_BYTES.
            BadRequest: It is not HTTP/1, or can be read in more than one way.
        """
        head = await self._receive_head()
        is_http_1_0 = head.partition(b"\r\n")[0].endswith(b"0")
        hosts = _HOST.findall(head)
        if (
            not _HEAD.fullmatch(head)
            or len(hosts) > 1
            or (not hosts and not is_http_1_0)
            or not all(_HOST_VALUE.fullmatch(value.strip(b" \t")) for value in hosts)
            # Sanic decodes first: it strips spaces and reads digits that only Unicode knows.
            or not all(_FRAMING_VALUE.fullmatch(value.strip(b" \t")) for value in _FRAMING.findall(head))
            or (is_http_1_0 and _TRANSFER_ENCODING.search(head))
        ):
            raise BadRequest("Bad Request")
        await super().http1_request_header()  # type: ignore[no-untyped-call]
        self.upgrade_websocket = False  # there are no websockets, and Sanic would switch off the timeouts

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:  # noqa: FBT001 -- Sanic's signature
        """Send the response, a long one in parts, so that a client that reads slowly pins no more than a part of it."""
        body = data or self.response.body or b""
        if not end_stream or self.head_only or len(body) <= WRITE_BYTES:
            await super().http1_response_header(data, end_stream)
            return
        self.response.headers["content-length"] = len(body)
        self.response.body = b""  # or Sanic would send all of it
        await super().http1_response_header(body[:WRITE_BYTES], end_stream=False)
        for start in range(WRITE_BYTES, len(body), WRITE_BYTES):
            await self.http1_response_normal(body[start : start + WRITE_BYTES], end_stream=False)

    async def read(self) -> bytes | None:
        """Return some bytes of the body, None at its end. Chunk extensions and trailers are dropped.

        Raises:
            BadRequest: The chunks are not framed as RFC 9112 demands.
            PayloadTooLarge: The body is longer than `request_max_size`.
        """
        if self.expecting_continue:
            self.expecting_continue = False
            await self._send(HTTP_CONTINUE)
        buffer = self.recv_buffer
        if self.request_body == "chunked" and not self.request_bytes_left:
            self.request_bytes_left = await self._read_chunk_size()
            self.request_bytes += self.request_bytes_left
            if not self.request_bytes_left:
                await self._drop_trailer()
        if self.request_bytes > self.request_max_size:
            self.keep_alive = False
            raise PayloadTooLarge("Request body exceeds the size limit")
        if not self.request_bytes_left:
            self.request_body = None
            return None
        if not buffer:
            await self._receive_more()
        data = bytes(buffer[: self.request_bytes_left])
        del buffer[: len(data)]
        self.request_bytes_left -= len(data)
        return data

    async def _receive_head(self) -> bytes:
        buffer, searched = self.recv_buffer, 0
        while (end := buffer.find(b"\r\n\r\n", searched)) == -1:
            if len(buffer) > MAX_HEADER_BYTES:
                raise HeadersTooLargeError
            if _BARE_LINE_FEED.search(buffer, searched):  # other programs end a line there
                raise BadRequest("Bad Request")
            searched = max(0, len(buffer) - 3)
            await self._receive_more()
        if end > MAX_HEADER_BYTES:
            raise HeadersTooLargeError
        return bytes(buffer[:end])

    async def _read_chunk_size(self) -> int:
        # The line break of the header section, or of the chunk before, is still in the buffer.
        if await self._read_line(0) != b"":
            raise self._reject_chunks()
        match = _CHUNK_LINE.fullmatch(await self._read_line(MAX_CHUNK_LINE_BYTES))
        if match is None:
            raise self._reject_chunks()
        return int(match[1], 16)

    async def _drop_trailer(self) -> None:
        trailer = b""
        while line := await self._read_line(MAX_TRAILER_BYTES - len(trailer)):
            trailer += line + b"\r\n"
        if not _TRAILER.fullmatch(trailer):
            raise self._reject_chunks()

    async def _read_line(self, max_bytes: int) -> bytes:
        """Return the next line of at most `max_bytes`, without its line break."""
        buffer = self.recv_buffer
        while (end := buffer.find(b"\r\n")) == -1 and len(buffer) <= max_bytes + 1:
            await self._receive_more()
        if not 0 <= end <= max_bytes:
            raise self._reject_chunks()
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        return line

    def _reject_chunks(self) -> BadRequest:
        self.keep_alive = False
        self.request_body = None  # otherwise Sanic reads on
        return BadRequest("Bad chunked encoding")

    async def _linger(self) -> None:
        """Drop what the client still sends, for a bounded time.

        A socket that is closed with unread bytes resets the connection, and the client may lose the response.
        """
        transport = self.protocol.transport
        if transport is None or transport.is_closing():
            return
        transport.write_eof()
        dropped = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while dropped < LINGER_BYTES:
                    dropped += len(self.recv_buffer)
                    self.recv_buffer.clear()
                    await self._receive_more()


class ServiceProtocol(HttpProtocol):
    """The protocol of all connections to the API.

    REQUEST_TIMEOUT counts from the first byte of the header section. Sanic counts from the last byte, so a client that
    sends one byte a second holds its connection for hours. For the same reason, KEEP_ALIVE_TIMEOUT limits the rest of
    an unread body, counted from the response.
    """

    HTTP_CLASS = StrictHttp
    __slots__ = ("_write_deadline",)

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 -- uvloop's or asyncio's
        """Take a new connection."""
        self._write_deadline: asyncio.TimerHandle | None = None
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        super().connection_made(transport)  # type: ignore[no-untyped-call]

    def data_received(self, data: bytes) -> None:
        """Receive bytes without restarting the timeout of an incomplete header section or of an unread body."""
        http = getattr(self, "_http", None)  # a task sets it, and the first bytes may arrive before
        keeps_deadline = http is not None and (
            http.stage is Stage.REQUEST or (http.stage is Stage.IDLE and bool(http.request_body))
        )
        started = self._time if keeps_deadline else None
        super().data_received(data)
        if started is not None:
            self._time = started

    async def send(self, data: bytes) -> None:
        """Send a response. Between pipelined requests, the other connections have their turn."""
        await super().send(data)  # type: ignore[no-untyped-call]
        if self.recv_buffer:
            await asyncio.sleep(0)

    def pause_writing(self) -> None:
        """Stop writing until the client reads; it has WRITE_TIMEOUT_SECONDS."""
        super().pause_writing()  # type: ignore[no-untyped-call]
        if self.transport is not None:
            self._write_deadline = self.loop.call_later(WRITE_TIMEOUT_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue to write."""
        super().resume_writing()  # type: ignore[no-untyped-call]
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None
