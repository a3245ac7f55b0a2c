"""What a run leaves behind, and when the first of it is due."""

import random
from datetime import timedelta

from assetstore.assets import Outcome, Reconciled
from reconciler.dues import KEPT, Due, Dues
from reconciler.report import Tally
from tests.operate.report_store import NOON

SECOND = timedelta(seconds=1)


def test_the_earliest_is_known_whatever_the_number() -> None:
    """Of a hundred thousand in any order the earliest is named, and two thousand are remembered at most."""
    dues = Dues()
    numbers = list(range(100_000))
    random.Random(7).shuffle(numbers)  # noqa: S311 -- a repeatable order
    for number in numbers:
        dues.leave(str(number), NOON + number * SECOND)
        assert len(dues.left) <= 2 * KEPT
    assert dues.earliest() == Due(NOON, "0")


def test_settling_the_remembered_uncovers_the_forgotten() -> None:
    """When all that is remembered was brought on, the rest is still known to be due."""
    dues = Dues()
    for number in range(2 * KEPT + 1):
        dues.leave(str(number), NOON + number * SECOND)
    for number in range(KEPT):
        dues.settle(str(number))
    assert dues.earliest() == Due(NOON + KEPT * SECOND, str(KEPT))


def test_an_asset_finalized_later_in_the_run_is_not_overdue() -> None:
    """What waited, or failed, at first and was finalized in a later look leaves no alarm behind."""
    tally = Tally()
    tally.add("waited", Reconciled(Outcome.WAITING, is_garbage=False, due_at=NOON), NOON, is_full_pass=True)
    tally.add_failed("failed", NOON - SECOND, NOON)
    assert tally.report().oldest_overdue == Due(NOON - SECOND, "failed")
    assert tally.report().next_due_at == NOON - SECOND
    for name in ("waited", "failed"):
        tally.add(name, Reconciled(Outcome.FINALIZED, is_garbage=True, due_at=NOON), NOON, is_full_pass=False)
    assert (tally.report().oldest_overdue, tally.report().next_due_at) == (None, None)


def test_an_asset_that_is_due_later_is_not_overdue() -> None:
    """What is due in the future is told as such: it becomes overdue by itself when no run comes."""
    tally = Tally()
    tally.add("a", Reconciled(Outcome.WAITING, is_garbage=False, due_at=NOON + SECOND), NOON, is_full_pass=True)
    assert (tally.report().oldest_overdue, tally.report().next_due_at) == (None, NOON + SECOND)


def test_an_asset_with_other_bytes_than_its_pin_is_nobodys_backlog() -> None:
    """Its client must upload or mark again: no run could finish it, so none is late with it."""
    tally = Tally()
    tally.add("a", Reconciled(Outcome.MISMATCHED, is_garbage=False, due_at=NOON), NOON, is_full_pass=True)
    assert tally.report().next_due_at is None
