"""Exit codes, with the values of sysexits.h. The CronJob's podFailurePolicy refers to them."""

import os
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from assetuploader.errors import StoreError, StoreErrorKind


class ExitCode(IntEnum):
    """How a command ends."""

    OK = 0
    """Done, nothing to do, stopped by a signal, or out of time."""
    PARTIAL_FAILURE = 1
    USAGE = os.EX_USAGE
    TEMP_FAIL = os.EX_TEMPFAIL
    NO_PERMISSION = os.EX_NOPERM
    CONFIG = os.EX_CONFIG


EXIT_CODES: Final[Mapping[StoreErrorKind, ExitCode]] = {
    StoreErrorKind.UNAVAILABLE: ExitCode.TEMP_FAIL,
    StoreErrorKind.ACCESS_DENIED: ExitCode.NO_PERMISSION,
    StoreErrorKind.MISCONFIGURED: ExitCode.CONFIG,
    StoreErrorKind.UNSUPPORTED: ExitCode.CONFIG,
}


def exit_code_for(error: StoreError) -> ExitCode:
    """Return the exit code of a command that this error stopped."""
    return EXIT_CODES[error.kind]
