"""What a run did and what remains, in numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from assetuploader.outcome import REMAINING, Outcome
from reconciler.due_tracker import DueAsset, DueTracker

if TYPE_CHECKING:
    from reconciler.listeners import ReconciledAsset


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run of one shard did, and what remains."""

    outcomes: Mapping[Outcome, int]
    """Objects in `temp/` by outcome. What remains in `temp/` is counted by the full scan only."""
    oldest_overdue: DueAsset | None
    """The asset that was due first, of those that were due and are not final."""
    next_due_at: datetime | None
    """The earliest time at which a marked asset that the run read, and that is not final, is or was due."""
    is_complete: bool
    """The full scan reached the end of the shard."""

    @property
    def has_failures(self) -> bool:
        """Whether an asset failed, or an upload could not be deleted."""
        return bool(self.outcomes.get(Outcome.FAILED) or self.outcomes.get(Outcome.DELETE_FAILED))


@dataclass(slots=True)
class RunCounters:
    """A `ScanListener` that counts what becomes the run's summary."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    _due: DueTracker = field(default_factory=DueTracker)
    _latest: datetime | None = None
    """The latest time, by S3's clock, at which a remaining asset was listed."""

    def on_result(self, asset: "ReconciledAsset") -> None:
        """See `ScanListener.on_result`. Assets that did not change are counted by the full scan only."""
        result = asset.result
        if asset.is_full_scan or result.outcome not in REMAINING:
            self.outcomes[result.outcome] += 1
        if result.outcome in {Outcome.WAITING, Outcome.FAILED}:
            if result.due_at is not None:
                self._latest = max(self._latest or asset.listed_at, asset.listed_at)
                self._due.add(asset.asset_id, result.due_at)
        else:  # with an ETag mismatch, too: the client must act, and no run can finish the asset
            self._due.discard(asset.asset_id)

    def on_not_read(self, outcome: Outcome) -> None:
        """See `ScanListener.on_not_read`."""
        self.outcomes[outcome] += 1

    def on_delete_failed(self, count: int, reason: str) -> None:  # noqa: ARG002 -- the interface's
        """See `ScanListener.on_delete_failed`."""
        self.outcomes[Outcome.DELETE_FAILED] += count

    def summarize(self, *, is_complete: bool) -> RunSummary:
        """Return the summary of what was counted so far."""
        first = self._due.earliest()
        is_overdue = first is not None and self._latest is not None and first.due_at <= self._latest
        return RunSummary(
            dict(self.outcomes),
            oldest_overdue=first if is_overdue else None,
            next_due_at=first.due_at if first else None,
            is_complete=is_complete,
        )
