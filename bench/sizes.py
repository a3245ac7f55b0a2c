"""How much is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How long each program is under load, with one number of connections."""

    connections: int
    seconds: float
    """How long each request is sent in each round."""
    rounds: int


@dataclass(frozen=True, slots=True)
class Finalizing:
    """How many assets are finalized in how many rounds."""

    objects: int
    """The number of assets in each round."""
    rounds: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much one run measures."""

    service: Sequence[LoadPlan]
    assets: int
    """The assets that are requested in turn: many more than connections, so that no two requests write the same one."""
    finalizing: Finalizing
    not_due: int
    counted_assets: int
    """The number of assets whose S3 requests are counted for their cost."""
    comparison: LoadPlan
    comparison_finalizing: Finalizing
    starts: int
    """How often each program of the comparison is started."""


MAIN_CONNECTIONS: Final = 32
"""The number of connections that the chart, the summary and the comparison use."""
FULL: Final = Sizes(
    service=(LoadPlan(1, 1, 3), LoadPlan(MAIN_CONNECTIONS, 2, 8), LoadPlan(256, 4, 2)),
    assets=1_000,
    finalizing=Finalizing(10_000, 3),
    not_due=100_000,
    counted_assets=1_000,
    comparison=LoadPlan(MAIN_CONNECTIONS, 2, 12),
    comparison_finalizing=Finalizing(3_000, 5),
    starts=5,
)
QUICK: Final = Sizes(
    service=(LoadPlan(MAIN_CONNECTIONS, 0.05, 1),),
    assets=400,
    finalizing=Finalizing(20, 1),
    not_due=50,
    counted_assets=20,
    comparison=LoadPlan(MAIN_CONNECTIONS, 0.05, 1),
    comparison_finalizing=Finalizing(20, 1),
    starts=1,
)
"""Shows that everything works. Its figures mean nothing."""
