"""Exit codes are those of sysexits.h, on which the chart's podFailurePolicy relies."""

import pytest

from assetuploader.cli.exit_codes import EXIT_CODES, ExitCode, exit_code_for
from assetuploader.errors import (
    StoreAccessDeniedError,
    StoreError,
    StoreErrorKind,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)


def test_the_codes_are_those_of_sysexits() -> None:
    """EX_USAGE, EX_TEMPFAIL, EX_NOPERM and EX_CONFIG have their well-known numbers."""
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "PARTIAL_FAILURE": 1,
        "USAGE": 64,
        "TEMP_FAIL": 75,
        "NO_PERMISSION": 77,
        "CONFIG": 78,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailableError("away"), ExitCode.TEMP_FAIL),
        (StoreAccessDeniedError("403"), ExitCode.NO_PERMISSION),
        (StoreMisconfiguredError("no bucket"), ExitCode.CONFIG),
        (StoreUnsupportedError("ignores conditions"), ExitCode.CONFIG),
    ],
)
def test_an_error_of_the_store_has_a_code_that_says_what_to_do(error: StoreError, code: ExitCode) -> None:
    """75: try again; 77: change a policy; 78: change the configuration or the store."""
    assert exit_code_for(error) is code


def test_every_kind_of_error_has_a_code() -> None:
    """A new kind cannot be forgotten in the table."""
    assert EXIT_CODES.keys() == set(StoreErrorKind)
