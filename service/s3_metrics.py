"""What Prometheus sees of the calls to S3."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from assetstore.calls import Called, Ending
from service.durations import Durations


@dataclass(slots=True, eq=False)  # a registry knows its collectors by identity
class S3Metrics(Collector):
    """The metrics of one process' calls to S3: by S3's name of the call, and how it ended."""

    open_connections: Callable[[], int] = int
    ended: defaultdict[tuple[str, Ending], Durations] = field(default_factory=lambda: defaultdict(Durations))
    retries: Counter[str] = field(default_factory=Counter)

    def observe(self, called: Called) -> None:
        """Count one call."""
        self.ended[called.operation, called.ending].observe(called.seconds)
        if called.retries:
            self.retries[called.operation] += called.retries

    def collect(self) -> Iterable[Metric]:
        """The calls as they are now."""
        calls = CounterMetricFamily(
            "assetuploader_s3_calls", "Calls to S3 that ended.", labels=("operation", "outcome")
        )
        retries = CounterMetricFamily(
            "assetuploader_s3_retries", "Calls to S3 that were repeated.", labels=("operation",)
        )
        seconds = HistogramMetricFamily(
            "assetuploader_s3_call_duration_seconds",
            "From asking S3 to the end of its answer, repetitions included.",
            labels=("operation",),
        )
        of_all_endings: defaultdict[str, Durations] = defaultdict(Durations)
        for (operation, ending), durations in list(self.ended.items()):
            calls.add_metric((operation, ending.value), sum(durations.counts))
            of_all_endings[operation].add(durations)
        for operation, durations in of_all_endings.items():
            retries.add_metric((operation,), self.retries[operation])
            seconds.add_metric((operation,), durations.buckets, durations.sum_seconds)
        yield from (calls, retries, seconds)
        yield GaugeMetricFamily(
            "assetuploader_s3_connections", "Connections to S3 that are open.", self.open_connections()
        )
