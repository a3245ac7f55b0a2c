"""HTTP load: kept-alive connections that each send a request as soon as the last response is complete.

Every request that is sent is awaited and counted, so that the CPU time of the program under load can be divided by
exactly the requests that used it.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import uvloop
from httptools import HttpParserError, HttpResponseParser

from bench.processes import BenchError
from dev.seaweedfs import HOST

TIMEOUT_SECONDS: Final = 30.0
"""How long after the end of a measurement its last responses may arrive."""


@dataclass(frozen=True, slots=True)
class Load:
    """A request that is sent again and again, to each path in turn."""

    method: str
    paths: Sequence[str]
    status: int
    """The status of the expected response. Any other fails the measurement."""
    body: str = ""

    def requests(self) -> Iterator[bytes]:
        """Return the requests as sent, without end."""
        headers = f"host: {HOST}\r\ncontent-type: application/json\r\ncontent-length: {len(self.body)}\r\n"
        return cycle([f"{self.method} {path} HTTP/1.1\r\n{headers}\r\n{self.body}".encode() for path in self.paths])


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Rate and latency of one measurement."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def drive(port: int, load: Load, connections: int, seconds: float) -> LoadResult:
    """Send this load to a port of loopback for `seconds`.

    Raises:
        BenchError: A response had another status, or a connection broke.
    """
    return uvloop.run(_drive(port, load, connections, seconds))


async def _drive(port: int, load: Load, connections: int, seconds: float) -> LoadResult:
    loop = asyncio.get_running_loop()
    requests, latencies = load.requests(), list[float]()
    started = time.perf_counter()

    async def connect() -> _Connection:
        _, connection = await loop.create_connection(
            lambda: _Connection(requests, load.status, started + seconds, latencies), HOST, port
        )
        return connection

    opened = [await connect() for _ in range(connections)]
    try:
        async with asyncio.timeout(seconds + TIMEOUT_SECONDS):
            await asyncio.gather(*[connection.finished for connection in opened])
    except (BenchError, OSError, TimeoutError) as error:
        raise BenchError(f"{load.method} {load.paths[0]}: {error or 'no response'}") from error
    took = time.perf_counter() - started
    latencies.sort()
    p99 = latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)]
    return LoadResult(len(latencies), took, statistics.median(latencies) * 1000, p99 * 1000)


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], status: int, ends_at: float, latencies: list[float]) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._status = status
        self._ends_at = ends_at
        self._latencies = latencies
        self._parser = HttpResponseParser(self)
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._finish(BenchError(f"not an HTTP response: {error}"))

    def on_message_complete(self) -> None:
        """Count the response, and send the next request; httptools calls this."""
        now = time.perf_counter()
        self._latencies.append(now - self._sent_at)
        status = self._parser.get_status_code()
        if status != self._status:
            self._finish(BenchError(f"status {status} instead of {self._status}"))
        elif now < self._ends_at:
            self._send()
        else:
            self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or BenchError("the server closed the connection"))

    def _finish(self, error: Exception | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
        self._transport.close()
