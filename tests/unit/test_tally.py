"""The tally of a run, and the report that it ends in."""

from datetime import timedelta

import pytest

from assetstore.assets import Outcome, Reconciled
from reconciler.dues import Due
from reconciler.report import Tally
from tests.memory_s3 import START

HOUR = timedelta(hours=1)
LEFT = [Outcome.WAITING, Outcome.MISMATCHED, Outcome.ORPHANED]


def _done(outcome: Outcome, *, is_garbage: bool = False) -> Reconciled:
    return Reconciled(outcome, is_garbage=is_garbage)


def test_an_empty_run_reports_nothing() -> None:
    """A bucket without uploads: no counts, nothing overdue, nothing due."""
    report = Tally().report()

    assert (report.outcomes, report.failed, report.undeleted, report.foreign) == ({}, 0, 0, 0)
    assert (report.oldest_overdue, report.next_due_at, report.is_complete) == (None, None, False)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_later_looks_see_again_is_counted_once(outcome: Outcome) -> None:
    """Changes are counted whenever they are made; what was left as it is, by the full pass only."""
    tally = Tally()
    tally.add("a", _done(outcome), START, is_full_pass=True)
    tally.add("a", _done(outcome), START, is_full_pass=False)

    assert tally.report().outcomes == {outcome: 1 if outcome in LEFT else 2}


def test_the_next_that_is_due_is_the_earliest_that_waits() -> None:
    """Of those that wait the first to be due is known; what waits for a mark is never due."""
    tally = Tally()
    for name, due_at in (("a", START + 2 * HOUR), ("b", START + HOUR), ("c", START + 3 * HOUR), ("d", None)):
        tally.add(name, Reconciled(Outcome.WAITING, is_garbage=False, due_at=due_at), START, is_full_pass=True)

    report = tally.report()
    assert (report.next_due_at, report.oldest_overdue) == (START + HOUR, None)


def test_the_oldest_overdue_is_the_failed_asset_that_was_due_first() -> None:
    """A failure behind the placeholder leaves an asset overdue; one that was not due yet is not overdue."""
    tally = Tally()
    tally.add_failed("later", START - HOUR, START)
    tally.add_failed("first", START - 2 * HOUR, START)
    tally.add_failed("not due", START + HOUR, START)
    tally.add_failed("unknown", None, START)

    report = tally.report()
    assert (report.failed, report.oldest_overdue) == (4, Due(START - 2 * HOUR, "first"))


def test_a_failed_asset_that_is_not_due_yet_is_not_overdue() -> None:
    """The alarm is for work that is late, not for every error."""
    tally = Tally()
    tally.add_failed("not due", START + HOUR, START)

    report = tally.report()
    assert (report.failed, report.oldest_overdue, report.next_due_at) == (1, None, START + HOUR)
