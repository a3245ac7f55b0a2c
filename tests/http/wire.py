"""One connection as bytes. Plain sockets: asyncio's streams forget an answer that a reset follows."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Wire:
    """An open connection to the service."""

    connection: socket.socket

    async def send(self, sent: bytes) -> None:
        """Send these bytes, or as many as the service takes before it hangs up."""
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self.connection, sent)

    async def read(self) -> bytes:
        """Everything that the service sends until it hangs up."""
        read = bytearray()
        with suppress(ConnectionError):
            while some := await asyncio.get_running_loop().sock_recv(self.connection, 65_536):
                read += some
        return bytes(read)

    async def trickle(self, drops: bytes, interval_seconds: float) -> bytes:
        """Send a byte at a time until the service has had enough; what it sent."""
        answer = asyncio.create_task(self.read())
        try:
            for drop in drops:
                await self.send(bytes([drop]))
                if (await asyncio.wait({answer}, timeout=interval_seconds))[0]:
                    break
            return await answer
        finally:
            answer.cancel()


@asynccontextmanager
async def connected(port: int, seconds: float) -> AsyncIterator[Wire]:
    """A new connection, for this long at most."""
    async with asyncio.timeout(seconds):
        with socket.socket() as connection:
            connection.settimeout(0)
            await asyncio.get_running_loop().sock_connect(connection, (HOST, port))
            yield Wire(connection)


def parse(answer: bytes) -> httpx.Response:
    """The first answer in these bytes; what follows its head is its content."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    headers = [tuple(line.split(b": ", 1)) for line in lines]
    return httpx.Response(
        int(status_line.split(b" ")[1]), headers=[(pair[0], pair[1]) for pair in headers], content=body
    )
