"""Load with a ledger: clients write down what they were answered; afterwards every 202 is downloaded and compared.

Between service and S3 requests are lost, cut, refused and held up; the S3 server is frozen, killed and started again;
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

from local.seaweedfs import HOST, LocalS3, free_port
from tests.faults.client import Answer, Connection, NoAnswerError, follow
from tests.faults.product import MortalS3, Product, running_product
from tests.faults.proxy import Mishap, running_proxy
from tests.faults.wire import Message
from tests.memory_s3 import etag_of

CLIENTS: Final = 32
URL_SECONDS: Final = 120
TRIES: Final = 200
_RATES: Final = {
    Mishap.NOT_SENT: 0.01,
    Mishap.LOST: 0.01,
    Mishap.CUT: 0.005,
    Mishap.TWICE: 0.005,
    Mishap.GARBAGE: 0.002,
    Mishap.SLOW_DOWN: 0.01,
    Mishap.BROKEN: 0.005,
    Mishap.CONFLICT: 0.002,
    Mishap.HUNG: 0.0005,
}
_SLOW: Final = 0.01


@dataclass(slots=True)
class Entry:
    """One asset, as its client knows it."""

    asset_id: str
    sha256: str
    is_pinned: bool


@dataclass(slots=True)
class Load:
    """The whole trial."""

    s3: LocalS3
    number: int
    progress: Callable[[int], None]
    said: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    entries: list[Entry] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    mishaps: int = 0
    outages: int = 0
    is_healed: bool = False
    """Faults have stopped."""
    lost: int = 0
    changed: int = 0
    violations: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311 -- faults, not secrets

    def decide(self, request: Message) -> tuple[Mishap, float]:
        """What becomes of a request."""
        del request
        if self.is_healed:
            return Mishap.NONE, 0.0
        seconds = self.chance.uniform(0.05, 1.0) if self.chance.random() < _SLOW else 0.0
        drawn = self.chance.random()
        for mishap, rate in _RATES.items():
            drawn -= rate
            if drawn < 0:
                self.mishaps += 1
                return mishap, seconds
        return Mishap.NONE, seconds

    async def run(self) -> None:
        """Load, break, heal, and compare."""
        mortal = MortalS3(self.s3)
        port = free_port()
        async with AsyncExitStack() as stack:
            stack.callback(mortal.bury)
            proxy = await stack.enter_async_context(running_proxy(HOST, self.s3.port, self.decide))
            product = await stack.enter_async_context(
                running_product(
                    self.s3,
                    self.said,
                    f"http://{HOST}:{proxy.port}",
                    upload_url_seconds=URL_SECONDS,
                    grace_seconds=0,
                    drain_seconds=0,
                )
            )
            await product.serve(port)
            await product.until_answered(port, "/healthcheck")
            numbers = count()
            clients = [asyncio.create_task(self._client(port, numbers)) for _ in range(CLIENTS)]
            background = [
                asyncio.create_task(self._reconcile_for_ever(product)),
                asyncio.create_task(self._break_for_ever(mortal)),
            ]
            await asyncio.gather(*clients)
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            mortal.go_on()
            await product.until_answered(port, "/healthcheck")
            self.is_healed = True
            await asyncio.sleep(URL_SECONDS)  # what is not pinned waits for its URL's end
            await self._finish(product)
            await self._audit(port)

    # --- the clients --------------------------------------------------------------------------------------------------

    async def _client(self, port: int, numbers: "count[int]") -> None:
        connection = Connection(HOST, port, 10)
        while (number := next(numbers)) < self.number:
            await self._asset(connection, number)
            self.progress(number + 1)
        connection.close()

    async def _asset(self, connection: Connection, number: int) -> None:
        created = (await self._until(connection, "POST", "/asset", {201})).document
        body = hashlib.sha256(f"{number}".encode()).digest() * (1 + number % 64)
        await self._upload(created["upload_url"], body)
        is_pinned = number % 4 != 0
        if number % 16 == 0:  # overwritten: the last bytes count
            body = body[::-1]
            await self._upload(created["upload_url"], body)
        mark = '{"Status":"uploaded"' + (f',"etag":"{etag_of(body)}"' if is_pinned else "") + "}"
        answer = await self._until(connection, "PUT", f"/asset/{created['id']}", {202, 409, 410}, mark)
        if answer.status == 202:
            self.entries.append(Entry(created["id"], hashlib.sha256(body).hexdigest(), is_pinned))
        elif answer.document["code"] != "already_uploaded":
            # A mark whose answer was lost may be final by now; nothing else is a reason to refuse.
            self.violations.append(f"{created['id']}: {answer.status} {answer.document['code']}")

    async def _upload(self, url: str, body: bytes) -> None:
        for _ in range(TRIES):
            try:
                if (await follow(url, "PUT", body)).status == 200:
                    return
            except NoAnswerError:
                pass
            await asyncio.sleep(0.2)
        self.violations.append("an upload never went through")

    async def _until(self, connection: Connection, method: str, path: str, good: set[int], body: str = "") -> Answer:
        for _ in range(TRIES):
            try:
                answer = await connection.request(method, path, body.encode(), content_type="application/json")
            except NoAnswerError as error:
                self.answers["none"] += 1
                self.violations.append(f"the service did not answer: {error}")
                continue
            self.answers[str(answer.status)] += 1
            if answer.status in good:
                return answer
            if answer.status != 503 or "retry-after" not in answer.headers or answer.seconds > 3.5:
                self.violations.append(f"{method} {answer.status} after {answer.seconds:.1f} s: {answer.body!r}")
            await asyncio.sleep(0.2)
        raise NoAnswerError(f"{method} {path} never went through")

    # --- what goes on meanwhile ---------------------------------------------------------------------------------------

    async def _reconcile_for_ever(self, product: Product) -> None:
        while True:
            await product.reconcile_to_the_end()
            await asyncio.sleep(2)

    async def _break_for_ever(self, mortal: MortalS3) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(10, 20))
            self.outages += 1
            if self.outages % 2:
                mortal.stop()
                await asyncio.sleep(self.chance.uniform(1, 5))
                mortal.go_on()
            else:
                await asyncio.to_thread(mortal.kill)
                await asyncio.sleep(self.chance.uniform(0.2, 2))
                mortal.start()

    # --- afterwards ---------------------------------------------------------------------------------------------------

    async def _finish(self, product: Product) -> None:
        for _ in range(2):
            code = await product.reconcile_to_the_end()
            if code:
                self.violations.append(f"a clean run ended with {code}")

    async def _audit(self, port: int) -> None:
        limit = asyncio.Semaphore(CLIENTS)

        async def one(entry: Entry) -> None:
            async with limit:
                connection = Connection(HOST, port, 10)
                answer = await connection.request("GET", f"/asset/{entry.asset_id}")
                connection.close()
                if answer.status != 200:
                    self.lost += 1
                    self.violations.append(f"LOST {entry}: {answer.status} {answer.body!r}")
                    return
                found = await follow(answer.document["Download_url"], "GET")
                if hashlib.sha256(found.body).hexdigest() != entry.sha256:
                    self.changed += 1
                    self.violations.append(f"CHANGED {entry}")

        async with asyncio.TaskGroup() as group:
            for entry in self.entries:
                group.create_task(one(entry))
