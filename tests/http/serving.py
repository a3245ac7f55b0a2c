"""The service on a loopback port, in the test's own event loop, with whatever the test puts behind the door."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
from sanic import Sanic

from assetstore.assets import Assets, mark, reconcile
from assetstore.door import Door
from assetstore.protocol import Rules, temp_key
from service.app import build_app
from service.context import Context, Readiness
from service.metrics import Metrics
from service.requests import PatientProtocol
from tests.http.wire import HOST, connected, parse
from tests.memory_s3 import MemoryS3, etag_of

RULES: Final = Rules(upload_url_seconds=900, grace_seconds=60, unmarked_seconds=86_400)
DOWNLOAD_URL_SECONDS: Final = 60
ANSWER_SECONDS: Final = 20.0
"""A client of these tests gives up after this long: nothing here takes that long unless it hangs."""

_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loads no certificates, which takes httpx longer than most tests."""


def _ids() -> Iterator[UUID]:
    number = 0
    while True:
        number += 1
        yield UUID(int=(number << 64) | (4 << 76) | (8 << 60))


@dataclass(slots=True)
class Service:
    """A running service, its store, and a client of its API."""

    s3: MemoryS3
    assets: Assets
    readiness: Readiness
    client: httpx.AsyncClient
    app: Sanic[Any, Any]
    port: int

    async def create(self) -> tuple[str, str]:
        """A new asset's id and upload URL, by the API."""
        answer = await self.client.post("/asset")
        created = answer.json()
        return created["id"], created["upload_url"]

    async def finalize(self, body: bytes = b"the bytes") -> str:
        """The id of a new asset that is final, pinned to these bytes."""
        asset_id, upload_url = await self.create()
        self.s3.put(upload_url, body)
        await mark(self.assets, asset_id, etag_of(body))
        await reconcile(self.assets, asset_id, self.s3.now)
        await self.s3.delete_many([temp_key(asset_id)])
        return asset_id

    async def expire(self) -> str:
        """The id of a new asset that was given up, the clock as it was."""
        asset_id, upload_url = await self.create()
        self.s3.put(upload_url, b"nobody marks this")
        long_after = self.s3.now.replace(year=self.s3.now.year + 1)
        await reconcile(self.assets, asset_id, long_after)
        return asset_id

    async def say(self, *lines: str, body: bytes = b"") -> httpx.Response:
        """Send a request byte by byte as written, on a connection of its own, and read until the service closes it."""
        head = "\r\n".join((*lines, "Connection: close", "", ""))
        return await self.send(head.encode("latin-1") + body)

    async def send(self, sent: bytes) -> httpx.Response:
        """Send these bytes and read until the service closes the connection."""
        async with connected(self.port, ANSWER_SECONDS) as wire:
            await wire.send(sent)
            return parse(await wire.read())


@asynccontextmanager
async def serving(
    s3: MemoryS3, door: Door | None = None, *, is_store_proven: bool = True, **settings: float
) -> AsyncIterator[Service]:
    """Run the service on a port of its own, `door` (or the in-memory S3) behind it; settings are Sanic's."""
    Sanic.test_mode = True  # several applications in one process may have the same name
    nonces = iter(range(1_000_000))
    ids = _ids()
    assets = Assets(door or s3, s3, RULES, lambda: next(ids), lambda: b"nonce %d" % next(nonces))
    readiness = Readiness(is_store_proven=is_store_proven)
    context = Context(assets, DOWNLOAD_URL_SECONDS, lambda: s3.now, Metrics(), readiness)
    app = build_app(context, drain_seconds=0)
    app.config.update({"TOUCHUP": False, **settings})  # Sanic's rewriting of its own source takes most of a start
    listening = socket.create_server((HOST, 0))
    server: Any = await app.create_server(
        sock=listening, return_asyncio_server=True, access_log=False, protocol=PatientProtocol
    )
    await server.startup()
    await server.before_start()
    await server.start_serving()
    await server.after_start()
    port = listening.getsockname()[1]
    client = httpx.AsyncClient(
        base_url=f"http://{HOST}:{port}", timeout=ANSWER_SECONDS, trust_env=False, verify=_NO_TLS
    )
    try:
        async with client:
            yield Service(s3, assets, readiness, client, app, port)
    finally:
        await server.before_stop()
        server.close()
        for connection in list(server.connections):
            connection.close()
        await server.after_stop()
