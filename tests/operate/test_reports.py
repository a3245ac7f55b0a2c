"""The report as it lies in the bucket: written, read, and told from what is none."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from assetstore.reports import (
    LAG_BOUNDS,
    REPORT_BYTES,
    Change,
    FinalizeLags,
    Lags,
    Left,
    NotAReportError,
    RunEnding,
    RunReport,
    Totals,
    is_report_key,
    newest_layout,
    read_report,
    report_key,
    write_report,
)
from tests.operate.report_store import NOON

LAGS = Lags().with_one(timedelta(seconds=3)).with_one(timedelta(days=3))
REPORT = RunReport(
    shard=3,
    shards=8,
    started_at=NOON,
    finished_at=NOON + timedelta(seconds=50.5),
    ending=RunEnding.SOME_FAILED,
    is_complete=True,
    last_success_at=NOON - timedelta(minutes=1),
    left={Left.WAITING: 7},
    next_due_at=NOON + timedelta(minutes=3),
    totals=Totals({RunEnding.DONE: 4}, {Change.FINALIZED: 9}, FinalizeLags(LAGS, LAGS)),
    schema=1,
)
KEY = report_key(3, 8)


def test_a_report_is_read_as_it_was_written() -> None:
    """What the reconciler writes is what the service reads, to the last value."""
    assert read_report(KEY, write_report(REPORT)) == REPORT


def test_the_largest_report_is_far_below_the_limit() -> None:
    """However long a shard lives, its report fits in what is read of one."""
    most = 2**53
    lags = Lags((most,) * (len(LAG_BOUNDS) + 1), 1e300)
    totals = Totals(dict.fromkeys(RunEnding, most), dict.fromkeys(Change, most), FinalizeLags(lags, lags))
    big = replace(REPORT, ending=RunEnding.UNAVAILABLE, left=dict.fromkeys(Left, most), totals=totals)
    assert len(write_report(big)) < REPORT_BYTES / 4


def changed(**values: Any) -> bytes:  # noqa: ANN401 -- JSON
    """The report with some values changed; None takes a member away."""
    members = json.loads(write_report(REPORT)) | values
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"hello",
        b"\xff\xfe",
        write_report(REPORT)[:-1],
        changed(schema=0),
        changed(schema=2),
        changed(schema=None),
        changed(shard=-1),
        changed(shard=4),
        changed(shards=9),
        changed(finished_at="soon"),
        changed(finished_at="2026-01-01T12:00:00"),
        changed(ending="eaten"),
        changed(left={"waiting": -1}),
        changed(left={"of another program": 1}),
        changed(totals={"runs": {}, "changes": {}, "pinned": {"mark": {"counts": [1], "sum_seconds": 0}}}),
        changed(totals={"runs": {"done": 1e400}}),
    ],
)
def test_what_is_no_report_is_refused(body: bytes) -> None:
    """Missing, cut short, of another schema, another shard's or somebody else's: it is told from a report."""
    with pytest.raises(NotAReportError):
        read_report(KEY, body)


def test_members_of_a_newer_program_are_passed_over() -> None:
    """A program that adds a member does not blind the older one beside it, as in a rolling update."""
    assert read_report(KEY, changed(cheese="brie")) == REPORT


@pytest.mark.parametrize(
    "key",
    [
        "reports/",
        "reports/x.json",
        "reports/0001-of-0002.json.bak",
        "uploaded/0001-of-0002.json",
        "reports/1-of-2.json",
    ],
)
def test_only_report_keys_are_taken_for_reports(key: str) -> None:
    """What else lies beside the reports is not even read."""
    assert not is_report_key(key)
    assert is_report_key(KEY)


def test_lags_are_counted_in_the_bucket_whose_bound_they_reach() -> None:
    """A bound is inclusive, as Prometheus' `le`; what went back in time counts as zero; the sum is exact."""
    lags = Lags()
    for seconds in (-1, 0, 1, 1.001, 86_400, 86_401):
        lags = lags.with_one(timedelta(seconds=seconds))
    assert lags.counts == (3, 1, *(0,) * (len(LAG_BOUNDS) - 3), 1, 1)
    assert lags.sum_seconds == pytest.approx(172_803.001)


def test_reports_of_an_older_layout_are_left_out() -> None:
    """After resharding, what the old shards last said no longer counts."""

    def report(shard: int, shards: int, minutes: int) -> RunReport:
        at = NOON + timedelta(minutes=minutes)
        return RunReport(shard, shards, at, at, RunEnding.DONE, True, at, {}, None, Totals(), 1)  # noqa: FBT003

    old, first, second = report(0, 1, 0), report(0, 2, 5), report(1, 2, 1)
    assert newest_layout([second, old, first]) == [first, second]
    assert newest_layout([]) == []
