"""The real HTTP application on loopback, in this thread's own event loop, and a client that keeps its connection."""

import asyncio
import json
import socket
from dataclasses import dataclass
from typing import Any

from sanic import Sanic

from service.app import build_app
from service.context import Context
from service.http_protocol import ServiceProtocol


@dataclass(frozen=True, slots=True)
class Response:
    """One response of the service."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON; empty without a body."""
        document: dict[str, Any] = json.loads(self.body) if self.body else {}
        return document


class LoopbackService:
    """The application, serving a context that can be exchanged between requests."""

    def __init__(self, context: Context) -> None:
        self.loop = asyncio.new_event_loop()
        Sanic.test_mode = True  # several in one process
        self.app = build_app(context, drain_seconds=0)
        self._server: Any = None
        self._port = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.loop.run_until_complete(self._start())

    def serve(self, context: Context) -> None:
        """From now on serve this context."""
        self.app.ctx.context = context

    def request(self, method: str, path: str, body: bytes = b"") -> Response:
        """Send one request and return its response."""
        return self.loop.run_until_complete(asyncio.wait_for(self._request(method, path, body), 10))

    def stop(self) -> None:
        """Close the connection, the server and the loop."""
        self.loop.run_until_complete(self._stop())
        self.loop.close()
        Sanic.unregister_app(self.app)

    async def _start(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))  # Sanic takes port 0 for its default, 8000
        server: Any = await self.app.create_server(
            sock=listening, return_asyncio_server=True, protocol=ServiceProtocol, access_log=False
        )
        self._server = server
        await server.startup()
        await server.before_start()
        await server.after_start()
        self._port = listening.getsockname()[1]

    async def _stop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()
        await self._server.before_stop()
        self._server.close()
        await self._server.wait_closed()
        await self._server.after_stop()

    async def _request(self, method: str, path: str, body: bytes) -> Response:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/json\r\n" if body else ""
        writer.write(head.encode() + b"\r\n" + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        length = int(headers.get("content-length", "0"))
        response = Response(int(lines[0].split()[1]), headers, await reader.readexactly(length))
        if headers.get("connection", "").lower() == "close":
            writer.close()
            self._streams = None
        return response
