"""Load with a ledger: clients record each response; afterwards every asset with a 202 is downloaded and compared.

Between service and S3 requests are lost, cut, rejected and delayed; the S3 server is frozen, killed and restarted;
services and reconcilers run all the while.
"""

import asyncio
import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Final

from dev.seaweedfs import HOST, LocalS3, free_port
from tests.support.fault_proxy import Fault, running_proxy
from tests.support.fleet import Product, RestartableS3, running_product
from tests.support.http_messages import Message
from tests.support.in_memory_s3 import etag_of
from tests.support.load_client import Connection, NoResponseError, Response, request_url

CLIENTS: Final = 32
URL_SECONDS: Final = 120
MAX_ATTEMPTS: Final = 200
_RATES: Final = {
    Fault.NOT_SENT: 0.01,
    Fault.LOST: 0.01,
    Fault.CUT: 0.005,
    Fault.TWICE: 0.005,
    Fault.GARBAGE: 0.002,
    Fault.SLOW_DOWN: 0.01,
    Fault.BROKEN: 0.005,
    Fault.CONFLICT: 0.002,
    Fault.HUNG: 0.0005,
}
_SLOW: Final = 0.01


@dataclass(slots=True)
class Entry:
    """One asset, as its client recorded it."""

    asset_id: str
    sha256: str
    is_pinned: bool


@dataclass(slots=True)
class Load:
    """One run of the check."""

    s3: LocalS3
    number: int
    """How many assets."""
    progress: Callable[[int], None]
    clients: int = CLIENTS
    max_seconds: float = 3.5
    """How long a request may take whatever S3 does."""
    output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    entries: list[Entry] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    outages: int = 0
    faults_stopped: bool = False
    """No more faults are injected."""
    lost: int = 0
    changed: int = 0
    violations: list[str] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311 -- faults, not secrets

    def decide(self, request: Message) -> tuple[Fault, float]:
        """Choose the fault of a request."""
        del request
        if self.faults_stopped:
            return Fault.NONE, 0.0
        seconds = self.rng.uniform(0.05, 1.0) if self.rng.random() < _SLOW else 0.0
        drawn = self.rng.random()
        for fault, rate in _RATES.items():
            drawn -= rate
            if drawn < 0:
                self.faults += 1
                return fault, seconds
        return Fault.NONE, seconds

    async def run(self) -> None:
        """Send the load while S3 fails, let S3 recover, and compare."""
        server = RestartableS3(self.s3)
        port = free_port()
        async with AsyncExitStack() as stack:
            stack.callback(server.shut_down)
            proxy = await stack.enter_async_context(running_proxy(HOST, self.s3.port, self.decide))
            product = await stack.enter_async_context(
                running_product(
                    self.s3,
                    self.output,
                    f"http://{HOST}:{proxy.port}",
                    upload_url_ttl_seconds=URL_SECONDS,
                    grace_seconds=0,
                    drain_seconds=0,
                )
            )
            await product.serve(port)
            await product.wait_until_ok(port, "/healthcheck")
            numbers = count()
            clients = [asyncio.create_task(self._client(port, numbers)) for _ in range(self.clients)]
            background = [
                asyncio.create_task(self._reconcile_forever(product)),
                asyncio.create_task(self._break_forever(server)),
                asyncio.create_task(self._restart_forever(product, port)),
            ]
            await asyncio.gather(*clients)
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            server.resume()
            await product.wait_until_ok(port, "/healthcheck")
            self.faults_stopped = True
            await self._wait_until_due()
            await self.finish(product)
            await self._audit(port)

    async def _wait_until_due(self) -> None:
        await asyncio.sleep(URL_SECONDS)  # an unpinned asset is due after its upload URL has expired

    async def _restart_forever(self, product: Product, port: int) -> None:
        """Restart the service now and then: never here, because each missing response is a violation."""

    # --- the clients --------------------------------------------------------------------------------------------------

    async def _client(self, port: int, numbers: "count[int]") -> None:
        connection = Connection(HOST, port, 10)
        while (number := next(numbers)) < self.number:
            await self._asset(connection, number)
            self.progress(number + 1)
        connection.close()

    async def _asset(self, connection: Connection, number: int) -> None:
        created = (await self._request_until(connection, "POST", "/asset", {201})).document
        body = hashlib.sha256(f"{number}".encode()).digest() * (1 + number % 64)
        await self._upload(created["upload_url"], body)
        is_pinned = number % 4 != 0
        if number % 16 == 0:  # overwritten: the last bytes count
            body = body[::-1]
            await self._upload(created["upload_url"], body)
        mark = '{"Status":"uploaded"' + (f',"etag":"{etag_of(body)}"' if is_pinned else "") + "}"
        response = await self._request_until(connection, "PUT", f"/asset/{created['id']}", {202, 409, 410}, mark)
        if response.status == 202:
            self.entries.append(Entry(created["id"], hashlib.sha256(body).hexdigest(), is_pinned))
        elif response.document["code"] != "already_uploaded":
            # The asset may be final already if the response to an earlier mark was lost. No other rejection is right.
            self.violations.append(f"{created['id']}: {response.status} {response.document['code']}")

    async def _upload(self, url: str, body: bytes) -> None:
        for _ in range(MAX_ATTEMPTS):
            try:
                if (await request_url(url, "PUT", body)).status == 200:
                    return
            except NoResponseError:
                pass
            await asyncio.sleep(0.2)
        self.violations.append("an upload never went through")

    async def _request_until(
        self, connection: Connection, method: str, path: str, expected: set[int], body: str = ""
    ) -> Response:
        for _ in range(MAX_ATTEMPTS):
            try:
                response = await connection.request(method, path, body.encode(), content_type="application/json")
            except NoResponseError as error:
                self.statuses["none"] += 1
                self._note_no_response(error)
                await asyncio.sleep(0.2)
                continue
            self.statuses[str(response.status)] += 1
            if response.status in expected:
                return response
            if response.status != 503 or "retry-after" not in response.headers or response.seconds > self.max_seconds:
                self.violations.append(f"{method} {response.status} after {response.seconds:.1f} s: {response.body!r}")
            await asyncio.sleep(0.2)
        raise NoResponseError(f"{method} {path} never went through")

    def _note_no_response(self, error: NoResponseError) -> None:
        self.violations.append(f"the service did not respond: {error}")

    # --- in the background --------------------------------------------------------------------------------------------

    async def _reconcile_forever(self, product: Product) -> None:
        while True:
            await product.reconcile_and_wait()
            await asyncio.sleep(2)

    async def _break_forever(self, server: RestartableS3) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(10, 20))
            self.outages += 1
            if self.outages % 2:
                server.stop()
                await asyncio.sleep(self.rng.uniform(1, 5))
                server.resume()
            else:
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(self.rng.uniform(0.2, 2))
                server.start()

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def finish(self, product: Product) -> None:
        """Make two clean runs."""
        for _ in range(2):
            code = await product.reconcile_and_wait()
            if code:
                self.violations.append(f"a clean run ended with {code}")

    async def _audit(self, port: int) -> None:
        limit = asyncio.Semaphore(self.clients)

        async def compare(entry: Entry) -> None:
            async with limit:
                connection = Connection(HOST, port, 10)
                response = await connection.request("GET", f"/asset/{entry.asset_id}")
                connection.close()
                if response.status != 200:
                    self.lost += 1
                    self.violations.append(f"LOST {entry}: {response.status} {response.body!r}")
                    return
                found = await request_url(response.document["Download_url"], "GET")
                if hashlib.sha256(found.body).hexdigest() != entry.sha256:
                    self.changed += 1
                    self.violations.append(f"CHANGED {entry}")

        async with asyncio.TaskGroup() as group:
            for entry in self.entries:
                group.create_task(compare(entry))
