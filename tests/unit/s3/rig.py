"""A real door on a scripted server: everything is real but the server, the pauses and the clock."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from botocore.credentials import Credentials

from assetstore.calls import Called
from assetstore.s3.caller import Caller
from assetstore.s3.clock import Clock
from assetstore.s3.credentials import KeyRing
from assetstore.s3.dial import Dialer
from assetstore.s3.door import S3Door
from assetstore.s3.endpoint import Endpoint
from assetstore.s3.message import Patience, Request, Send
from assetstore.s3.pace import Pace
from assetstore.s3.pen import Pen
from assetstore.s3.pool import Pool
from assetstore.s3.sigv4 import Scope
from tests.unit.s3.scripted import Server, Step, scripted

NOW = 1_780_000_000.0


@dataclass(slots=True)
class Rig:
    """What a test looks at."""

    server: Server
    door: S3Door
    pauses: list[float] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)

    @property
    def pool(self) -> Pool:
        """The door's connections."""
        return self.door.caller.pool


@contextlib.asynccontextmanager
async def rigged(
    *steps: Step, connections: int = 4, wrap: Callable[[Send], Send] = lambda send: send
) -> AsyncIterator[Rig]:
    """A door, and the server that it asks."""
    pauses: list[float] = []
    called: list[Called] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with scripted(*steps) as server:
        clock = Clock(lambda: NOW)
        pool = Pool(Dialer("127.0.0.1", server.port, None).dial, connections)
        host = f"127.0.0.1:{server.port}"
        caller = Caller(
            Endpoint("http", "127.0.0.1", server.port, host, "/bucket/", Scope("us-east-1")),
            Pen(KeyRing(Credentials("AK", "SK"), clock), clock, Scope("us-east-1")),
            pool,
            wrap(pool.send),
            Pace(connections, float(connections)),
            observe=called.append,
            pause=pause,
            chance=lambda: 1.0,
        )
        door = S3Door("bucket", caller)
        try:
            yield Rig(server, door, pauses, called)
        finally:
            await door.close()


def a_request(
    data: bytes = b"GET / HTTP/1.1\r\n\r\n",
    *,
    is_head: bool = False,
    body_limit: int = 1000,
    patience: Patience = Patience(10, 10),  # noqa: B008 -- frozen
) -> Request:
    """A request that the scripted server understands."""
    return Request("GetObject", data, is_head, body_limit, patience)


def an_answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """A well-formed answer of that length; underscores in header names are hyphens."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{''.join(lines)}\r\n".encode() + body
