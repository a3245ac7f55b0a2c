"""The explorer: every schedule within bounds, depth first, by running each from its beginning.

Coroutines cannot be copied, so each schedule is run anew.
"""

from collections.abc import Iterator, Sequence

from tests.protocol.code import Code
from tests.protocol.schedule import Bounds, Run, Scenario, run


def explore(scenario: Scenario, code: Code, bounds: Bounds, prefix: Sequence[int] = ()) -> Iterator[Run]:
    """Every schedule within the bounds that begins with the prefix."""
    known_ends: set[object] = set()
    vector: Sequence[int] | None = prefix
    while vector is not None:
        done = run(scenario, code, bounds, vector, known_ends=known_ends)
        yield done
        vector = _following(done.vector, done.sizes, len(prefix))


def prefixes(scenario: Scenario, code: Code, bounds: Bounds, depth: int) -> Iterator[list[int]]:
    """Beginnings that share the schedules out: each schedule has exactly one of them."""
    known_ends: set[object] = set()
    vector: Sequence[int] | None = ()
    while vector is not None:
        done = run(scenario, code, bounds, vector, known_ends=known_ends)
        yield done.vector[:depth]
        vector = _following(done.vector[:depth], done.sizes[:depth], 0)


def _following(vector: Sequence[int], sizes: Sequence[int], fixed: int) -> list[int] | None:
    """The next vector in depth-first order that leaves the first ones alone."""
    for at in range(len(vector) - 1, fixed - 1, -1):
        if vector[at] + 1 < sizes[at]:
            return [*vector[:at], vector[at] + 1]
    return None


def spell(bounds: Bounds, vector: Sequence[int]) -> str:
    """A schedule as one types it: how far from plain sailing its bounds go, and its vector."""
    last = max((at for at, number in enumerate(vector) if number), default=0)
    return f"{bounds.together}:" + (".".join(str(number) for number in vector[: last + 1]) or "0")


def parse(text: str) -> tuple[Bounds, list[int]]:
    """A schedule as one typed it."""
    together, _, vector = text.partition(":")
    return Bounds(together=int(together)), [int(number) for number in vector.split(".")]
