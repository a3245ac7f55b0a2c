"""The simulated day of `make verify CHECK=scan-cost`, with few assets."""

from collections.abc import Iterator

import pytest
import structlog

from tests.verify.scan_cost_check import check_scan_cost


@pytest.fixture(autouse=True)
def logging() -> Iterator[None]:
    """Log as before after the check, which logs nothing."""
    configuration = structlog.get_config()
    yield
    structlog.configure(**configuration)


def test_a_day_of_the_real_reconciler_costs_little_and_loses_nothing() -> None:
    """At most 170 HEADs for an upload that nobody marks; what is due is found in time, whichever runs are missing."""
    assert check_scan_cost(20).violations == []
