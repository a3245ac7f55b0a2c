"""The raw corpus, sent: each case on a connection of its own, and the server asked after each whether it lives."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from tests.faults.client import Connection, NoAnswerError
from tests.fuzz.corpus import MARKER, case

CONNECTIONS: Final = 48
HANG_SECONDS: Final = 20.0
"""Longer than any of the service's own time limits for a request."""
FIRST_SECONDS: Final = 1.0
"""Whoever has not answered by then waits for more of the request."""
QUIET_SECONDS: Final = 0.1
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(slots=True)
class Raw:
    """The whole trial."""

    host: str
    port: int
    number: int
    progress: Callable[[int], None]
    cases: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Send every case."""
        numbers = count()

        async def sender() -> None:
            alive = Connection(self.host, self.port, 10)
            while (number := next(numbers)) < self.number:
                await self._send(number, case(number))
                await self._require_alive(number, alive)
                self.cases += 1
                self.progress(self.cases)
            alive.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(sender())

    async def _send(self, number: int, sent: bytes) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        answer = b""
        try:
            async with asyncio.timeout(HANG_SECONDS):
                with suppress(ConnectionError):  # the server may refuse before it has read everything
                    writer.write(sent)
                    await writer.drain()
                    answer = await _until_quiet(reader)
                    writer.write_eof()
                    answer += await reader.read()
        except TimeoutError:
            self.violations.append(f"case {number}: not closed in {HANG_SECONDS:.0f} s; got {answer!r}")
        finally:
            writer.close()
        statuses = _STATUS.findall(answer)
        self.answers.update(status.decode() for status in statuses or [b"closed"])
        if any(status.startswith(b"5") for status in statuses):
            self.violations.append(f"case {number}: {answer[:300]!r}")
        if MARKER.encode() in answer:
            self.violations.append(f"case {number}: its input stands in the answer: {answer[:300]!r}")

    async def _require_alive(self, number: int, alive: Connection) -> None:
        try:
            status = (await alive.request("GET", "/livez")).status
        except NoAnswerError as error:
            self.violations.append(f"after case {number} the server does not live: {error}")
        else:
            if status != 200:
                self.violations.append(f"after case {number} /livez says {status}")


async def _until_quiet(reader: asyncio.StreamReader) -> bytes:
    """What comes until nothing more does: an answer on a connection that is kept has no other end."""
    answer, seconds = b"", FIRST_SECONDS
    with suppress(TimeoutError):
        while part := await asyncio.wait_for(reader.read(65_536), seconds):
            answer, seconds = answer + part, QUIET_SECONDS
    return answer
