"""What Prometheus sees of the calls to S3."""

from dataclasses import dataclass, field
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from assetstore.calls import Called, Ending


@dataclass(frozen=True, slots=True)
class S3Metrics:
    """The metrics of one process' calls to S3: by S3's name of the call, and how it ended."""

    calls: Counter
    retries: Counter
    seconds: Histogram
    connections: Gauge
    _labelled: dict[tuple[str, Ending], tuple[Counter, Counter, Histogram]] = field(default_factory=dict)

    @classmethod
    def on(cls, registry: CollectorRegistry) -> Self:
        """New metrics in this registry."""
        return cls(
            Counter("assetuploader_s3_calls", "Calls to S3 that ended.", ("operation", "outcome"), registry=registry),
            Counter("assetuploader_s3_retries", "Calls to S3 that were repeated.", ("operation",), registry=registry),
            Histogram(
                "assetuploader_s3_call_duration_seconds",
                "From asking S3 to the end of its answer, repetitions included.",
                ("operation",),
                buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
                registry=registry,
            ),
            Gauge("assetuploader_s3_connections", "Connections to S3 that are open.", registry=registry),
        )

    def observe(self, called: Called) -> None:
        """Count one call."""
        key = called.operation, called.ending
        found = self._labelled.get(key)
        if found is None:  # a handful of them, found again for each call: `labels` takes longer than counting
            found = self._labelled[key] = (
                self.calls.labels(called.operation, called.ending.value),
                self.retries.labels(called.operation),
                self.seconds.labels(called.operation),
            )
        calls, retries, seconds = found
        calls.inc()
        if called.retries:
            retries.inc(called.retries)
        seconds.observe(called.seconds)
