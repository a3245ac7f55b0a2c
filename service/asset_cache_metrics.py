"""The metrics of the cache of uploaded assets."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from assetuploader.asset_cache import AssetCache


@dataclass(frozen=True, slots=True, eq=False)  # a registry keeps its collectors in a dict
class AssetCacheCollector(Collector):
    """A collector that reads the cache whenever Prometheus scrapes."""

    cache: AssetCache

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Return the look-ups by their result, and the number of entries."""
        requests = CounterMetricFamily(
            "assetuploader_asset_cache_requests",
            "Look-ups of an asset in memory: a hit saves a request to S3.",
            labels=("result",),
        )
        requests.add_metric(("hit",), self.cache.hits)
        requests.add_metric(("miss",), self.cache.misses)
        yield requests
        yield GaugeMetricFamily(
            "assetuploader_asset_cache_entries", "Uploaded assets in memory.", value=len(self.cache)
        )
