"""S3 away: frozen, then killed, under load. The service says so in time, stays alive, and makes all good after."""

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
ANSWER_SECONDS: Final = 3.0
ALIVE_SECONDS: Final = 1.0
SLACK_SECONDS: Final = 1.0
"""What a machine whose cores are all taken adds to any answer."""


@dataclass(slots=True)
class Outage:
    """The whole trial."""

    s3: LocalS3
    seconds: int
    """How long S3 is frozen, and then how long it is gone."""
    output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    unavailable_responses: int = 0
    slowest_response: float = 0
    alive: int = 0
    marked: dict[str, bytes] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Mark assets, freeze, thaw, kill, start, and clear the backlog."""
        server, port = RestartableS3(self.s3), free_port()
        async with AsyncExitStack() as stack:
            stack.callback(server.shut_down)
            product = await stack.enter_async_context(
                running_product(self.s3, self.output, self.s3.endpoint_url, drain_seconds=0)
            )
            await product.serve(port)
            await product.wait_until_ok(port, "/healthcheck")
            probe = asyncio.create_task(self._require_alive(port))
            await self._mark_some(port, range(64))
            for leave, come_back in ((server.stop, server.resume), (server.kill, server.start)):
                leave()
                await self._require_unavailables(port)
                come_back()
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
                answer = await connection.request("GET", "/livez")
                if answer.status != 200 or answer.seconds > ALIVE_SECONDS + SLACK_SECONDS:
                    self.violations.append(f"/livez {answer.status} after {answer.seconds:.1f} s")
                self.alive += 1
            except NoResponseError as error:
                self.violations.append(str(error))
            await asyncio.sleep(0.1)

    async def _require_unavailables(self, port: int) -> None:
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

    def _require_unavailable(self, answer: Response) -> None:
        self.unavailable_responses += 1
        self.slowest_response = max(self.slowest_response, answer.seconds)
        is_told = answer.status == 503 and "retry-after" in answer.headers
        if not is_told or answer.seconds > ANSWER_SECONDS + SLACK_SECONDS:
            self.violations.append(f"{answer.status} after {answer.seconds:.1f} s while S3 is away: {answer.body!r}")

    async def _mark_some(self, port: int, numbers: range) -> None:
        connection = Connection(HOST, port, 10)
        for number in numbers:
            created = (await connection.request("POST", "/asset")).document
            body = hashlib.sha256(str(number).encode()).digest()
            await request_url(created["upload_url"], "PUT", body)
            mark = f'{{"Status":"uploaded","etag":"{etag_of(body)}"}}'.encode()
            answer = await connection.request("PUT", f"/asset/{created['id']}", mark)
            if answer.status == 202:
                self.marked[created["id"]] = body
            else:
                self.violations.append(f"mark {answer.status} with S3 there: {answer.body!r}")

    async def _require_final(self, port: int) -> None:
        connection = Connection(HOST, port, 10)
        for asset_id, body in self.marked.items():
            answer = await connection.request("GET", f"/asset/{asset_id}")
            if answer.status != 200:
                self.violations.append(f"LOST {asset_id}: {answer.status}")
            elif (await request_url(answer.document["Download_url"], "GET")).body != body:
                self.violations.append(f"CHANGED {asset_id}")
