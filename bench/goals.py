"""What was measured, and what must be reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.price import Life
from bench.reconciling import Moved, Run
from bench.service import Cell

CPU_GOALS: Final = {"GET final": 2.5, "POST": 3.5, "PUT": 4.0}
"""CPU per request as a multiple of Sanic's constant answer, at 32 connections."""
MEBIBYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures of one run."""

    cells: Sequence[Cell]
    start: Run
    moving: Sequence[Moved]
    """One, two, four shards; bare calls; s5cmd."""
    waiting: Sequence[Run]
    """A tenth, and all."""
    life: Life
    load_before: float
    """The machine's load average before it began: what else was running."""
    version: str

    def cell(self, program: str, request: str, connections: int) -> Cell:
        """One measurement."""
        for cell in self.cells:
            if (cell.program, cell.request, cell.connections) == (program, request, connections):
                return cell
        raise KeyError((program, request, connections))


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that must be reached."""

    what: str
    limit: float
    figure: float
    more_is_better: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether it was."""
        return self.figure >= self.limit if self.more_is_better else self.figure <= self.limit


def goals_of(measured: Measured) -> list[Goal]:
    """All that must be reached, with what was."""
    ours = measured.moving[0]
    tenth, everything = measured.waiting
    return [
        *[
            Goal(
                f"{request}: CPU ÷ Sanic's constant answer",
                limit,
                measured.cell("assetuploader", request, 32).to_hello,
            )
            for request, limit in CPU_GOALS.items()
        ],
        Goal("CPU per finalized asset ÷ `s5cmd mv`'s per object", 0.5, ours.cpu_to_s5cmd),
        Goal("assets/s ÷ `s5cmd mv`'s objects/s", 1, ours.rate_to_s5cmd, more_is_better=True),
        Goal(f"peak RSS over {everything.name}, MiB", 120, everything.peak_rss_bytes / MEBIBYTE),
        Goal(f"that ÷ peak RSS over {tenth.name}", 1.05, everything.peak_rss_bytes / tenth.peak_rss_bytes),
        Goal("S3 calls in a pinned asset's life", 8.001, measured.life.total),
    ]
