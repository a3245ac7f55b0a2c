"""What an observer learns about each S3 call when it ends. Never a key, never a URL."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from assetuploader.errors import (
    MultipartUploadLostError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreError,
    StoreErrorKind,
)


class CallOutcome(StrEnum):
    """How a call ended."""

    SUCCESS = "success"
    NOT_FOUND = "not_found"
    """The object or the multipart upload does not exist, which is an ordinary result."""
    PRECONDITION_FAILED = "precondition_failed"
    REJECTED = "rejected"
    """S3 does not accept the parts that a client completes its upload with."""
    UNAVAILABLE = "unavailable"
    ACCESS_DENIED = "access_denied"
    MISCONFIGURED = "misconfigured"
    UNSUPPORTED = "unsupported"
    CANCELLED = "cancelled"
    """The caller stopped waiting."""

    @classmethod
    def of_error(cls, error: "CallError") -> "CallOutcome":
        """Return the outcome that an error stands for."""
        match error:
            case PreconditionFailedError():
                return cls.PRECONDITION_FAILED
            case MultipartUploadLostError():
                return cls.NOT_FOUND
            case PartsRejectedError():
                return cls.REJECTED
            case StoreError():
                return _OF_KIND[error.kind]


CallError = StoreError | PreconditionFailedError | MultipartUploadLostError | PartsRejectedError
CALL_ERRORS: Final = (StoreError, PreconditionFailedError, MultipartUploadLostError, PartsRejectedError)
"""Every way in which a call can fail."""

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
