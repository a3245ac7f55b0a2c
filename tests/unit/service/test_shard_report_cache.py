"""The shard reports that the service reads in the background, and the metrics that it exports from them."""

from dataclasses import replace
from datetime import timedelta

from prometheus_client import CollectorRegistry

from assetuploader.shard_reports import MAX_REPORT_BYTES, Counters, RunOutcome, ShardReport, encode_report, report_key
from service.reconciler_metrics import ReconcilerCollector
from service.shard_report_cache import ReadOutcome, ShardReportCache
from tests.support.in_memory_reports import NOON, InMemoryReports
from tests.unit.assetuploader.test_shard_reports import REPORT


def build_report(shard: int) -> ShardReport:
    """Return the report of one of three shards."""
    return ShardReport(
        shard,
        shard_count=3,
        started_at=NOON,
        finished_at=NOON,
        outcome=RunOutcome.SUCCESS,
        is_complete=True,
        last_success_at=NOON,
        remaining={},
        next_due_at=None,
        counters=Counters(),
        schema=2,
    )


def scrape(cache: ShardReportCache, name: str, **labels: str) -> float | None:
    """Return what Prometheus would scrape."""
    registry = CollectorRegistry()
    registry.register(ReconcilerCollector(cache))
    return registry.get_sample_value(f"assetuploader_{name}", labels)


async def test_an_invalid_report_hides_no_other_shard() -> None:
    """An object of another program, a truncated one and one of an old schema affect only their own shard."""
    objects = {report_key(shard, 3): encode_report(build_report(shard)) for shard in range(3)}
    objects[report_key(1, 3)] = objects[report_key(1, 3)][:100]
    objects |= {"reports/readme.txt": b"hello", report_key(5, 9): b'{"schema":0}'}
    cache = ShardReportCache(InMemoryReports(objects))
    await cache.refresh(NOON)
    assert [report.shard for report in cache.current] == [0, 2]
    assert cache.reads == {ReadOutcome.SUCCESS: 2, ReadOutcome.INVALID: 2, ReadOutcome.UNAVAILABLE: 0}
    assert scrape(cache, "report_read_timestamp_seconds") == NOON.timestamp()


async def test_an_object_that_is_too_long_hides_no_other_shard() -> None:
    """Somebody else's object at the key of a report affects only that shard."""
    objects = {report_key(shard, 3): encode_report(build_report(shard)) for shard in range(3)}
    objects[report_key(1, 3)] = b" " * (MAX_REPORT_BYTES + 1)
    cache = ShardReportCache(InMemoryReports(objects))
    await cache.refresh(NOON)
    assert [report.shard for report in cache.current] == [0, 2]
    assert cache.reads[ReadOutcome.INVALID] == 1


async def test_the_reports_of_all_shards_are_read() -> None:
    """4,096 shards have more reports than one page of a listing."""
    reports = [replace(build_report(0), shard=shard, shard_count=4096) for shard in range(4096)]
    objects = {report_key(report.shard, 4096): encode_report(report) for report in reports}
    cache = ShardReportCache(InMemoryReports(objects))
    await cache.refresh(NOON)
    assert cache.current == reports


async def test_an_empty_bucket_has_no_shards() -> None:
    """Before the first run the number of shards is zero, and no shard has a timestamp."""
    cache = ShardReportCache(InMemoryReports())
    await cache.refresh(NOON)
    assert scrape(cache, "reconciler_shards") == 0
    assert scrape(cache, "reconciler_last_success_timestamp_seconds", shard="0") is None


async def test_reports_are_kept_while_s3_is_unavailable() -> None:
    """An outage of S3 does not look as if the reconciler had never run."""
    store = InMemoryReports({report_key(0, 3): encode_report(build_report(0))})
    cache = ShardReportCache(store)
    await cache.refresh(NOON)
    store.is_away = True
    await cache.refresh(NOON + timedelta(minutes=1))
    assert scrape(cache, "reconciler_last_success_timestamp_seconds", shard="0") == NOON.timestamp()
    assert scrape(cache, "report_read_timestamp_seconds") == NOON.timestamp()
    assert scrape(cache, "report_reads_total", outcome="unavailable") == 1


async def test_a_report_is_exported_value_by_value() -> None:
    """Timestamps, counters, remaining uploads and cumulative buckets are those of the report."""
    cache = ShardReportCache(InMemoryReports({report_key(3, 8): encode_report(REPORT)}))
    await cache.refresh(NOON)
    shard = {"shard": "3"}
    lag = {**shard, "since": "due", "pinned": "true"}
    assert scrape(cache, "reconciler_last_completion_timestamp_seconds", **shard) == NOON.timestamp() + 50.5
    assert scrape(cache, "reconciler_last_success_timestamp_seconds", **shard) == NOON.timestamp() - 60
    assert scrape(cache, "reconciler_next_due_timestamp_seconds", **shard) == NOON.timestamp() + 180
    assert scrape(cache, "reconciler_last_duration_seconds", **shard) == 50.5
    assert scrape(cache, "reconciler_last_outcome", **shard, outcome="partial_failure") == 1
    assert scrape(cache, "reconciler_last_outcome", **shard, outcome="success") == 0
    assert scrape(cache, "reconciler_runs_total", **shard, outcome="success") == 4
    assert scrape(cache, "reconciler_assets_total", **shard, outcome="finalized") == 9
    assert scrape(cache, "reconciler_remaining_uploads", **shard, reason="waiting") == 7
    assert scrape(cache, "reconciler_open_uploads", **shard, asset="pending") == 5
    assert scrape(cache, "reconciler_open_uploads", **shard, asset="ended") == 2
    assert scrape(cache, "finalize_lag_seconds_bucket", **lag, le="2.5") == 0
    assert scrape(cache, "finalize_lag_seconds_bucket", **lag, le="5.0") == 1
    assert scrape(cache, "finalize_lag_seconds_bucket", **lag, le="+Inf") == 2
    assert scrape(cache, "finalize_lag_seconds_count", **lag) == 2
