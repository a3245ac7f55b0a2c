"""The counters of a run, and the summary that they become."""

from datetime import datetime, timedelta

import pytest

from assetuploader.asset_reconciler import ReconcileResult
from assetuploader.outcome import REMAINING, Outcome
from reconciler.due_tracker import DueAsset
from reconciler.listeners import ReconciledAsset
from reconciler.summary import RunCounters
from tests.support.in_memory_s3 import START

HOUR = timedelta(hours=1)


def build_asset(
    asset_id: str, outcome: Outcome, due_at: datetime | None = None, *, is_full_scan: bool = True
) -> ReconciledAsset:
    """Return an asset that was reconciled at START."""
    return ReconciledAsset(asset_id, ReconcileResult(outcome, due_at=due_at), START, START, is_full_scan=is_full_scan)


def test_an_empty_run_has_an_empty_summary() -> None:
    """A run without uploads has no counts, and nothing is overdue or due."""
    summary = RunCounters().summarize(is_complete=False)
    assert (summary.outcomes, summary.oldest_overdue, summary.next_due_at) == ({}, None, None)
    assert (summary.is_complete, summary.has_failures) == (False, False)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_remains_in_temp_is_counted_once(outcome: Outcome) -> None:
    """Changes are counted in every scan; what remains in temp/ is counted in the full scan only."""
    counters = RunCounters()
    counters.on_result(build_asset("a", outcome))
    counters.on_result(build_asset("a", outcome, is_full_scan=False))
    assert counters.summarize(is_complete=True).outcomes == {outcome: 1 if outcome in REMAINING else 2}


@pytest.mark.parametrize(
    ("outcome", "has_failures"), [(outcome, outcome in {Outcome.FAILED, Outcome.DELETE_FAILED}) for outcome in Outcome]
)
def test_failures_are_failed_assets_and_failed_deletions(outcome: Outcome, *, has_failures: bool) -> None:
    """A run with any other outcome has no failures."""
    counters = RunCounters()
    counters.on_result(build_asset("a", outcome))
    assert counters.summarize(is_complete=True).has_failures is has_failures


def test_failed_deletions_and_unrecognized_keys_are_counted() -> None:
    """Both have their own outcomes."""
    counters = RunCounters()
    counters.on_delete_failed(3, "AccessDenied")
    counters.on_not_read(Outcome.UNRECOGNIZED_KEY)
    outcomes = counters.summarize(is_complete=True).outcomes
    assert outcomes == {Outcome.DELETE_FAILED: 3, Outcome.UNRECOGNIZED_KEY: 1}


def test_the_next_due_time_is_the_earliest_of_those_that_wait() -> None:
    """An asset that waits for its mark is never due."""
    counters = RunCounters()
    for name, due_at in (("a", START + 2 * HOUR), ("b", START + HOUR), ("c", START + 3 * HOUR), ("d", None)):
        counters.on_result(build_asset(name, Outcome.WAITING, due_at))
    summary = counters.summarize(is_complete=True)
    assert (summary.next_due_at, summary.oldest_overdue) == (START + HOUR, None)


def test_the_oldest_overdue_asset_is_the_failed_one_that_was_due_first() -> None:
    """A failure leaves a due asset overdue; one that was not due yet is not overdue."""
    counters = RunCounters()
    for name, due_at in (
        ("later", START - HOUR),
        ("first", START - 2 * HOUR),
        ("not due", START + HOUR),
        ("unknown", None),
    ):
        counters.on_result(build_asset(name, Outcome.FAILED, due_at))
    assert counters.summarize(is_complete=True).oldest_overdue == DueAsset(START - 2 * HOUR, "first")


def test_a_failed_asset_that_is_not_due_yet_is_not_overdue() -> None:
    """The alert is for late work, not for every error."""
    counters = RunCounters()
    counters.on_result(build_asset("not due", Outcome.FAILED, START + HOUR))
    summary = counters.summarize(is_complete=True)
    assert (summary.oldest_overdue, summary.next_due_at) == (None, START + HOUR)


def test_an_asset_finalized_later_in_the_run_is_not_overdue() -> None:
    """An asset that waited or failed at first, and was finalized by a later scan, is not reported as overdue."""
    counters = RunCounters()
    counters.on_result(build_asset("waited", Outcome.WAITING, START))
    counters.on_result(build_asset("failed", Outcome.FAILED, START - HOUR))
    assert counters.summarize(is_complete=True).oldest_overdue == DueAsset(START - HOUR, "failed")
    for name in ("waited", "failed"):
        counters.on_result(build_asset(name, Outcome.FINALIZED, START, is_full_scan=False))
    summary = counters.summarize(is_complete=True)
    assert (summary.oldest_overdue, summary.next_due_at) == (None, None)


def test_an_etag_mismatch_is_not_overdue() -> None:
    """The client must upload or mark again: no run can finish the asset, so none is late."""
    counters = RunCounters()
    counters.on_result(build_asset("a", Outcome.ETAG_MISMATCH, START))
    assert counters.summarize(is_complete=True).next_due_at is None
