"""What is told of each call to S3 when it has ended: for metrics. Never a key, never a URL."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How a call ended."""

    DONE = "done"
    MISSING = "missing"
    """Read, and there is nothing: an answer like another."""
    PRECONDITION_FAILED = "precondition_failed"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    MISCONFIGURED = "misconfigured"
    CANCELLED = "cancelled"
    """The caller did not wait for the end."""


@dataclass(slots=True)  # not frozen: see assetstore.s3.caller.Ask
class Called:
    """One call that ended."""

    operation: str
    """S3's name of it."""
    ending: Ending
    seconds: float
    """From asking to the end, waiting for a connection and all attempts included."""
    retries: int


Observe = Callable[[Called], None]


def observe_nothing(_called: Called) -> None:
    """For those who do not want to know."""
