"""The real HTTP application on loopback, in this thread's own event loop, and a client that keeps its connection."""

import asyncio
import socket
from typing import Any

from sanic import Sanic

from dev.seaweedfs import HOST
from service.app import build_app
from service.context import Context
from service.http_protocol import ServiceProtocol
from tests.support.load_client import Connection, Response


class LoopbackService:
    """The application, serving a context that can be exchanged between requests."""

    def __init__(self, context: Context) -> None:
        self.loop = asyncio.new_event_loop()
        Sanic.test_mode = True  # several in one process
        self.app = build_app(context, drain_seconds=0)
        self._server: Any = None
        self._connection = Connection(HOST, self.loop.run_until_complete(self._start()), 10)

    def serve(self, context: Context) -> None:
        """Serve this context from now on."""
        self.app.ctx.context = context

    def request(self, method: str, path: str, body: bytes = b"") -> Response:
        """Send one request and return its response."""
        headers = {"content_type": "application/json"} if body else {}
        return self.loop.run_until_complete(self._connection.request(method, path, body, **headers))

    def stop(self) -> None:
        """Close the connection, the server and the loop."""
        self.loop.run_until_complete(self._stop())
        self.loop.close()
        Sanic.unregister_app(self.app)

    async def _start(self) -> int:
        """Start the server; return its port."""
        listening = socket.create_server((HOST, 0))  # Sanic takes port 0 for its default, 8000
        server: Any = await self.app.create_server(
            sock=listening, return_asyncio_server=True, protocol=ServiceProtocol, access_log=False
        )
        self._server = server
        await server.startup()
        await server.before_start()
        await server.after_start()
        port: int = listening.getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._connection.close()
        await self._server.before_stop()
        self._server.close()
        await self._server.wait_closed()
        await self._server.after_stop()
