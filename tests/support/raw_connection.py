"""One connection as bytes. Plain sockets, because asyncio's streams lose a response that a reset follows."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RawConnection:
    """An open connection to the service."""

    connection: socket.socket

    async def send(self, sent: bytes) -> None:
        """Send these bytes, or as many as the service reads before it closes the connection."""
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self.connection, sent)

    async def read(self) -> bytes:
        """Return everything that the service sends until it closes the connection."""
        read = bytearray()
        with suppress(ConnectionError):
            while some := await asyncio.get_running_loop().sock_recv(self.connection, 65_536):
                read += some
        return bytes(read)

    async def trickle(self, sent: bytes, interval_seconds: float) -> bytes:
        """Send one byte at a time until the service closes the connection; return what it sent."""
        response = asyncio.create_task(self.read())
        try:
            for byte in sent:
                await self.send(bytes([byte]))
                if (await asyncio.wait({response}, timeout=interval_seconds))[0]:
                    break
            return await response
        finally:
            response.cancel()


@asynccontextmanager
async def connected(port: int, seconds: float) -> AsyncIterator[RawConnection]:
    """Open a connection that may be used for at most this long."""
    async with asyncio.timeout(seconds):
        with socket.socket() as connection:
            connection.settimeout(0)
            await asyncio.get_running_loop().sock_connect(connection, (HOST, port))
            yield RawConnection(connection)


def parse(received: bytes) -> httpx.Response:
    """Parse the first response in these bytes. Everything after its header section is its content."""
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    headers = [tuple(line.split(b": ", 1)) for line in lines]
    return httpx.Response(
        int(status_line.split(b" ")[1]), headers=[(pair[0], pair[1]) for pair in headers], content=body
    )
