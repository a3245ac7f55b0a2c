"""The shard report at the end of a run: its content, and how it continues the previous one."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from assetuploader.errors import StoreErrorKind
from assetuploader.outcome import REMAINING, Outcome
from assetuploader.shard_reports import (
    RUN_OUTCOMES,
    FinalizeLatencies,
    LatencyHistogram,
    OpenUploads,
    RunOutcome,
    ShardReport,
    decode_report,
    report_key,
)
from reconciler.listeners import FinishedRun
from reconciler.shard_report import ShardReportWriter, merge, read_full_scan_at, write_shard_report
from reconciler.shards import Shard
from reconciler.summary import RunSummary
from tests.support.in_memory_reports import NOON, InMemoryReports

SHARD = Shard(1, 4)
KEY = report_key(1, 4)
MINUTE = timedelta(minutes=1)
COMPLETE = RunSummary(
    {Outcome.FINALIZED: 1, Outcome.WAITING: 1}, oldest_overdue=None, next_due_at=NOON + 9 * MINUTE, is_complete=True
)
INCOMPLETE = RunSummary({}, oldest_overdue=None, next_due_at=None, is_complete=False)
LATENCY = LatencyHistogram().observe(MINUTE)


def build_run(
    summary: RunSummary = COMPLETE, outcome: RunOutcome = RunOutcome.SUCCESS, minutes: int = 0, *, dry_run: bool = False
) -> FinishedRun:
    """Return a run that ended that many minutes after noon."""
    at = NOON + minutes * MINUTE
    pinned = FinalizeLatencies(LATENCY, LATENCY)
    return FinishedRun(
        SHARD, at - timedelta(seconds=50), at, outcome, 0, None, summary, pinned, FinalizeLatencies(), dry_run
    )


async def test_counters_are_continued() -> None:
    """Two runs' changes, latencies and run outcomes add up, so that Prometheus sees counters that only grow."""
    store = InMemoryReports()
    assert await write_shard_report(store, build_run())
    assert await write_shard_report(store, build_run(outcome=RunOutcome.PARTIAL_FAILURE))
    report = decode_report(KEY, store.objects[KEY])
    assert report.counters.assets[Outcome.FINALIZED] == 2
    assert report.counters.runs == {
        **dict.fromkeys(RunOutcome, 0),
        RunOutcome.SUCCESS: 1,
        RunOutcome.PARTIAL_FAILURE: 1,
    }
    assert (sum(report.counters.pinned.mark.counts), report.counters.pinned.due.sum_seconds) == (2, 120)
    assert sum(report.counters.unpinned.mark.counts) == 0
    assert report.remaining == {**dict.fromkeys(REMAINING, 0), Outcome.WAITING: 1}
    assert report.next_due_at == NOON + 9 * MINUTE


async def test_open_uploads_are_kept_until_a_run_lists_them_again() -> None:
    """They are listed once an hour, and a run that could not list them says nothing about them."""
    store = InMemoryReports()
    found = OpenUploads(pending=3, ended=1)
    for run, expected in (
        (build_run(), None),
        (replace(build_run(), open_uploads=found), found),
        (build_run(), found),
        (replace(build_run(), open_uploads=OpenUploads(0, 0)), OpenUploads(0, 0)),
    ):
        assert await write_shard_report(store, run)
        assert decode_report(KEY, store.objects[KEY]).open_uploads == expected


async def test_a_report_that_cannot_be_read_is_replaced() -> None:
    """An object that is not a report is replaced: the counters restart, and nothing else is lost."""
    store = InMemoryReports({KEY: b"not ours"})
    assert await write_shard_report(store, build_run())
    assert decode_report(KEY, store.objects[KEY]).counters.assets[Outcome.FINALIZED] == 1


async def test_nothing_is_written_when_the_previous_report_cannot_be_read() -> None:
    """Counters do not restart because S3 was unavailable for a moment; and the run does not fail."""
    store = InMemoryReports({KEY: b"not a report"}, is_away=True)
    assert not await write_shard_report(store, build_run())
    assert store.objects == {KEY: b"not a report"}


def test_only_a_complete_run_without_a_failure_is_a_success() -> None:
    """`last_success_at` advances when a run scanned its whole shard without a failure; otherwise it stays."""
    first = merge(None, build_run())
    assert first.last_success_at == NOON
    stopped = merge(first, build_run(INCOMPLETE, minutes=1))
    failed = merge(stopped, build_run(outcome=RunOutcome.PARTIAL_FAILURE, minutes=2))
    assert (stopped.last_success_at, failed.last_success_at) == (NOON, NOON)
    assert merge(failed, build_run(minutes=3)).last_success_at == NOON + 3 * MINUTE
    assert merge(None, build_run(outcome=RunOutcome.PARTIAL_FAILURE)).last_success_at is None


def test_an_incomplete_run_keeps_the_backlog_of_the_previous_report() -> None:
    """After a failed run the backlog of the previous report remains."""
    first = merge(None, build_run())
    after = merge(first, build_run(INCOMPLETE, RunOutcome.UNAVAILABLE, minutes=1))
    assert (after.remaining, after.next_due_at) == (first.remaining, first.next_due_at)
    assert after == replace(
        first,
        started_at=after.started_at,
        finished_at=NOON + MINUTE,
        outcome=RunOutcome.UNAVAILABLE,
        is_complete=False,
        counters=after.counters,
    )


def test_a_complete_run_that_left_nothing_due_says_so() -> None:
    """Once the backlog is done, nothing is overdue any more."""
    first = merge(None, build_run())
    report: ShardReport = merge(first, build_run(replace(INCOMPLETE, is_complete=True)))
    assert report.next_due_at is None
    assert report.remaining[Outcome.WAITING] == 0


async def test_the_next_run_learns_when_the_last_full_scan_was() -> None:
    """A run without a completed full scan keeps the time of the report before."""
    store = InMemoryReports()
    assert await read_full_scan_at(store, SHARD) is None
    assert await write_shard_report(store, replace(build_run(), full_scan_at=NOON))
    assert await write_shard_report(store, build_run(INCOMPLETE, RunOutcome.UNAVAILABLE, minutes=1))
    assert await read_full_scan_at(store, SHARD) == NOON
    assert await write_shard_report(store, replace(build_run(minutes=2), full_scan_at=NOON + MINUTE))
    assert await read_full_scan_at(store, SHARD) == NOON + MINUTE
    assert await read_full_scan_at(store, Shard(0, 4)) is None


async def test_a_report_of_an_earlier_version_has_no_time_of_a_full_scan() -> None:
    """It is read as before, and the next scan reads every upload."""
    store = InMemoryReports()
    assert await write_shard_report(store, replace(build_run(), full_scan_at=NOON))
    document = json.loads(store.objects[KEY])
    assert document.pop("full_scan_at") == "2026-01-01T12:00:00Z"
    store.objects[KEY] = json.dumps(document).encode()
    assert await read_full_scan_at(store, SHARD) is None
    assert decode_report(KEY, store.objects[KEY]).counters.assets[Outcome.FINALIZED] == 1


@pytest.mark.parametrize("store", [InMemoryReports(is_away=True), InMemoryReports({KEY: b"not a report"})])
async def test_a_report_that_cannot_be_read_fails_no_run(store: InMemoryReports) -> None:
    """The next scan reads every upload."""
    assert await read_full_scan_at(store, SHARD) is None


async def test_a_dry_run_writes_no_report() -> None:
    """A dry run changes nothing in the bucket."""
    store = InMemoryReports()
    await ShardReportWriter(store).on_run_finished(build_run(dry_run=True))
    assert store.objects == {}
    await ShardReportWriter(store).on_run_finished(build_run())
    assert store.objects.keys() == {KEY}


@pytest.mark.parametrize("kind", StoreErrorKind)
def test_every_kind_of_error_has_its_own_outcome(kind: StoreErrorKind) -> None:
    """An outage, a missing permission, a wrong setting and an unsupported store are distinguished."""
    assert RUN_OUTCOMES[kind].value.startswith(kind.value)
