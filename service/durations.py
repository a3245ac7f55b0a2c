"""Counts and durations: what a counter and a histogram of prometheus-client say, at an eighth of their cost.

A request is counted in two of each, and prometheus-client's stand behind locks and checks of their own.
Everything here is counted in the one thread of the event loop and only read by the thread that Prometheus asks.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prometheus_client.utils import floatToGoString

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets in seconds, inclusive as Prometheus' `le`; beyond the last it is +Inf."""
_NAMES: Final = (*map(floatToGoString, BOUNDS), "+Inf")


@dataclass(slots=True)
class Durations:
    """How many there were, and how long they took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """By bucket, not cumulative."""
    sum_seconds: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum_seconds += seconds

    def add(self, other: "Durations") -> None:
        """Count all of another's."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum_seconds += other.sum_seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: each with all below it."""
        return list(zip(_NAMES, map(float, accumulate(self.counts)), strict=True))
