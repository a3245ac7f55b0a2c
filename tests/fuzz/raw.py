"""The client that sends the raw corpus, each case on its own connection, and then checks that the server is alive."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from tests.fuzz.corpus import MARKER, build_case
from tests.support.load_client import Connection, NoResponseError

CONNECTIONS: Final = 48
HANG_SECONDS: Final = 20.0
"""Longer than any of the service's own time limits for a request."""
FIRST_SECONDS: Final = 1.0
"""How long to wait for the first bytes. A server that sends none until then waits for more of the request."""
QUIET_SECONDS: Final = 0.1
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(slots=True)
class CorpusRun:
    """One run of the corpus."""

    host: str
    port: int
    number: int
    """How many cases."""
    progress: Callable[[int], None]
    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Send every case."""
        numbers = count()

        async def sender() -> None:
            alive = Connection(self.host, self.port, 10)
            while (number := next(numbers)) < self.number:
                await self._send(number, build_case(number))
                await self._require_alive(number, alive)
                self.cases += 1
                self.progress(self.cases)
            alive.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(sender())

    async def _send(self, number: int, sent: bytes) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        response = b""
        try:
            async with asyncio.timeout(HANG_SECONDS):
                with suppress(ConnectionError):  # the server may respond before it has read everything
                    writer.write(sent)
                    await writer.drain()
                    response = await _read_until_quiet(reader)
                    writer.write_eof()
                    response += await reader.read()
        except TimeoutError:
            self.violations.append(f"case {number}: not closed in {HANG_SECONDS:.0f} s; got {response!r}")
        finally:
            writer.close()
        statuses = _STATUS.findall(response)
        self.outcomes.update(status.decode() for status in statuses or [b"closed"])
        if any(status.startswith(b"5") for status in statuses):
            self.violations.append(f"case {number}: {response[:300]!r}")
        if MARKER.encode() in response:
            self.violations.append(f"case {number}: the response repeats its input: {response[:300]!r}")

    async def _require_alive(self, number: int, alive: Connection) -> None:
        try:
            status = (await alive.request("GET", "/livez")).status
        except NoResponseError as error:
            self.violations.append(f"after case {number} the server is not alive: {error}")
        else:
            if status != 200:
                self.violations.append(f"after case {number} /livez responds {status}")


async def _read_until_quiet(reader: asyncio.StreamReader) -> bytes:
    """Read until nothing more arrives: a connection that is kept alive does not end with the response."""
    response, seconds = b"", FIRST_SECONDS
    with suppress(TimeoutError):
        while part := await asyncio.wait_for(reader.read(65_536), seconds):
            response, seconds = response + part, QUIET_SECONDS
    return response
