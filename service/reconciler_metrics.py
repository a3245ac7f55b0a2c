"""What Prometheus sees of the reconciler, by way of its reports. Every replica exports the same: query with `max`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from assetstore.reports import LAG_BOUNDS, Change, Lags, Left, RunEnding, RunReport, Since
from service.reports import Reports

_SHARD: Final = ("shard",)


@dataclass(frozen=True, slots=True, eq=False)  # a registry knows its collectors by identity
class ReconcilerCollector(Collector):
    """Exports the reports as they were last read."""

    reports: Reports

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now; those of a shard are absent until its first run has ended."""
        yield from _of_reading(self.reports)
        current = self.reports.current
        yield GaugeMetricFamily(
            "assetuploader_reconciler_shards",
            "Into how many shards the reconciler that ran last divides its work.",
            current[0].shards if current else 0,
        )
        yield from _instants(current)
        yield from _counts(current)
        yield from _lags(current)


def _of_reading(reports: Reports) -> Iterator[Metric]:
    readings = CounterMetricFamily(
        "assetuploader_report_reads", "Reports of the reconciler that were read, or not.", labels=("outcome",)
    )
    for reading, count in reports.readings.items():
        readings.add_metric((reading.value,), count)
    yield readings
    yield GaugeMetricFamily(
        "assetuploader_report_read_timestamp_seconds",
        "When the reconciler's reports were last read, 0 for never.",
        reports.read_at.timestamp() if reports.read_at else 0,
    )


def _instants(current: list[RunReport]) -> Iterator[Metric]:
    success = GaugeMetricFamily(
        "assetuploader_reconciler_last_success_timestamp_seconds",
        "When a run last ended that saw its whole shard without a failure, 0 for never.",
        labels=_SHARD,
    )
    completion = GaugeMetricFamily(
        "assetuploader_reconciler_last_completion_timestamp_seconds",
        "When a run last ended, however it ended.",
        labels=_SHARD,
    )
    duration = GaugeMetricFamily(
        "assetuploader_reconciler_last_duration_seconds",
        "How long the last run took, lingering included.",
        labels=_SHARD,
    )
    due = GaugeMetricFamily(
        "assetuploader_reconciler_next_due_timestamp_seconds",
        "When the first of the marked assets that are not final is due, or was: in the past, it is overdue.",
        labels=_SHARD,
    )
    for report in current:
        labels = (str(report.shard),)
        success.add_metric(labels, report.last_success_at.timestamp() if report.last_success_at else 0)
        completion.add_metric(labels, report.finished_at.timestamp())
        duration.add_metric(labels, max(0.0, (report.finished_at - report.started_at).total_seconds()))
        if report.next_due_at is not None:
            due.add_metric(labels, report.next_due_at.timestamp())
    yield from (success, completion, duration, due)


def _counts(current: list[RunReport]) -> Iterator[Metric]:
    runs = CounterMetricFamily("assetuploader_reconciler_runs", "Runs that ended.", labels=("shard", "outcome"))
    last = GaugeMetricFamily(
        "assetuploader_reconciler_last_outcome", "1 for how the last run ended, else 0.", labels=("shard", "outcome")
    )
    changes = CounterMetricFamily(
        "assetuploader_reconciler_assets", "Assets by what runs did to them, or failed to.", labels=("shard", "outcome")
    )
    left = GaugeMetricFamily(
        "assetuploader_reconciler_left",
        "What the last complete run left in temp/, by why.",
        labels=("shard", "reason"),
    )
    for report in current:
        shard = str(report.shard)
        for ending in RunEnding:
            runs.add_metric((shard, ending.value), report.totals.runs.get(ending, 0))
            last.add_metric((shard, ending.value), float(ending is report.ending))
        for change in Change:
            changes.add_metric((shard, change.value), report.totals.changes.get(change, 0))
        for reason in Left:
            left.add_metric((shard, reason.value), report.left.get(reason, 0))
    yield from (runs, last, changes, left)


def _lags(current: list[RunReport]) -> Iterator[Metric]:
    lags = HistogramMetricFamily(
        "assetuploader_finalize_lag_seconds",
        "How long marked assets took to become final, counted from their last mark, or from when they were due.",
        labels=("shard", "since", "pinned"),
    )
    for report in current:
        for pinned, kind in (("true", report.totals.pinned), ("false", report.totals.unpinned)):
            for since, counted in ((Since.MARK, kind.mark), (Since.DUE, kind.due)):
                lags.add_metric((str(report.shard), since.value, pinned), _buckets(counted), counted.sum_seconds)
    yield lags


def _buckets(lags: Lags) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, LAG_BOUNDS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(lags.counts)), strict=True))
