"""The service on a loopback port, in the test's event loop, on an object store of the test's choice."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
from sanic import Sanic

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.capabilities import Capability
from assetuploader.conformance import CHECK_ATTRIBUTES, CHECK_KEY
from assetuploader.keys import temp_key
from assetuploader.multipart_service import MultipartService
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import ObjectStore
from service.app import Lifespan, build_app, no_lifespan
from service.context import Context
from service.http_protocol import ServiceProtocol
from service.metrics import Metrics
from service.readiness import Readiness
from tests.support.in_memory_s3 import InMemoryS3, etag_of
from tests.support.raw_connection import HOST, connected, parse

POLICY: Final = LifecyclePolicy(
    upload_url_ttl_seconds=900, grace_seconds=60, expire_after_seconds=86_400, finalize_at_once_bytes=0
)
DOWNLOAD_URL_TTL_SECONDS: Final = 60
MULTIPART_BYTES: Final = 100 * 1024**2
RESPONSE_TIMEOUT_SECONDS: Final = 20.0
"""The timeout of these tests' client. Nothing takes that long unless it hangs."""

_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Without certificates, because httpx needs longer to load them than most tests take."""


def _ids() -> Iterator[UUID]:
    number = 0
    while True:
        number += 1
        yield UUID(int=(number << 64) | (4 << 76) | (8 << 60))


@dataclass(slots=True)
class Service:
    """A running service, its store, and a client of its API."""

    s3: InMemoryS3
    assets: AssetService
    reconciler: AssetReconciler
    readiness: Readiness
    client: httpx.AsyncClient
    app: Sanic[Any, Any]
    port: int
    connections: Collection[Any]
    """The open connections to the service."""

    def count_requests(self, route: str) -> float:
        """Return how many requests of this route had a response of 200."""
        labels = {"route": route, "method": "GET", "status": "200"}
        registry = self.app.ctx.context.metrics.registry
        return registry.get_sample_value("assetuploader_http_requests_total", labels) or 0.0

    async def create(self) -> tuple[str, str]:
        """Create an asset through the API; return its id and upload URL."""
        created = (await self.client.post("/asset")).json()
        return created["id"], created["upload_url"]

    async def finalize(self, body: bytes = b"the bytes") -> str:
        """Create an asset that is final and pinned to these bytes; return its id."""
        asset_id, upload_url = await self.create()
        self.s3.put(upload_url, body)
        await self.assets.mark(asset_id, etag_of(body), self.s3.now)
        await self.reconciler.reconcile(asset_id, self.s3.now)
        await self.s3.delete_objects([temp_key(asset_id)])
        return asset_id

    async def expire(self) -> str:
        """Create an asset that is expired, without moving the clock; return its id."""
        asset_id, upload_url = await self.create()
        self.s3.put(upload_url, b"not marked")
        long_after = self.s3.now.replace(year=self.s3.now.year + 1)
        await self.reconciler.reconcile(asset_id, long_after)
        return asset_id

    async def send_request(self, *lines: str, body: bytes = b"") -> httpx.Response:
        """Send a request exactly as written, on its own connection, and read until the service closes it."""
        head = "\r\n".join((*lines, "Connection: close", "", ""))
        return await self.send(head.encode("latin-1") + body)

    async def send(self, sent: bytes) -> httpx.Response:
        """Send these bytes and read until the service closes the connection."""
        async with connected(self.port, RESPONSE_TIMEOUT_SECONDS) as connection:
            await connection.send(sent)
            return parse(await connection.read())


@asynccontextmanager
async def serving(  # noqa: PLR0913 -- each test names what it is about
    s3: InMemoryS3,
    store: ObjectStore | None = None,
    *,
    store_verified: bool = True,
    may_delete_promised: bool = False,
    policy: LifecyclePolicy = POLICY,
    drain_seconds: float = 0,
    lifespan: Lifespan = no_lifespan,
    **settings: float,
) -> AsyncIterator[Service]:
    """Run the service on a free port, on this store or the in-memory S3. The settings are Sanic's."""
    Sanic.test_mode = True  # allows several applications of the same name in one process
    s3.store("put", CHECK_KEY, b"probe", CHECK_ATTRIBUTES)
    s3.writes.clear()
    nonces = iter(range(1_000_000))
    ids = _ids()
    make_nonce: Callable[[], bytes] = lambda: b"nonce %d" % next(nonces)  # noqa: E731 -- both services share it
    assets = AssetService(store or s3, s3, policy, lambda: next(ids), make_nonce)
    reconciler = AssetReconciler(store or s3, s3, policy, make_nonce)
    multipart = MultipartService(store or s3, s3, s3, policy, lambda: next(ids), make_nonce)
    readiness = Readiness(store_verified=store_verified, capabilities=frozenset(Capability), takes_parts=True)
    context = Context(
        assets,
        multipart,
        DOWNLOAD_URL_TTL_SECONDS,
        lambda: s3.now,
        Metrics(readiness),
        readiness,
        MULTIPART_BYTES,
        may_delete_promised,
    )
    app = build_app(context, drain_seconds, lifespan)
    app.config.update({"TOUCHUP": False, **settings})  # rewriting its source takes Sanic most of a start
    listening = socket.create_server((HOST, 0))
    server: Any = await app.create_server(
        sock=listening, return_asyncio_server=True, access_log=False, protocol=ServiceProtocol
    )
    await server.startup()
    await server.before_start()
    await server.start_serving()
    await server.after_start()
    port = listening.getsockname()[1]
    client = httpx.AsyncClient(
        base_url=f"http://{HOST}:{port}", timeout=RESPONSE_TIMEOUT_SECONDS, trust_env=False, verify=_NO_TLS
    )
    try:
        async with client:
            yield Service(s3, assets, reconciler, readiness, client, app, port, server.connections)
    finally:
        await server.before_stop()
        server.close()
        for connection in list(server.connections):
            connection.close()
        await server.after_stop()
