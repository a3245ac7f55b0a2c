"""What a check is, and what it returns."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

INTERVAL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The outcome of a check."""

    size: str
    """What was tried, in numbers."""
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the product."""

    name: str
    statement: str
    """What the check shows when it finds no violation."""
    run: Callable[[int], CheckOutcome]
    """Run it with about this many cases. What a case is depends on the check."""
    size: int
    """The size of `make verify`."""
    small: int
    """The size of `make verify SIZE=small`."""


def print_progress(text: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def make_progress_printer(what: str) -> Callable[[int], None]:
    """Return a function that prints how many are done, every INTERVAL_SECONDS."""
    last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > INTERVAL_SECONDS:
            last = time.monotonic()
            print_progress(f"{done:,} {what}")

    return show
