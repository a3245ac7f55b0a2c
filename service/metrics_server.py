"""The metrics port: `GET /metrics` in the event loop, with a bound on connections and on their time."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

MAX_CONNECTIONS: Final = 64
"""With one more, the oldest connection is closed: whoever holds connections cannot keep Prometheus out."""
CONNECTION_SECONDS: Final = 10.0
"""How long a connection may last. Prometheus opens another one."""


@asynccontextmanager
async def serving_metrics(registry: CollectorRegistry, listening: socket.socket) -> AsyncGenerator[None]:
    """Serve the metrics of this registry until the block ends."""

    async def handle(request: web.BaseRequest) -> web.Response:
        if request.path not in {"/", "/metrics"}:
            return web.Response(status=404, text="The metrics are at /metrics.\n")
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    server = web.Server(handle, access_log=None)
    connections: deque[RequestHandler] = deque()
    loop = asyncio.get_running_loop()

    def connect() -> RequestHandler:
        connection = server()
        loop.call_later(CONNECTION_SECONDS, _abort, connection)
        connections.append(connection)
        if len(connections) > MAX_CONNECTIONS:
            _abort(connections.popleft())
        return connection

    listener = await loop.create_server(connect, sock=listening)
    try:
        yield
    finally:
        listener.close()
        await server.shutdown()


def _abort(connection: RequestHandler) -> None:
    if connection.transport is not None:
        connection.transport.abort()
