"""What an observer learns about each S3 call when it ends. Never a key, never a URL."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from assetuploader.errors import PreconditionFailedError, StoreError, StoreErrorKind


class CallOutcome(StrEnum):
    """How a call ended."""

    SUCCESS = "success"
    NOT_FOUND = "not_found"
    """The object does not exist, which is an ordinary result of a read."""
    PRECONDITION_FAILED = "precondition_failed"
    UNAVAILABLE = "unavailable"
    ACCESS_DENIED = "access_denied"
    MISCONFIGURED = "misconfigured"
    UNSUPPORTED = "unsupported"
    CANCELLED = "cancelled"
    """The caller stopped waiting."""

    @classmethod
    def of_error(cls, error: StoreError | PreconditionFailedError) -> "CallOutcome":
        """Return the outcome that an error stands for."""
        return cls.PRECONDITION_FAILED if isinstance(error, PreconditionFailedError) else _OF_KIND[error.kind]


_OF_KIND: Final = {
    StoreErrorKind.UNAVAILABLE: CallOutcome.UNAVAILABLE,
    StoreErrorKind.ACCESS_DENIED: CallOutcome.ACCESS_DENIED,
    StoreErrorKind.MISCONFIGURED: CallOutcome.MISCONFIGURED,
    StoreErrorKind.UNSUPPORTED: CallOutcome.UNSUPPORTED,
}


@dataclass(frozen=True, slots=True)
class StoreCall:
    """One call that ended."""

    operation: str
    """S3's name of the operation, as in `HeadObject`."""
    outcome: CallOutcome
    seconds: float
    """From the call to its end, including the wait for a connection and all attempts."""
    retries: int


CallObserver = Callable[[StoreCall], None]


def noop_observer(_call: StoreCall) -> None:
    """Ignore the call."""
