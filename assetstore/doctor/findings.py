"""What the doctor finds: one line for each check, with what to do about it."""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum

from assetstore.errors import (
    PreconditionFailedError,
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)


class Level(StrEnum):
    """How bad it is, from good to worst."""

    GOOD = "good"
    SKIPPED = "skipped"
    """It could not be checked here, or does not apply; `says` tells why."""
    WARNING = "warning"
    """It works, and could hurt later."""
    BROKEN = "broken"
    """It does not work, or loses or leaks assets."""
    MISCONFIGURED = "misconfigured"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"

    @property
    def is_bad(self) -> bool:
        """Whether the program must not be deployed so."""
        return self not in {Level.GOOD, Level.SKIPPED, Level.WARNING}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    level: Level
    says: str
    to_do: str = ""


def good(check: str, says: str) -> Finding:
    """A tick."""
    return Finding(check, Level.GOOD, says)


def skipped(check: str, why: str) -> Finding:
    """Not checked."""
    return Finding(check, Level.SKIPPED, why)


async def tried(check: str, attempt: Awaitable[object], says: str, to_do: str) -> Finding:
    """A tick if S3 does it; else what it said, and what to do.

    A condition that failed is a tick too: S3 had allowed the call and come to the condition.
    """
    try:
        await attempt
    except PreconditionFailedError:
        return good(check, says)
    except StoreError as error:
        return failed(check, error, to_do)
    return good(check, says)


def failed(check: str, error: StoreError, to_do: str) -> Finding:
    """A cross, for what S3 said."""
    match error:
        case StoreDeniedError():
            level = Level.DENIED
        case StoreUnavailableError():
            level = Level.UNAVAILABLE
        case StoreMisconfiguredError():
            level = Level.MISCONFIGURED
        case _:
            level = Level.BROKEN
    return Finding(check, level, str(error), to_do)
