"""An HTTP client that keeps its connection, and distinguishes a failed connection from a response."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.support.http_messages import Message, read_response


class NoResponseError(Exception):
    """The connection failed, or no response came in time. The request may have taken effect."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response, and how long it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(slots=True)
class Connection:
    """One connection at a time to one host."""

    host: str
    port: int
    seconds: float = 30
    """How long to wait for a response."""
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, init=False)

    async def request(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        """Send a request and return its response. A kept connection that is closed by now is opened again, once.

        Raises:
            NoResponseError: No response came.
        """
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.seconds):
                message = await self._exchange(method, target, body, headers)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoResponseError(f"{method} {urlsplit(target).path}: {error!r}") from error
        if message.closes:
            self.close()
        seconds = asyncio.get_running_loop().time() - started
        return Response(int(message.start.split(" ")[1]), message.headers, message.body, seconds)

    @property
    def is_open(self) -> bool:
        """Whether the next request goes over a connection that was kept."""
        return self._streams is not None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Message:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the server ended it between two requests, as it may
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        return await read_response(reader, method)


async def request_url(url: str, method: str, body: bytes = b"", **headers: str) -> Response:
    """Send a request to a presigned URL, on its own connection.

    Raises:
        NoResponseError: No response came.
    """
    parts = urlsplit(url)
    connection = Connection(parts.hostname or "", parts.port or 80)
    try:
        return await connection.request(method, f"{parts.path}?{parts.query}", body, **headers)
    finally:
        connection.close()
