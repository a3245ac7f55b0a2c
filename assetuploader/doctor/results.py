"""What the doctor's checks return: one line for each check, with what to do about it."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from assetuploader.errors import PreconditionFailedError, StoreError, StoreErrorKind


class Severity(StrEnum):
    """How bad a result is, from best to worst."""

    OK = "ok"
    SKIPPED = "skipped"
    """It could not be checked here, or does not apply; the message gives the reason."""
    WARNING = "warning"
    """It works, but may cause harm later."""
    FAILED = "failed"
    """It does not work, or it loses or leaks assets."""
    MISCONFIGURED = "misconfigured"
    ACCESS_DENIED = "access_denied"
    UNAVAILABLE = "unavailable"

    @property
    def is_failure(self) -> bool:
        """Whether the programs must not be deployed like this."""
        return self not in {Severity.OK, Severity.SKIPPED, Severity.WARNING}


SEVERITIES: Final[Mapping[StoreErrorKind, Severity]] = {
    StoreErrorKind.UNAVAILABLE: Severity.UNAVAILABLE,
    StoreErrorKind.ACCESS_DENIED: Severity.ACCESS_DENIED,
    StoreErrorKind.MISCONFIGURED: Severity.MISCONFIGURED,
    StoreErrorKind.UNSUPPORTED: Severity.FAILED,
}
"""The severity of a check that an error of the store stopped."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    check: str
    severity: Severity
    message: str
    remediation: str = ""


def passed(check: str, message: str) -> CheckResult:
    """Return the result of a check that passed."""
    return CheckResult(check, Severity.OK, message)


def skipped(check: str, reason: str) -> CheckResult:
    """Return the result of a check that was not made."""
    return CheckResult(check, Severity.SKIPPED, reason)


def failed(check: str, error: StoreError, remediation: str) -> CheckResult:
    """Return the result of a check that an error of the store stopped."""
    return CheckResult(check, SEVERITIES[error.kind], str(error), remediation)


async def attempt(check: str, operation: Awaitable[object], message: str, remediation: str) -> CheckResult:
    """Await an operation, and return whether S3 did it.

    A failed precondition passes, too: S3 allowed the operation before it compared the condition.
    """
    try:
        await operation
    except PreconditionFailedError:
        return passed(check, message)
    except StoreError as error:
        return failed(check, error, remediation)
    return passed(check, message)
