"""The metrics of the service. Label values come from closed sets: never an id, never a path."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from service.readiness import Readiness

DURATION_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds, for requests and for calls to S3."""


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, readiness: Readiness) -> None:
        # Drop `_created`, a second time series for each counter and histogram, which no dashboard or alert reads.
        # prometheus_client can drop it only for the whole process.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.in_flight = Gauge(
            "assetuploader_http_requests_in_flight", "Requests that are being handled.", registry=self.registry
        )
        self.requests = Counter(
            "assetuploader_http_requests",
            "Requests that were responded to, or whose client left.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "assetuploader_http_request_duration_seconds",
            "From the end of the request's header section to its response.",
            ("route", "method"),
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        Info("assetuploader_build", "The running version.", registry=self.registry).info(
            {"version": version("assetuploader")}
        )
        self.export("assetuploader_ready", "1 while load balancers should send requests.", lambda: readiness.is_ready)
        self.export(
            "assetuploader_store_verified",
            "1 once the store has passed the conformance check.",
            lambda: readiness.store_verified,
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def export(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Export a gauge that is read whenever Prometheus scrapes."""
        Gauge(name, documentation, registry=self.registry).set_function(read)

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request with its response."""
        self.requests.labels(route, method, status).inc()
        self._duration.labels(route, method).observe(seconds)
