"""What a row of the table is."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

EVERY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a row found."""

    size: str
    """What was tried, in numbers."""
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """One proof."""

    name: str
    claim: str
    run: Callable[[int], Outcome]
    """Try it in so many cases, more or less: the unit is the row's own."""
    size: int
    """What `make prove` tries."""
    small: int
    """The same for a machine with little time: `make prove SIZE=small`."""


def say(text: str) -> None:
    """Tell how far a long row has come."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def now_and_then(what: str) -> Callable[[int], None]:
    """A listener that tells how many are done, every EVERY_SECONDS."""
    last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > EVERY_SECONDS:
            last = time.monotonic()
            say(f"{done:,} {what}")

    return show
