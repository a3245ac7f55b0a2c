"""As much of HTTP/1.1 as a proxy between an S3 client and an S3 server needs."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One request or response, as it was sent."""

    start: str
    """The first line."""
    headers: dict[str, str]
    """By lower-case name; of a repeated one the last."""
    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        """A request's method."""
        return self.start.split(" ")[0]

    @property
    def target(self) -> str:
        """A request's path and query."""
        return self.start.split(" ")[1]

    @property
    def closes(self) -> bool:
        """Whether its sender closes the connection after it."""
        return self.headers.get("connection", "").lower() == "close"


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message | None:
    """Return the next request; send `100 Continue` if it expects that. None when the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    start, headers = _parse(head)
    if "expect" in headers:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        lines = head.split(b"\r\n")
        head = b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))
    return Message(start, headers, head, await _body(reader, headers))


async def read_response(reader: asyncio.StreamReader, method: str) -> Message:
    """Return the response to a request of that method.

    Raises:
        ConnectionError: it ended too soon.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        start, headers = _parse(head)
        has_body = method != "HEAD" and start.split(" ")[1] not in {"204", "304"}
        return Message(start, headers, head, await _body(reader, headers) if has_body else b"")
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("the server closed in the middle of a response") from error


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return start, {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    chunks = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
        chunks += size + chunk
        if len(chunk) == len(b"\r\n"):
            return chunks
