"""What a run did, in values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assetstore.assets import Outcome, Reconciled
from assetstore.reports import FinalizeLags
from reconciler.dues import Due, Dues

_LEFT: Final = frozenset({Outcome.WAITING, Outcome.MISMATCHED, Outcome.ORPHANED})


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of one shard did, and what it left."""

    outcomes: Mapping[Outcome, int]
    """Assets by what became of them. Those left as they were are counted by the first, full pass only."""
    failed: int
    """Assets that S3 or a mistake of ours kept from being brought further; the next run tries again."""
    undeleted: int
    """Garbage in `temp/` that could not be deleted; the next run sweeps it."""
    foreign: int
    """Keys in `temp/` that are no asset ids: left alone."""
    oldest_overdue: Due | None
    """Of the assets that were due and are not final, the one that was due first."""
    next_due_at: datetime | None
    """The earliest instant at which a marked asset that is not final became due, or will."""
    is_complete: bool
    """The full pass came to its end: no stop, no spent budget."""
    pinned: FinalizeLags
    """How long the pinned assets took that became final."""
    unpinned: FinalizeLags


@dataclass(slots=True)
class Tally:
    """A report in the making."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failed: int = 0
    undeleted: int = 0
    foreign: int = 0
    is_complete: bool = False
    pinned: FinalizeLags = field(default_factory=FinalizeLags)
    unpinned: FinalizeLags = field(default_factory=FinalizeLags)
    _dues: Dues = field(default_factory=Dues)
    _now: datetime | None = None
    """The latest instant, by S3's clock, at which an asset was looked at."""

    def add(self, asset_id: str, done: Reconciled, now: datetime, *, is_full_pass: bool) -> None:
        """Count one asset. One that is left as it was is counted in the full pass only: later passes see it again."""
        if is_full_pass or done.outcome not in _LEFT:
            self.outcomes[done.outcome] += 1
        if done.outcome is Outcome.WAITING and done.due_at is not None:
            self._leave(asset_id, done.due_at, now)
        else:  # also when its bytes are others than the pin: its client must act, and no run can
            self._dues.settle(asset_id)

    def add_failed(self, asset_id: str, due_at: datetime | None, now: datetime) -> None:
        """Count one asset that could not be brought further."""
        self.failed += 1
        if due_at is not None:
            self._leave(asset_id, due_at, now)

    def add_final(self, done: Reconciled, final_at: datetime) -> None:
        """Count how long an asset took that is final now."""
        if done.marked_at is None or done.due_at is None:
            return
        lags = self.pinned if done.is_pinned else self.unpinned
        lags = FinalizeLags(lags.mark.with_one(final_at - done.marked_at), lags.due.with_one(final_at - done.due_at))
        if done.is_pinned:
            self.pinned = lags
        else:
            self.unpinned = lags

    def _leave(self, asset_id: str, due_at: datetime, now: datetime) -> None:
        self._now = now if self._now is None else max(self._now, now)
        self._dues.leave(asset_id, due_at)

    def report(self) -> Report:
        """The finished report."""
        first = self._dues.earliest()
        is_overdue = first is not None and self._now is not None and first.due_at <= self._now
        return Report(
            dict(self.outcomes),
            self.failed,
            self.undeleted,
            self.foreign,
            oldest_overdue=first if is_overdue else None,
            next_due_at=first.due_at if first else None,
            is_complete=self.is_complete,
            pinned=self.pinned,
            unpinned=self.unpinned,
        )
