"""What Prometheus sees of the service. Labels come from closed sets only: never an id, never a path."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.durations import Durations

METHODS = frozenset({"GET", "HEAD", "POST", "PUT"})


@dataclass(slots=True, eq=False)  # a registry knows its collectors by identity
class Metrics(Collector):
    """The metrics of one process, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    answered: defaultdict[tuple[str, str, int], Durations] = field(default_factory=lambda: defaultdict(Durations))
    """By route, method and status."""
    in_flight: int = 0
    """Requests being answered now."""

    def __post_init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each, which nobody asks for
        in_flight = Gauge("assetuploader_http_requests_in_flight", "Requests being answered.", registry=self.registry)
        in_flight.set_function(lambda: self.in_flight)
        build = Info("assetuploader_build", "The running version.", registry=self.registry)
        build.info({"version": version("assetuploader")})
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is a template or "unmatched"."""
        self.answered[route, method if method in METHODS else "other", status].observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """The requests as they are now."""
        requests = CounterMetricFamily(
            "assetuploader_http_requests", "Requests answered.", labels=("route", "method", "status")
        )
        seconds = HistogramMetricFamily(
            "assetuploader_http_request_duration_seconds",
            "From the request's head to its answer.",
            labels=("route", "method"),
        )
        of_all_statuses: defaultdict[tuple[str, str], Durations] = defaultdict(Durations)
        for (route, method, status), durations in list(self.answered.items()):
            requests.add_metric((route, method, str(status)), sum(durations.counts))
            of_all_statuses[route, method].add(durations)
        for labels, durations in of_all_statuses.items():
            seconds.add_metric(labels, durations.buckets, durations.sum_seconds)
        yield from (requests, seconds)


def serve_metrics(metrics: Metrics, host: str, port: int) -> WSGIServer:
    """Answer `GET /metrics` in a thread of its own, until the process ends.

    Raises:
        OSError: the port is taken.
    """
    server, _ = start_http_server(port, host, registry=metrics.registry)
    return server
