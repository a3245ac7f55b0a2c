"""A proxy between a program and S3 that injects a fault into each request that a test chooses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tests.support.http_messages import Message, read_request, read_response


class Fault(StrEnum):
    """What the proxy does to one request."""

    NONE = "none"
    NOT_SENT = "not sent"
    """The connection is closed before the server sees it."""
    LOST = "reset after it took effect"
    HUNG = "hangs after it took effect"
    """No response, for HANG_SECONDS or until the client closes."""
    CUT = "response cut in half"
    TWICE = "two responses"
    GARBAGE = "a response that is not HTTP"
    SLOW_DOWN = "503 SlowDown"
    BROKEN = "500 InternalError"
    CONFLICT = "409 ConditionalRequestConflict"
    FAILED = "412 PreconditionFailed"
    ERROR_IN_200 = "200 with an error in its body"
    """Only CopyObject and CompleteMultipartUpload do that; other requests get a 500."""


HANG_SECONDS: Final = 8.0
FAULTS: Final = tuple(fault for fault in Fault if fault is not Fault.NONE)
_ERROR_RESPONSES: Final = {
    Fault.SLOW_DOWN: ("503 Slow Down", "SlowDown"),
    Fault.BROKEN: ("500 Internal Server Error", "InternalError"),
    Fault.CONFLICT: ("409 Conflict", "ConditionalRequestConflict"),
    Fault.FAILED: ("412 Precondition Failed", "PreconditionFailed"),
    Fault.ERROR_IN_200: ("200 OK", "InternalError"),
}

Decide = Callable[[Message], tuple[Fault, float]]
"""What becomes of a request, and for how many seconds it is held up first."""
ExchangeObserver = Callable[[Message, Message], None]
"""Observes each request that reached the server, with the server's response."""


@dataclass(slots=True)
class Proxy:
    """The proxy, listening."""

    host: str
    upstream_port: int
    decide: Decide
    observe: ExchangeObserver
    requests: int = 0
    faults: int = 0
    port: int = 0
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve a client."""
        task = asyncio.create_task(self.serve(reader, writer))
        self.connections[task] = writer
        task.add_done_callback(self.connections.pop)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client's connection, paired with one to the server."""
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while (request := await read_request(reader, writer)) is not None:
                self.requests += 1
                fault, seconds = self.decide(request)
                self.faults += fault is not Fault.NONE
                if seconds:
                    await asyncio.sleep(seconds)
                if fault is Fault.ERROR_IN_200 and not _begins_early(request):
                    fault = Fault.BROKEN
                if fault in _ERROR_RESPONSES:
                    writer.write(_error_response(fault, request.method))
                    await writer.drain()
                    continue
                if fault is Fault.NOT_SENT:
                    return
                if upstream is None:
                    upstream = await asyncio.open_connection(self.host, self.upstream_port)
                upstream[1].write(request.head + request.body)
                response = await read_response(upstream[0], request.method)
                self.observe(request, response)
                if fault is Fault.HUNG:
                    with suppress(TimeoutError):  # until the client closes; for a copy that takes minutes
                        await asyncio.wait_for(reader.read(), HANG_SECONDS)
                if fault in {Fault.LOST, Fault.HUNG}:
                    return
                writer.write(_damage(fault, response.head + response.body))
                await writer.drain()
                if fault in {Fault.CUT, Fault.GARBAGE} or response.closes or request.closes:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # one side closed: close the other
        finally:
            for each in (writer, *(upstream[1:] if upstream else ())):
                with suppress(RuntimeError):  # the loop is closing
                    each.close()


@asynccontextmanager
async def running_proxy(
    host: str, upstream_port: int, decide: Decide, observe: ExchangeObserver = lambda _request, _response: None
) -> AsyncIterator[Proxy]:
    """Run a proxy on a free port of loopback."""
    proxy = Proxy(host, upstream_port, decide, observe)
    server = await asyncio.start_server(proxy.accept, host, 0, limit=1 << 20)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for writer in proxy.connections.values():
            writer.close()
        await asyncio.wait(proxy.connections, timeout=5) if proxy.connections else None


def _begins_early(request: Message) -> bool:
    """Return whether S3 begins its response to this request before the work is done."""
    return "x-amz-copy-source" in request.headers or (request.method == "POST" and "uploadId=" in request.target)


def _damage(fault: Fault, whole: bytes) -> bytes:
    match fault:
        case Fault.CUT:
            return whole[: len(whole) // 2]
        case Fault.TWICE:
            return whole + whole
        case Fault.GARBAGE:
            return whole[::-1]
        case _:
            return whole


def _error_response(fault: Fault, method: str) -> bytes:
    status, code = _ERROR_RESPONSES[fault]
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return head if method == "HEAD" else head + body
