"""The earliest due asset is found in bounded memory."""

import random
from datetime import timedelta

from reconciler.due_tracker import MAX_TRACKED, DueAsset, DueTracker
from tests.support.in_memory_reports import NOON

SECOND = timedelta(seconds=1)


def test_the_earliest_of_any_number_is_found() -> None:
    """Of a hundred thousand assets in any order the earliest is found, and at most two thousand are tracked."""
    tracker = DueTracker()
    numbers = list(range(100_000))
    random.Random(7).shuffle(numbers)  # noqa: S311 -- a repeatable order
    for number in numbers:
        tracker.add(str(number), NOON + number * SECOND)
        assert len(tracker.tracked) <= 2 * MAX_TRACKED
    assert tracker.earliest() == DueAsset(NOON, "0")


def test_discarding_the_tracked_uncovers_the_evicted() -> None:
    """When all tracked assets are finished, the evicted ones are still known to be due."""
    tracker = DueTracker()
    for number in range(2 * MAX_TRACKED + 1):
        tracker.add(str(number), NOON + number * SECOND)
    for number in range(MAX_TRACKED):
        tracker.discard(str(number))
    assert tracker.earliest() == DueAsset(NOON + MAX_TRACKED * SECOND, str(MAX_TRACKED))
