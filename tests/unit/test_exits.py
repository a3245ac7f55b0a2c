"""Exit codes, as sysexits.h and the chart's podFailurePolicy know them."""

from dataclasses import replace

import pytest

from assetstore.errors import (
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnfitError,
)
from reconciler.exits import Exit, exit_after, exit_on
from reconciler.report import Tally

NOTHING = Tally().report()


def test_the_codes_are_those_of_sysexits() -> None:
    """EX_USAGE, EX_TEMPFAIL, EX_NOPERM and EX_CONFIG have the numbers that others know."""
    assert {exit_.name: exit_.value for exit_ in Exit} == {
        "OK": 0,
        "SOME_FAILED": 1,
        "USAGE": 64,
        "UNAVAILABLE": 75,
        "DENIED": 77,
        "CONFIG": 78,
    }


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_run_without_failures_ends_0(*, is_complete: bool) -> None:
    """Done, stopped, or out of budget: all are well."""
    assert exit_after(replace(NOTHING, is_complete=is_complete, foreign=3)) is Exit.OK


@pytest.mark.parametrize(("failed", "undeleted"), [(1, 0), (0, 1), (5, 5)])
def test_a_run_with_failures_ends_1(failed: int, undeleted: int) -> None:
    """Not 75: a retry within the minute would meet the same, and the next run comes anyway."""
    assert exit_after(replace(NOTHING, failed=failed, undeleted=undeleted)) is Exit.SOME_FAILED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailableError("away"), Exit.UNAVAILABLE),
        (StoreDeniedError("403"), Exit.DENIED),
        (StoreMisconfiguredError("no bucket"), Exit.CONFIG),
        (StoreUnfitError("lies"), Exit.CONFIG),
    ],
)
def test_what_s3_stopped_ends_with_whose_turn_it_is(error: StoreError, code: Exit) -> None:
    """75: try again; 77: change a policy; 78: change the configuration."""
    assert exit_on(error) is code
