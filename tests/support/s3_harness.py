"""An S3 object store on a fake server: everything is real but the server, the backoff and the clock."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from botocore.credentials import Credentials

from assetuploader.http_settings import HttpSettings
from assetuploader.instrumentation import StoreCall
from assetuploader.s3.client import S3Client
from assetuploader.s3.clock import Clock
from assetuploader.s3.credentials import CredentialCache
from assetuploader.s3.endpoint import Endpoint
from assetuploader.s3.http import Request, Timeouts, Transport
from assetuploader.s3.limits import AimdLimiter
from assetuploader.s3.object_store import S3ObjectStore
from assetuploader.s3.signing import SigningKeyProvider
from assetuploader.s3.sigv4 import Scope
from assetuploader.s3.transport import AiohttpTransport
from tests.support.fake_server import Server, Step, fake_server

NOW = 1_780_000_000.0


@dataclass(slots=True)
class Harness:
    """The store, and what a test observes."""

    server: Server
    store: S3ObjectStore
    pauses: list[float] = field(default_factory=list)
    calls: list[StoreCall] = field(default_factory=list)

    @property
    def limiter(self) -> AimdLimiter:
        """The limiter of the store's client."""
        return self.store.client.limiter


@contextlib.asynccontextmanager
async def s3_harness(
    *steps: Step, connections: int = 4, wrap_transport: Callable[[Transport], Transport] = lambda transport: transport
) -> AsyncIterator[Harness]:
    """Run a store and the fake server that it talks to."""
    pauses: list[float] = []
    calls: list[StoreCall] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with fake_server(*steps) as server:
        clock = Clock(lambda: NOW)
        origin = f"http://127.0.0.1:{server.port}"
        transport = AiohttpTransport(origin, HttpSettings(), connections)
        client = S3Client(
            Endpoint("http", f"127.0.0.1:{server.port}", "/bucket/", Scope("us-east-1")),
            SigningKeyProvider(CredentialCache(Credentials("AK", "SK"), clock), clock, Scope("us-east-1")),
            clock,
            wrap_transport(transport.send),
            AimdLimiter(connections),
            on_call=calls.append,
            sleep=sleep,
            jitter=lambda: 1.0,
        )
        try:
            yield Harness(server, S3ObjectStore("bucket", client), pauses, calls)
        finally:
            await transport.aclose()


def build_request(
    origin: str = "http://127.0.0.1:1",
    *,
    method: str = "GET",
    max_response_bytes: int = 1000,
    timeouts: Timeouts = Timeouts(10, 10),  # noqa: B008 -- frozen
) -> Request:
    """Return a request that the fake server understands."""
    return Request("GetObject", method, f"{origin}/", (), b"", max_response_bytes, timeouts)


def http_response(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """Return a well-formed response; underscores in header names become hyphens."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{''.join(lines)}\r\n".encode() + body
