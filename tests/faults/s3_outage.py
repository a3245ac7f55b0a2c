"""An S3 outage under load: frozen, then killed. The service responds 503 in time, stays alive, and recovers."""

import asyncio
import hashlib
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Final

from dev.seaweedfs import HOST, LocalS3, free_port
from tests.support.fleet import RestartableS3, running_product
from tests.support.in_memory_s3 import etag_of
from tests.support.load_client import Connection, NoResponseError, Response, request_url

CLIENTS: Final = 16
RESPONSE_SECONDS: Final = 3.0
ALIVE_SECONDS: Final = 1.0
SLACK_SECONDS: Final = 1.0
"""How much longer any response may take on a machine whose cores are all busy."""


@dataclass(slots=True)
class Outage:
    """One run of the check."""

    s3: LocalS3
    seconds: int
    """How long S3 is frozen, and then how long it is not running."""
    output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    unavailable_responses: int = 0
    slowest_response: float = 0
    alive: int = 0
    """How many times /livez responded."""
    marked: dict[str, bytes] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Mark assets, freeze, thaw, kill, start, and clear the backlog."""
        server, port = RestartableS3(self.s3), free_port()
        async with AsyncExitStack() as stack:
            stack.callback(server.shut_down)
            product = await stack.enter_async_context(
                # The reconciler finalizes, so that there is a backlog.
                running_product(self.s3, self.output, self.s3.endpoint_url, drain_seconds=0, finalize_at_once_bytes=0)
            )
            await product.serve(port)
            await product.wait_until_ok(port, "/healthcheck")
            probe = asyncio.create_task(self._require_alive(port))
            await self._mark_some(port, range(64))
            for take_down, bring_back in ((server.stop, server.resume), (server.kill, server.start)):
                take_down()
                await self._require_outage(port)
                bring_back()
                await product.wait_until_ok(port, "/healthcheck")
            await self._mark_some(port, range(64, 128))
            for _ in range(2):
                if code := await product.reconcile_and_wait():
                    self.violations.append(f"a run after the outage ended with {code}")
            await self._require_final(port)
            probe.cancel()

    async def _require_alive(self, port: int) -> None:
        connection = Connection(HOST, port, 10)
        while True:
            try:
                response = await connection.request("GET", "/livez")
                if response.status != 200 or response.seconds > ALIVE_SECONDS + SLACK_SECONDS:
                    self.violations.append(f"/livez {response.status} after {response.seconds:.1f} s")
                self.alive += 1
            except NoResponseError as error:
                self.violations.append(str(error))
            await asyncio.sleep(0.1)

    async def _require_outage(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.seconds
        some_id = next(iter(self.marked))

        async def client(number: int) -> None:
            connection = Connection(HOST, port, 10)
            for turn in count(number):
                if loop.time() > end:
                    return
                match turn % 3:
                    case 0:
                        self._require_unavailable(await connection.request("POST", "/asset"))
                    case 1:
                        self._require_unavailable(await connection.request("GET", f"/asset/{some_id}"))
                    case _:
                        mark = connection.request("PUT", f"/asset/{some_id}", b'{"Status":"uploaded"}')
                        self._require_unavailable(await mark)

        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(client(number))

    def _require_unavailable(self, response: Response) -> None:
        self.unavailable_responses += 1
        self.slowest_response = max(self.slowest_response, response.seconds)
        is_expected = response.status == 503 and "retry-after" in response.headers
        if not is_expected or response.seconds > RESPONSE_SECONDS + SLACK_SECONDS:
            self.violations.append(
                f"{response.status} after {response.seconds:.1f} s during the outage: {response.body!r}"
            )

    async def _mark_some(self, port: int, numbers: range) -> None:
        connection = Connection(HOST, port, 10)
        for number in numbers:
            created = (await connection.request("POST", "/asset")).document
            body = hashlib.sha256(str(number).encode()).digest()
            await request_url(created["upload_url"], "PUT", body)
            mark = f'{{"Status":"uploaded","etag":"{etag_of(body)}"}}'.encode()
            response = await connection.request("PUT", f"/asset/{created['id']}", mark)
            if response.status == 202:
                self.marked[created["id"]] = body
            else:
                self.violations.append(f"mark {response.status} while S3 is available: {response.body!r}")

    async def _require_final(self, port: int) -> None:
        connection = Connection(HOST, port, 10)
        for asset_id, body in self.marked.items():
            response = await connection.request("GET", f"/asset/{asset_id}")
            if response.status != 200:
                self.violations.append(f"LOST {asset_id}: {response.status}")
            elif (await request_url(response.document["Download_url"], "GET")).body != body:
                self.violations.append(f"CHANGED {asset_id}")
