"""The cache keeps uploaded assets only, for a limited time, and a limited number of them."""

from datetime import UTC, datetime

import pytest

from assetuploader.asset_cache import AssetCache
from assetuploader.state_machine import AssetState, Placeholder, Status

IDS = ["a", "b", "c"]


def _placeholder(status: Status = Status.UPLOADED) -> Placeholder:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Placeholder("e", AssetState(status, now), now)


def test_an_uploaded_asset_is_found_until_its_time_is_over() -> None:
    """The time counts from when it was stored; hits do not extend it."""
    now = 0.0
    cache = AssetCache(ttl_seconds=30, timer=lambda: now)
    cache.put(IDS[0], _placeholder())
    now = 29.0
    assert cache.get(IDS[0]) == _placeholder()
    now = 30.0
    assert cache.get(IDS[0]) is None
    assert (cache.hits, cache.misses, len(cache)) == (1, 1, 0)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.UPLOADED}))
def test_no_other_state_is_kept(status: Status) -> None:
    """An asset in any other state may change at any time."""
    cache = AssetCache()
    cache.put(IDS[0], _placeholder(status))
    assert cache.get(IDS[0]) is None


def test_the_number_of_entries_is_bounded() -> None:
    """A new entry displaces another one when the cache is full."""
    cache = AssetCache(max_entries=2)
    for asset_id in IDS:
        cache.put(asset_id, _placeholder())
    assert len(cache) == 2
    assert cache.get(IDS[2]) == _placeholder()


def test_a_deleted_asset_is_forgotten() -> None:
    """Forgetting one that is not cached is no error."""
    cache = AssetCache()
    cache.put(IDS[0], _placeholder())
    cache.discard(IDS[0])
    cache.discard(IDS[1])
    assert cache.get(IDS[0]) is None
