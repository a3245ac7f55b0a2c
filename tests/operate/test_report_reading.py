"""The service's background reading of reports, whatever lies in the bucket."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from assetstore.reports import RunEnding, RunReport, Totals, report_key, write_report
from service.reconciler_metrics import ReconcilerCollector
from service.reports import Reading, Reports
from tests.operate.report_store import NOON, MemoryReports
from tests.operate.test_reports import REPORT


def report(shard: int) -> RunReport:
    """The report of one of three shards."""
    return RunReport(shard, 3, NOON, NOON, RunEnding.DONE, True, NOON, {}, None, Totals(), 1)  # noqa: FBT003


def value(reports: Reports, name: str, **labels: str) -> float | None:
    """What a scrape would see."""
    registry = CollectorRegistry()
    registry.register(ReconcilerCollector(reports))
    return registry.get_sample_value(f"assetuploader_{name}", labels)


async def test_shards_are_read_whatever_lies_beside_them() -> None:
    """One foreign, one cut short and one too old object cost their own shard's values, and no other's."""
    objects = {report_key(shard, 3): write_report(report(shard)) for shard in range(3)}
    objects[report_key(1, 3)] = objects[report_key(1, 3)][:100]
    objects |= {"reports/readme.txt": b"hello", report_key(5, 9): b'{"schema":0}'}
    reports = Reports(MemoryReports(objects))
    await reports.refresh(NOON)
    assert [report.shard for report in reports.current] == [0, 2]
    assert reports.readings == {Reading.READ: 2, Reading.UNREADABLE: 2, Reading.UNAVAILABLE: 0}
    assert value(reports, "report_read_timestamp_seconds") == NOON.timestamp()


async def test_an_empty_bucket_has_no_shards() -> None:
    """Before the first run there is nothing to tell, and that is told: never a time that nothing happened at."""
    reports = Reports(MemoryReports())
    await reports.refresh(NOON)
    assert value(reports, "reconciler_shards") == 0
    assert value(reports, "reconciler_last_success_timestamp_seconds", shard="0") is None


async def test_what_was_read_is_kept_while_s3_is_away() -> None:
    """An outage of S3 does not make the reconciler look as if it had never run."""
    store = MemoryReports({report_key(0, 3): write_report(report(0))})
    reports = Reports(store)
    await reports.refresh(NOON)
    store.is_away = True
    await reports.refresh(NOON + timedelta(minutes=1))
    assert value(reports, "reconciler_last_success_timestamp_seconds", shard="0") == NOON.timestamp()
    assert value(reports, "report_read_timestamp_seconds") == NOON.timestamp()
    assert value(reports, "report_reads_total", outcome="unavailable") == 1


async def test_a_report_is_exported_value_by_value() -> None:
    """Instants, counters, what is left and the lags' cumulative buckets are the report's own."""
    reports = Reports(MemoryReports({report_key(3, 8): write_report(REPORT)}))
    await reports.refresh(NOON)
    shard = {"shard": "3"}
    lag = {**shard, "since": "due", "pinned": "true"}
    assert value(reports, "reconciler_last_completion_timestamp_seconds", **shard) == NOON.timestamp() + 50.5
    assert value(reports, "reconciler_last_success_timestamp_seconds", **shard) == NOON.timestamp() - 60
    assert value(reports, "reconciler_next_due_timestamp_seconds", **shard) == NOON.timestamp() + 180
    assert value(reports, "reconciler_last_duration_seconds", **shard) == 50.5
    assert value(reports, "reconciler_last_outcome", **shard, outcome="some_failed") == 1
    assert value(reports, "reconciler_last_outcome", **shard, outcome="done") == 0
    assert value(reports, "reconciler_runs_total", **shard, outcome="done") == 4
    assert value(reports, "reconciler_assets_total", **shard, outcome="finalized") == 9
    assert value(reports, "reconciler_left", **shard, reason="waiting") == 7
    assert value(reports, "finalize_lag_seconds_bucket", **lag, le="2.5") == 0
    assert value(reports, "finalize_lag_seconds_bucket", **lag, le="5.0") == 1
    assert value(reports, "finalize_lag_seconds_bucket", **lag, le="+Inf") == 2
    assert value(reports, "finalize_lag_seconds_count", **lag) == 2
