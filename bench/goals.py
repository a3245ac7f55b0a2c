"""What was measured, and what must be reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.programs import GET, POST, PUT
from bench.reconciler import ONE_SHARD, ReconcilerRow, Run
from bench.s3_cost import Life
from bench.server import Scheme
from bench.service import ASSETUPLOADER, ServiceRow
from bench.sizes import MAIN_CONNECTIONS

CPU_GOALS: Final[Mapping[str, float]] = {GET: 2.5, POST: 3.5, PUT: 4.0}
"""CPU per request as a multiple of Sanic's constant response, at 32 connections, over HTTP."""
MEBIBYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures of one run."""

    service: Sequence[ServiceRow]
    start: Run
    finalizing: Sequence[ReconcilerRow]
    not_due: Sequence[ReconcilerRow]
    """A tenth of the assets, and all."""
    life: Life
    load_before: float
    """The machine's load average before the run: what else was running."""

    def service_row(self, program: str, request: str) -> ServiceRow:
        """Return a row over HTTP, with the main number of connections."""
        key = (program, request, MAIN_CONNECTIONS, Scheme.HTTP)
        return next(row for row in self.service if (row.program, row.request, row.connections, row.scheme) == key)

    def reconciler_row(self, program: str) -> ReconcilerRow:
        """Return a row of finalizing over HTTP."""
        return next(row for row in self.finalizing if (row.program, row.scheme) == (program, Scheme.HTTP))


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure, and its limit."""

    name: str
    limit: float
    figure: float
    more_is_better: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether the figure is within the limit."""
        return self.figure >= self.limit if self.more_is_better else self.figure <= self.limit


def goals_of(measured: Measured) -> list[Goal]:
    """Return all goals, with what was measured."""
    ours, s5cmd = measured.reconciler_row(ONE_SHARD), measured.reconciler_row("s5cmd mv")
    tenth, everything = measured.not_due
    return [
        *[
            Goal(f"{request}: CPU ÷ Sanic's constant response", limit, row.to_sanic)
            for request, limit in CPU_GOALS.items()
            for row in [measured.service_row(ASSETUPLOADER, request)]
        ],
        Goal("CPU per finalized asset ÷ `s5cmd mv`'s per object", 0.5, ours.cpu_us / s5cmd.cpu_us),
        Goal("assets/s ÷ `s5cmd mv`'s objects/s", 1, ours.per_second / s5cmd.per_second, more_is_better=True),
        Goal(f"peak RSS over {everything.program}, MiB", 120, everything.peak_rss_bytes / MEBIBYTE),
        Goal(f"that ÷ peak RSS over {tenth.program}", 1.05, everything.peak_rss_bytes / tenth.peak_rss_bytes),
        Goal("S3 requests in a pinned asset's life", 8.002, measured.life.total),
    ]
