"""A server on loopback that sends exactly the bytes that a test wrote down, one step for each request."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto


class AfterResponse(Enum):
    """What the server does after it has sent its bytes."""

    KEEP = auto()
    """Wait for the next request."""
    CLOSE = auto()
    RESET = auto()
    HANG = auto()
    """Send nothing more, and keep the connection."""


@dataclass(frozen=True, slots=True)
class Step:
    """The response to one request."""

    message: bytes | Sequence[bytes] = b""
    """Pieces are sent one by one, each in its own packet."""
    then: AfterResponse = AfterResponse.KEEP


@dataclass(slots=True)
class Server:
    """The requests so far, and the steps that are left."""

    port: int = 0
    steps: list[Step] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    """A connection has ended."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    handlers: list[asyncio.Task[None]] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve one connection."""
        self.writers.append(writer)
        self.handlers.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while self.steps:
                self.requests.append(await _one_request(reader))
                self.in_flight += 1
                self.max_in_flight = max(self.max_in_flight, self.in_flight)
                step = self.steps.pop(0)
                for piece in [step.message] if isinstance(step.message, bytes) else step.message:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                self.in_flight -= 1
                match step.then:
                    case AfterResponse.KEEP:
                        continue
                    case AfterResponse.CLOSE:
                        break
                    case AfterResponse.RESET:
                        writer.transport.abort()
                        break
                    case AfterResponse.HANG:
                        await reader.read()  # until the other side closes
                        break
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.disconnected.set()

    async def close(self) -> None:
        """Close all connections, and wait until they are closed."""
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()
        await asyncio.gather(*self.handlers)


async def _one_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


@contextlib.asynccontextmanager
async def fake_server(*steps: Step) -> AsyncIterator[Server]:
    """Run a server with these steps, for all connections."""
    server = Server(steps=list(steps))
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for _ in range(10):  # asyncio takes some turns of its loop from an accepted socket to `accept`
            await asyncio.sleep(0)
        await server.close()


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until threads, callbacks and the other side have finished."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- the code under test has no hook to wait for
            await asyncio.sleep(0.001)
