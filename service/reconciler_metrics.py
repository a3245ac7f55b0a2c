"""The metrics of the reconciler, from its shard reports. Every replica exports the same values: query with `max`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from assetuploader.outcome import COUNTED, REMAINING
from assetuploader.shard_reports import LAG_BUCKETS, LagOrigin, LatencyHistogram, RunOutcome, ShardReport
from service.shard_report_cache import ShardReportCache

_SHARD: Final = ("shard",)


@dataclass(frozen=True, slots=True, eq=False)  # a registry compares its collectors by identity
class ReconcilerCollector(Collector):
    """Exports the shard reports as they were last read."""

    cache: ShardReportCache

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics. Those of a shard are absent until its first run has ended."""
        yield from _collect_reads(self.cache)
        reports = self.cache.current
        yield GaugeMetricFamily(
            "assetuploader_reconciler_shards",
            "The shard count of the run that ended last.",
            reports[0].shard_count if reports else 0,
        )
        yield from _collect_timestamps(reports)
        yield from _collect_runs(reports)
        yield from _collect_assets(reports)
        yield _collect_open_uploads(reports)
        yield _collect_finalize_lag(reports)


def _collect_reads(cache: ShardReportCache) -> Iterator[Metric]:
    reads = CounterMetricFamily("assetuploader_report_reads", "Reads of shard reports.", labels=("outcome",))
    for outcome, count in cache.reads.items():
        reads.add_metric((outcome.value,), count)
    yield reads
    yield GaugeMetricFamily(
        "assetuploader_report_read_timestamp_seconds",
        "When all shard reports were last read, 0 for never.",
        cache.read_at.timestamp() if cache.read_at else 0,
    )


def _collect_timestamps(reports: list[ShardReport]) -> Iterator[Metric]:
    success = GaugeMetricFamily(
        "assetuploader_reconciler_last_success_timestamp_seconds",
        "When the last run that scanned its whole shard without a failure ended, 0 for never.",
        labels=_SHARD,
    )
    completion = GaugeMetricFamily(
        "assetuploader_reconciler_last_completion_timestamp_seconds",
        "When the last run ended, whatever its outcome.",
        labels=_SHARD,
    )
    duration = GaugeMetricFamily(
        "assetuploader_reconciler_last_duration_seconds",
        "How long the last run took, including the time it watched for new marks.",
        labels=_SHARD,
    )
    due = GaugeMetricFamily(
        "assetuploader_reconciler_next_due_timestamp_seconds",
        "When the first marked asset that is not final is due. A time in the past means that it is overdue.",
        labels=_SHARD,
    )
    for report in reports:
        labels = (str(report.shard),)
        success.add_metric(labels, report.last_success_at.timestamp() if report.last_success_at else 0)
        completion.add_metric(labels, report.finished_at.timestamp())
        duration.add_metric(labels, max(0.0, (report.finished_at - report.started_at).total_seconds()))
        if report.next_due_at is not None:
            due.add_metric(labels, report.next_due_at.timestamp())
    yield from (success, completion, duration, due)


def _collect_runs(reports: list[ShardReport]) -> Iterator[Metric]:
    runs = CounterMetricFamily("assetuploader_reconciler_runs", "Runs that ended.", labels=("shard", "outcome"))
    last = GaugeMetricFamily(
        "assetuploader_reconciler_last_outcome", "1 for the outcome of the last run.", labels=("shard", "outcome")
    )
    for report in reports:
        shard = str(report.shard)
        for outcome in RunOutcome:
            runs.add_metric((shard, outcome.value), report.counters.runs.get(outcome, 0))
            last.add_metric((shard, outcome.value), float(outcome is report.outcome))
    yield from (runs, last)


def _collect_assets(reports: list[ShardReport]) -> Iterator[Metric]:
    assets = CounterMetricFamily(
        "assetuploader_reconciler_assets", "Assets that runs changed or failed to change.", labels=("shard", "outcome")
    )
    remaining = GaugeMetricFamily(
        "assetuploader_reconciler_remaining_uploads",
        "Objects that the last complete run left in temp/.",
        labels=("shard", "reason"),
    )
    for report in reports:
        shard = str(report.shard)
        for outcome in COUNTED:
            assets.add_metric((shard, outcome.value), report.counters.assets.get(outcome, 0))
        for reason in REMAINING:
            remaining.add_metric((shard, reason.value), report.remaining.get(reason, 0))
    yield from (assets, remaining)


def _collect_open_uploads(reports: list[ShardReport]) -> Metric:
    uploads = GaugeMetricFamily(
        "assetuploader_reconciler_open_uploads",
        "Multipart uploads that the last hourly scan left: of assets that wait for parts, and of ended assets.",
        labels=("shard", "asset"),
    )
    for report in reports:
        if report.open_uploads is not None:
            uploads.add_metric((str(report.shard), "pending"), report.open_uploads.pending)
            uploads.add_metric((str(report.shard), "ended"), report.open_uploads.ended)
    return uploads


def _collect_finalize_lag(reports: list[ShardReport]) -> Metric:
    lag = HistogramMetricFamily(
        "assetuploader_finalize_lag_seconds",
        "How long marked assets took to become final, since their last mark or since they were due.",
        labels=("shard", "since", "pinned"),
    )
    for report in reports:
        for pinned, latencies in (("true", report.counters.pinned), ("false", report.counters.unpinned)):
            for origin, histogram in ((LagOrigin.MARK, latencies.mark), (LagOrigin.DUE, latencies.due)):
                buckets = _to_buckets(histogram)
                lag.add_metric((str(report.shard), origin.value, pinned), buckets, histogram.sum_seconds)
    return lag


def _to_buckets(histogram: LatencyHistogram) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, LAG_BUCKETS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(histogram.counts)), strict=True))
