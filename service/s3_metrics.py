"""The metrics of the calls to S3."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from assetuploader.instrumentation import StoreCall
from service.metrics import DURATION_BUCKETS


class S3Metrics:
    """The metrics of calls to S3, by S3's name of the operation and by outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "assetuploader_s3_requests",
            "Requests to S3 that ended, each with all its attempts.",
            ("operation", "outcome"),
            registry=registry,
        )
        self._retries = Counter(
            "assetuploader_s3_retries", "Attempts after the first one.", ("operation",), registry=registry
        )
        self._duration = Histogram(
            "assetuploader_s3_request_duration_seconds",
            "From the call to its end, including the wait for a connection and all attempts.",
            ("operation",),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )

    def observe(self, call: StoreCall) -> None:
        """Count one call: a `CallObserver`."""
        self._requests.labels(call.operation, call.outcome.value).inc()
        self._retries.labels(call.operation).inc(call.retries)
        self._duration.labels(call.operation).observe(call.seconds)
