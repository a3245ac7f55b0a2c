"""Exit codes, as sysexits.h and the CronJob's podFailurePolicy know them."""

from enum import IntEnum

from assetstore.errors import StoreDeniedError, StoreError, StoreUnavailableError
from reconciler.report import Report


class Exit(IntEnum):
    """How a program ends."""

    OK = 0
    """Done, nothing to do, told to stop, or out of budget."""
    SOME_FAILED = 1
    USAGE = 64
    UNAVAILABLE = 75
    DENIED = 77
    CONFIG = 78


def exit_after(report: Report) -> Exit:
    """How a run ends that came to its end."""
    return Exit.SOME_FAILED if report.failed or report.undeleted else Exit.OK


def exit_on(error: StoreError) -> Exit:
    """How a program ends that S3 stopped."""
    match error:
        case StoreUnavailableError():
            return Exit.UNAVAILABLE
        case StoreDeniedError():
            return Exit.DENIED
        case _:
            return Exit.CONFIG
