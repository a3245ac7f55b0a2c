"""The reconciler's last act: what its report says, and what it counts on from."""

from dataclasses import replace
from datetime import timedelta

from assetstore.assets import Outcome, Reconciled
from assetstore.errors import (
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnfitError,
)
from assetstore.reports import Change, Left, RunEnding, RunReport, read_report, report_key
from reconciler.publish import Ended, ending_after, ending_on, next_report, publish
from reconciler.report import Tally
from reconciler.shards import Shard
from tests.operate.report_store import NOON, MemoryReports

SHARD = Shard(1, 4)
KEY = report_key(1, 4)
MINUTE = timedelta(minutes=1)


def ended(tally: Tally, ending: RunEnding = RunEnding.DONE, minutes: int = 0) -> Ended:
    """A run that ended that many minutes after noon."""
    at = NOON + minutes * MINUTE
    return Ended(SHARD, at - timedelta(seconds=50), at, ending, tally.report())


def complete() -> Tally:
    """A run that saw everything: one finalized a minute after its mark, one waiting."""
    tally = Tally(is_complete=True)
    final = Reconciled(Outcome.FINALIZED, is_garbage=True, marked_at=NOON, due_at=NOON, is_pinned=True)
    tally.add("a", final, NOON, is_full_pass=True)
    tally.add_final(final, NOON + MINUTE)
    waiting = Reconciled(Outcome.WAITING, is_garbage=False, marked_at=NOON, due_at=NOON + 9 * MINUTE)
    tally.add("b", waiting, NOON, is_full_pass=True)
    return tally


async def test_totals_are_counted_on() -> None:
    """Two runs' changes, lags and endings add up, so that Prometheus sees counters that only grow."""
    store = MemoryReports()
    assert await publish(store, ended(complete()))
    assert await publish(store, ended(complete(), RunEnding.SOME_FAILED))
    report = read_report(KEY, store.objects[KEY])
    assert report.totals.changes[Change.FINALIZED] == 2
    assert report.totals.runs == {**dict.fromkeys(RunEnding, 0), RunEnding.DONE: 1, RunEnding.SOME_FAILED: 1}
    assert (sum(report.totals.pinned.mark.counts), report.totals.pinned.due.sum_seconds) == (2, 120)
    assert sum(report.totals.unpinned.mark.counts) == 0
    assert report.left == {Left.WAITING: 1, Left.MISMATCHED: 0, Left.ORPHANED: 0, Left.FOREIGN: 0}
    assert report.next_due_at == NOON + 9 * MINUTE


async def test_a_report_that_cannot_be_read_is_replaced() -> None:
    """An object that is no report costs the totals, and nothing else."""
    store = MemoryReports({KEY: b"not ours"})
    assert await publish(store, ended(complete()))
    assert read_report(KEY, store.objects[KEY]).totals.changes[Change.FINALIZED] == 1


async def test_nothing_is_written_when_the_report_before_cannot_be_asked_for() -> None:
    """Totals never begin anew because S3 was away for a moment; and the run is not failed by it."""
    store = MemoryReports({KEY: b"whatever"}, is_away=True)
    assert not await publish(store, ended(complete()))
    assert store.objects == {KEY: b"whatever"}


def test_only_a_complete_run_without_a_failure_is_a_success() -> None:
    """`last_success_at` moves when a run saw its whole shard and failed nothing; else the earlier one stands."""
    first = next_report(None, ended(complete()))
    assert first.last_success_at == NOON
    stopped = next_report(first, ended(Tally(is_complete=False), minutes=1))
    failed = next_report(stopped, ended(complete(), RunEnding.SOME_FAILED, minutes=2))
    assert (stopped.last_success_at, failed.last_success_at) == (NOON, NOON)
    assert next_report(failed, ended(complete(), minutes=3)).last_success_at == NOON + 3 * MINUTE
    assert next_report(None, ended(complete(), RunEnding.SOME_FAILED)).last_success_at is None


def test_a_run_that_saw_only_a_part_keeps_what_was_said_of_the_rest() -> None:
    """A failed run does not make a backlog look gone."""
    first = next_report(None, ended(complete()))
    after = next_report(first, ended(Tally(is_complete=False), RunEnding.UNAVAILABLE, minutes=1))
    assert (after.left, after.next_due_at) == (first.left, first.next_due_at)
    assert after == replace(
        first,
        started_at=after.started_at,
        finished_at=NOON + MINUTE,
        ending=RunEnding.UNAVAILABLE,
        is_complete=False,
        totals=after.totals,
    )


def test_a_complete_run_that_left_nothing_due_says_so() -> None:
    """Once the backlog is done, nothing is overdue any more."""
    first = next_report(None, ended(complete()))
    report: RunReport = next_report(first, ended(Tally(is_complete=True)))
    assert report.next_due_at is None
    assert report.left[Left.WAITING] == 0


def test_every_error_has_an_ending_of_its_own() -> None:
    """An outage, a refusal, a mistake in the settings and a store that lies are told apart."""
    errors: list[StoreError] = [
        StoreUnavailableError(),
        StoreDeniedError(),
        StoreMisconfiguredError(),
        StoreUnfitError(),
        StoreError(),
    ]
    assert [ending_on(error).value for error in errors] == [
        "unavailable",
        "denied",
        "misconfigured",
        "unfit",
        "misconfigured",
    ]
    failed = Tally(failed=1).report()
    assert (ending_after(failed), ending_after(Tally().report())) == (RunEnding.SOME_FAILED, RunEnding.DONE)
