"""What Prometheus sees of the service. Labels come from closed sets only: never an id, never a path."""

from dataclasses import dataclass, field
from importlib.metadata import version
from wsgiref.simple_server import WSGIServer

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
    start_http_server,
)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT"})


@dataclass(slots=True)
class Metrics:
    """The metrics of one process, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    _labelled: dict[tuple[str, str, int], tuple[Counter, Histogram]] = field(init=False, default_factory=dict)
    in_flight: int = 0
    """Requests being answered now."""

    def __post_init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each, which nobody asks for
        labels = ("route", "method", "status")
        self.requests = Counter("assetuploader_http_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "assetuploader_http_request_duration_seconds",
            "From the request's head to its answer.",
            ("route", "method"),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        in_flight = Gauge("assetuploader_http_requests_in_flight", "Requests being answered.", registry=self.registry)
        in_flight.set_function(lambda: self.in_flight)
        build = Info("assetuploader_build", "The running version.", registry=self.registry)
        build.info({"version": version("assetuploader")})
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is a template or "unmatched"."""
        key = route, method if method in METHODS else "other", status
        found = self._labelled.get(key)
        if found is None:  # found again for each request: `labels` takes longer than counting
            route, method, _ = key
            found = self._labelled[key] = (
                self.requests.labels(route, method, str(status)),
                self.seconds.labels(route, method),
            )
        found[0].inc()
        found[1].observe(seconds)


def serve_metrics(metrics: Metrics, host: str, port: int) -> WSGIServer:
    """Answer `GET /metrics` in a thread of its own, until the process ends.

    Raises:
        OSError: the port is taken.
    """
    server, _ = start_http_server(port, host, registry=metrics.registry)
    return server
