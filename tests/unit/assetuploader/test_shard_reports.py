"""Shard reports are encoded and decoded; other objects are rejected."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from assetuploader.outcome import COUNTED, REMAINING, Outcome
from assetuploader.shard_reports import (
    LAG_BUCKETS,
    MAX_REPORT_BYTES,
    Counters,
    FinalizeLatencies,
    InvalidReportError,
    LatencyHistogram,
    OpenUploads,
    RunOutcome,
    ShardReport,
    decode_report,
    encode_report,
    is_report_key,
    latest_shard_layout,
    report_key,
)
from tests.support.in_memory_reports import NOON

LATENCIES = LatencyHistogram().observe(timedelta(seconds=3)).observe(timedelta(days=3))
REPORT = ShardReport(
    shard=3,
    shard_count=8,
    started_at=NOON,
    finished_at=NOON + timedelta(seconds=50.5),
    outcome=RunOutcome.PARTIAL_FAILURE,
    is_complete=True,
    last_success_at=NOON - timedelta(minutes=1),
    remaining={Outcome.WAITING: 7},
    next_due_at=NOON + timedelta(minutes=3),
    counters=Counters({RunOutcome.SUCCESS: 4}, {Outcome.FINALIZED: 9}, FinalizeLatencies(LATENCIES, LATENCIES)),
    schema=2,
    open_uploads=OpenUploads(pending=5, ended=2),
)
KEY = report_key(3, 8)


def test_a_report_is_read_as_it_was_written() -> None:
    """The service reads every value that the reconciler wrote."""
    assert decode_report(KEY, encode_report(REPORT)) == REPORT


def test_the_largest_report_is_far_below_the_limit() -> None:
    """The report of a shard stays below the limit, however long the shard is used."""
    most = 2**53  # the largest integer that every JSON parser reads exactly
    latencies = LatencyHistogram((most,) * (len(LAG_BUCKETS) + 1), 1e300)
    counters = Counters(
        dict.fromkeys(RunOutcome, most), dict.fromkeys(COUNTED, most), FinalizeLatencies(latencies, latencies)
    )
    big = replace(REPORT, outcome=RunOutcome.UNAVAILABLE, remaining=dict.fromkeys(REMAINING, most), counters=counters)
    assert len(encode_report(big)) < MAX_REPORT_BYTES / 4


def change_report(**values: Any) -> bytes:  # noqa: ANN401 -- JSON
    """Return the report with some values changed; None removes a member."""
    members = json.loads(encode_report(REPORT)) | values
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
        encode_report(REPORT)[:-1],
        change_report(schema=1),
        change_report(schema=3),
        change_report(schema=None),
        change_report(shard=-1),
        change_report(shard=4),
        change_report(shard_count=9),
        change_report(finished_at="soon"),
        change_report(finished_at="2026-01-01T12:00:00"),
        change_report(outcome="unknown"),
        change_report(remaining={"waiting": -1}),
        change_report(remaining={"of another program": 1}),
        change_report(counters={"runs": {}, "assets": {}, "pinned": {"mark": {"counts": [1], "sum_seconds": 0}}}),
        change_report(counters={"runs": {"success": 1e400}}),
    ],
)
def test_other_objects_are_rejected(body: bytes) -> None:
    """An object that is truncated, of another schema, of another shard or somebody else's is not a report."""
    with pytest.raises(InvalidReportError):
        decode_report(KEY, body)


def test_unknown_members_are_ignored() -> None:
    """During a rolling update an older program reads the report of one that adds a member."""
    assert decode_report(KEY, change_report(cheese="brie")) == REPORT


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
def test_other_keys_are_not_report_keys(key: str) -> None:
    """Other objects beside the reports are not read."""
    assert not is_report_key(key)
    assert is_report_key(KEY)


def test_latencies_are_counted_in_the_bucket_whose_bound_they_reach() -> None:
    """Bounds are inclusive, like Prometheus's `le`. Negative latencies count as zero. The sum is exact."""
    latencies = LatencyHistogram()
    for seconds in (-1, 0, 1, 1.001, 86_400, 86_401):
        latencies = latencies.observe(timedelta(seconds=seconds))
    assert latencies.counts == (3, 1, *(0,) * (len(LAG_BUCKETS) - 3), 1, 1)
    assert latencies.sum_seconds == pytest.approx(172_803.001)


def test_reports_of_an_older_layout_are_left_out() -> None:
    """After resharding, the reports of the old shards no longer count."""

    def build_report(shard: int, shard_count: int, minutes: int) -> ShardReport:
        at = NOON + timedelta(minutes=minutes)
        return ShardReport(shard, shard_count, at, at, RunOutcome.SUCCESS, True, at, {}, None, Counters(), 2)  # noqa: FBT003

    old, first, second = build_report(0, 1, 0), build_report(0, 2, 5), build_report(1, 2, 1)
    assert latest_shard_layout([second, old, first]) == [first, second]
    assert latest_shard_layout([]) == []
