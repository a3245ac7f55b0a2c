"""The checks of what a client can take from the others: pipelined floods, slow readers, silent connections."""

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from dev.seaweedfs import HOST, free_port, running_s3
from tests.support.fleet import running_product
from tests.support.load_client import Connection, NoResponseError
from tests.verify.check import CheckOutcome

PIPELINED_REQUESTS: Final = 700
ALIVE_SECONDS: Final = 1.0
"""The longest time that `/livez` may take: the timeout of a Kubernetes probe by default."""
CLOSED_SECONDS: Final = 45.0
"""By when a connection that is not read must be closed: the service's limit is 20 s."""
MEMORY_LIMIT_BYTES: Final = 1024 * 1024
"""What a connection that is not read may take, in the service and in the kernel."""
THREAD_LIMIT: Final = 20
_PAGE: Final = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
_SCRIPT: Final = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(slots=True)
class Target:
    """A running service under attack."""

    port: int
    metrics_port: int
    process: psutil.Process
    latencies: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    async def watch(self) -> None:
        """Ask `/livez` again and again, as Kubernetes does."""
        connection = Connection(HOST, self.port, 10)
        while True:
            started = time.monotonic()
            try:
                status = (await connection.request("GET", "/livez")).status
            except NoResponseError as error:
                self.violations.append(f"/livez: {error}")
            else:
                if status != 200:
                    self.violations.append(f"/livez responds {status}")
            self.latencies.append(time.monotonic() - started)
            if self.latencies[-1] > ALIVE_SECONDS:
                self.violations.append(f"/livez took {self.latencies[-1]:.1f} s")
            await asyncio.sleep(0.02)

    def describe(self) -> str:
        """Return how often `/livez` was asked, and the slowest response."""
        return f"/livez {len(self.latencies):,} times, the slowest after {max(self.latencies) * 1000:.0f} ms"


@asynccontextmanager
async def attacked() -> AsyncIterator[Target]:
    """Run a service, and watch whether it is alive."""
    with running_s3(free_port(), "assets") as s3, tempfile.TemporaryFile() as output:
        async with running_product(s3, output, s3.endpoint_url, drain_seconds=0) as product:
            port, metrics_port = free_port(), free_port()
            process = await product.serve(port, metrics_port)
            await product.wait_until_ok(port, "/healthcheck")
            target = Target(port, metrics_port, psutil.Process(process.pid))
            watching = asyncio.create_task(target.watch())
            yield target
            watching.cancel()


def check_pipelining(connections: int) -> CheckOutcome:
    """Send hundreds of pipelined requests on each of some connections."""
    return asyncio.run(_run(_flood, connections))


async def _flood(target: Target, number: int) -> str:
    async def send() -> None:
        reader, writer = await asyncio.open_connection(HOST, target.port)
        last = _PAGE.replace(b"Host: x", b"Host: x\r\nConnection: close")
        writer.write(_PAGE * (PIPELINED_REQUESTS - 1) + last)
        responses = (await reader.read(-1)).count(b"HTTP/1.1 200 OK")
        if responses != PIPELINED_REQUESTS:
            target.violations.append(f"{responses} of {PIPELINED_REQUESTS} responses")
        writer.close()

    await asyncio.gather(*(send() for _ in range(number)))
    return f"{number} connections with {PIPELINED_REQUESTS} requests each"


def check_slow_readers(connections: int) -> CheckOutcome:
    """Request megabytes on each of some connections, and do not read them."""
    return asyncio.run(_run(_do_not_read, connections))


async def _do_not_read(target: Target, number: int) -> str:
    memory_before, started = _memory(target.process), time.monotonic()
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(number):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0)
        await loop.sock_connect(connection, (HOST, target.port))
        await loop.sock_sendall(connection, _SCRIPT * 20)
        connections.append(connection)
    most = 0
    async with asyncio.timeout(CLOSED_SECONDS):
        while _established(target) < number:  # noqa: ASYNC110 -- until the service has accepted them
            await asyncio.sleep(0.05)
    while _established(target) >= number / 10:
        most = max(most, _memory(target.process) - memory_before)
        if time.monotonic() - started > CLOSED_SECONDS:
            target.violations.append(f"{_established(target)} connections are open after {CLOSED_SECONDS:.0f} s")
            break
        await asyncio.sleep(0.5)
    seconds = time.monotonic() - started
    if most > number * MEMORY_LIMIT_BYTES:
        target.violations.append(f"{most / 1e6:.0f} MB for {number} connections")
    for connection in connections:
        connection.close()
    return f"{number} connections that are not read: closed after {seconds:.0f} s, {most / 1e6:.0f} MB at most"


def _established(target: Target) -> int:
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == target.port
        for connection in target.process.net_connections("tcp")
    )


def _memory(process: psutil.Process) -> int:
    """Return the bytes of the process and of the kernel's TCP buffers."""
    tcp = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(process.memory_info().rss) + int(tcp.split()[-1]) * 4096


def check_metrics_port(connections: int) -> CheckOutcome:
    """Open silent connections to the metrics port."""
    return asyncio.run(_run(_be_silent, connections))


async def _be_silent(target: Target, number: int) -> str:
    silent = [await asyncio.open_connection(HOST, target.metrics_port) for _ in range(number)]
    threads = target.process.num_threads()
    if threads > THREAD_LIMIT:
        target.violations.append(f"{threads} threads")
    try:
        scraped = await Connection(HOST, target.metrics_port, 5).request("GET", "/metrics")
    except NoResponseError as error:
        target.violations.append(f"a scrape: {error}")
    else:
        if scraped.status != 200 or b"assetuploader_http_requests_total" not in scraped.body:
            target.violations.append(f"a scrape responds {scraped.status}")
    for _, writer in silent:
        writer.close()
    return f"{number} silent connections to the metrics port: {threads} threads"


async def _run(attack: Callable[[Target, int], Awaitable[str]], number: int) -> CheckOutcome:
    async with attacked() as target:
        await asyncio.sleep(0.2)
        size = await attack(target, number)
        await asyncio.sleep(0.2)
        return CheckOutcome(f"{size}; {target.describe()}", target.violations)
