"""The memory of a run does not grow with the bucket, and that of the service is bounded."""

from assetuploader.asset_cache import MAX_ENTRIES
from tests.perf.cache import measure_cache
from tests.perf.peak import measure


def test_thirty_times_the_objects_take_hardly_more_memory() -> None:
    """A run holds a page, a queue of its length, and a bounded list of due assets: never the whole bucket."""
    few, many = measure(1_000), measure(30_000)

    assert (few.outcomes, few.deleted) == ({"finalized": 334, "waiting": 666}, 334)
    assert (many.outcomes, many.deleted) == ({"finalized": 10_000, "waiting": 20_000}, 10_000)
    assert many.peak_bytes < 1.2 * few.peak_bytes + 5_000_000


def test_a_full_cache_fits_into_the_pods_memory() -> None:
    """The chart gives a pod of the service 512 MiB. A full cache of assets with declarations leaves half of it."""
    entries = 10_000
    assert measure_cache(entries, is_declared=True) * MAX_ENTRIES / entries < 256 * 1024 * 1024
