"""The metrics of the cache, as Prometheus reads them."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from assetuploader.asset_cache import AssetCache
from assetuploader.state_machine import AssetState, Placeholder, Status
from service.asset_cache_metrics import AssetCacheCollector


def test_look_ups_and_entries_are_exported() -> None:
    """Each scrape reads the cache as it is then."""
    cache, registry = AssetCache(), CollectorRegistry()
    registry.register(AssetCacheCollector(cache))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    cache.put("a", Placeholder("etag", AssetState(Status.UPLOADED, now), now))
    for asset_id in ("a", "a", "b"):
        cache.get(asset_id)
    name = "assetuploader_asset_cache_requests_total"
    assert registry.get_sample_value(name, {"result": "hit"}) == 2
    assert registry.get_sample_value(name, {"result": "miss"}) == 1
    assert registry.get_sample_value("assetuploader_asset_cache_entries") == 1
