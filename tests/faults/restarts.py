"""Rolling restarts: two services behind a balancer that polls /readyz, SIGTERM in turn, clients that stay connected."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import IO, Final

from dev.seaweedfs import HOST, LocalS3, free_port
from tests.support.fleet import Product, running_product
from tests.support.load_client import Connection, NoResponseError

CLIENTS: Final = 16
DRAIN_SECONDS: Final = 3
POLL_INTERVAL_SECONDS: Final = 0.5
"""How often the balancer polls: six times while a service drains."""


@dataclass(slots=True)
class Restarts:
    """One run of the check."""

    s3: LocalS3
    number: int
    """How many restarts."""
    output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    ready: list[int] = field(default_factory=list)
    """Ports that new connections go to."""
    requests: int = 0
    kept: int = 0
    """Requests over a connection that was kept."""
    restarts: int = 0
    is_over: bool = False
    violations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Restart one after the other, under load."""
        ports = [free_port(), free_port()]
        async with AsyncExitStack() as stack:
            product = await stack.enter_async_context(
                running_product(self.s3, self.output, self.s3.endpoint_url, drain_seconds=DRAIN_SECONDS)
            )
            for port in ports:
                await product.serve(port)
                await product.wait_until_ok(port, "/healthcheck")
            self.ready = list(ports)
            balancer = asyncio.create_task(self._balance(ports))
            clients = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
            for number in range(self.number):
                await self._restart(product, ports[number % 2])
            self.is_over = True
            await asyncio.gather(*clients)
            balancer.cancel()

    async def _restart(self, product: Product, port: int) -> None:
        process = product.services.pop(0)
        process.terminate()
        if code := await process.wait():
            self.violations.append(f"a service ended with {code}")
        await product.serve(port)
        while port not in self.ready:  # noqa: ASYNC110 -- the balancer polls, as balancers do
            await asyncio.sleep(0.05)
        self.restarts += 1

    async def _balance(self, ports: list[int]) -> None:
        async def is_ready(port: int) -> bool:
            connection = Connection(HOST, port, 2)
            try:
                return (await connection.request("GET", "/readyz")).status == 200
            except NoResponseError:
                return False
            finally:
                connection.close()

        while True:
            self.ready = [port for port in ports if await is_ready(port)]
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def _client(self, number: int) -> None:
        connection = Connection(HOST, 0, 10)
        turn = number
        while not self.is_over:
            turn += 1
            if not connection.is_open:
                connection.port = self.ready[turn % len(self.ready)]
            self.kept += connection.is_open
            try:
                response = await connection.request("POST", "/asset")
            except NoResponseError as error:
                self.violations.append(str(error))
            else:
                if response.status != 201:
                    self.violations.append(f"POST /asset {response.status}: {response.body!r}")
            self.requests += 1
            await asyncio.sleep(0.02)
        connection.close()
