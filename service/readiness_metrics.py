"""What Prometheus sees of the service's readiness."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.context import Readiness


@dataclass(frozen=True, slots=True, eq=False)  # a registry knows its collectors by identity
class ReadinessCollector(Collector):
    """Reads the readiness when it is asked for."""

    readiness: Readiness

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""
        yield GaugeMetricFamily(
            "assetuploader_ready",
            "1 when traffic should come here, 0 while starting or draining.",
            self.readiness.is_ready,
        )
        yield GaugeMetricFamily(
            "assetuploader_store_proven",
            "1 once the store was seen to honour every condition, 0 before.",
            self.readiness.is_store_proven,
        )
