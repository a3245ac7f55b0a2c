"""The explorer: runs every schedule within bounds, depth first.

Coroutines cannot be copied, so each schedule runs from its beginning.
"""

from collections.abc import Iterator, Sequence

from tests.protocol.code_under_test import Code
from tests.protocol.schedule import Bounds, Run, Scenario, run


def explore(scenario: Scenario, code: Code, bounds: Bounds, prefix: Sequence[int] = ()) -> Iterator[Run]:
    """Run every schedule within the bounds that begins with the prefix."""
    known_ends: set[object] = set()
    vector: Sequence[int] | None = prefix
    while vector is not None:
        done = run(scenario, code, bounds, vector, known_ends=known_ends)
        yield done
        vector = _next_vector(done.vector, done.sizes, len(prefix))


def prefixes(scenario: Scenario, code: Code, bounds: Bounds, depth: int) -> Iterator[list[int]]:
    """Return prefixes that partition the schedules: each schedule has exactly one of them."""
    known_ends: set[object] = set()
    vector: Sequence[int] | None = ()
    while vector is not None:
        done = run(scenario, code, bounds, vector, known_ends=known_ends)
        yield done.vector[:depth]
        vector = _next_vector(done.vector[:depth], done.sizes[:depth], 0)


def _next_vector(vector: Sequence[int], sizes: Sequence[int], fixed: int) -> list[int] | None:
    """Return the next vector in depth-first order that keeps the first `fixed` numbers."""
    for index in range(len(vector) - 1, fixed - 1, -1):
        if vector[index] + 1 < sizes[index]:
            return [*vector[:index], vector[index] + 1]
    return None


def format_schedule(bounds: Bounds, vector: Sequence[int]) -> str:
    """Format a schedule for the command line: its bound on faults and switches, and its vector."""
    last = max((index for index, number in enumerate(vector) if number), default=0)
    return f"{bounds.together}:" + (".".join(str(number) for number in vector[: last + 1]) or "0")


def parse_schedule(text: str) -> tuple[Bounds, list[int]]:
    """Parse a schedule from the command line."""
    together, _, vector = text.partition(":")
    return Bounds(together=int(together)), [int(number) for number in vector.split(".")]
