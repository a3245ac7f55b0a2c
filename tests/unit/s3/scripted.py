"""A server on loopback that says exactly what a test wrote down, one step for each request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto


class Then(Enum):
    """What the server does after it has said its bytes."""

    KEEP = auto()
    """Wait for the next request."""
    CLOSE = auto()
    RESET = auto()
    HANG = auto()
    """Say nothing more, and keep the connection."""


@dataclass(frozen=True, slots=True)
class Step:
    """The answer to one request."""

    says: bytes | Sequence[bytes] = b""
    """Pieces are sent one by one, each in a packet of its own."""
    then: Then = Then.KEEP


@dataclass(slots=True)
class Server:
    """What was asked so far, and what is still to be answered."""

    port: int = 0
    steps: list[Step] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """A connection has ended."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        self.connections += 1
        try:
            while self.steps:
                self.requests.append(await _one_request(reader))
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                step = self.steps.pop(0)
                for piece in [step.says] if isinstance(step.says, bytes) else step.says:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                self.at_once -= 1
                match step.then:
                    case Then.KEEP:
                        continue
                    case Then.CLOSE:
                        break
                    case Then.RESET:
                        writer.transport.abort()
                        break
                    case Then.HANG:
                        await reader.read()  # until the other side gives up
                        break
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.gone.set()


async def _one_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


@contextlib.asynccontextmanager
async def scripted(*steps: Step) -> AsyncIterator[Server]:
    """The server, running these steps whoever asks."""
    said = Server(steps=list(steps))
    listening = await asyncio.start_server(said.serve, "127.0.0.1", 0)
    said.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield said


async def settled(condition: Callable[[], bool]) -> None:
    """Wait until threads, callbacks and the other side have done it."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- nothing of the code under test is changed to tell
            await asyncio.sleep(0.001)
