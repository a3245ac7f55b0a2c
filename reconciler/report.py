"""What a run did, in values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from assetstore.assets import Outcome, Reconciled


@dataclass(frozen=True, slots=True)
class Overdue:
    """An asset that was due and is not final."""

    asset_id: str
    due_at: datetime


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
    oldest_overdue: Overdue | None
    next_due_at: datetime | None
    """The earliest instant at which a marked asset that is not final became due, or will."""
    is_complete: bool
    """The full pass came to its end: no stop, no spent budget."""


@dataclass(slots=True)
class Tally:
    """A report in the making."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failed: int = 0
    undeleted: int = 0
    foreign: int = 0
    oldest_overdue: Overdue | None = None
    next_due_at: datetime | None = None
    is_complete: bool = False

    def add(self, asset_id: str, done: Reconciled, now: datetime, *, is_full_pass: bool) -> None:
        """Count one asset. One that is left as it was is counted in the full pass only: later passes see it again."""
        is_left = done.outcome in {Outcome.WAITING, Outcome.MISMATCHED, Outcome.ORPHANED}
        if is_full_pass or not is_left:
            self.outcomes[done.outcome] += 1
        if done.outcome is Outcome.WAITING and done.due_at is not None:
            self._leave(asset_id, done.due_at, now)

    def add_failed(self, asset_id: str, due_at: datetime | None, now: datetime) -> None:
        """Count one asset that could not be brought further."""
        self.failed += 1
        if due_at is not None:
            self._leave(asset_id, due_at, now)

    def _leave(self, asset_id: str, due_at: datetime, now: datetime) -> None:
        if self.next_due_at is None or due_at < self.next_due_at:
            self.next_due_at = due_at
        if due_at <= now and (self.oldest_overdue is None or due_at < self.oldest_overdue.due_at):
            self.oldest_overdue = Overdue(asset_id, due_at)

    def report(self) -> Report:
        """The finished report."""
        return Report(
            dict(self.outcomes),
            self.failed,
            self.undeleted,
            self.foreign,
            self.oldest_overdue,
            self.next_due_at,
            self.is_complete,
        )
