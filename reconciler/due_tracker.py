"""The due times of the assets that remain after a run: the earliest of them, in bounded memory."""

from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from typing import Final

MAX_TRACKED: Final = 1000
"""At least this many assets are tracked by id, and at most twice as many."""


@dataclass(frozen=True, slots=True)
class DueAsset:
    """An asset that remains after a run, and when it is or was due."""

    due_at: datetime
    asset_id: str


@dataclass(slots=True)
class DueTracker:
    """The remaining assets. Only those that are due first are tracked by id."""

    tracked: dict[str, datetime] = field(default_factory=dict)
    earliest_evicted: DueAsset | None = None
    """The asset that is due first, of those that are no longer tracked."""

    def add(self, asset_id: str, due_at: datetime) -> None:
        """Track a remaining asset."""
        self.tracked[asset_id] = due_at
        if len(self.tracked) <= 2 * MAX_TRACKED:
            return
        kept = dict(nsmallest(MAX_TRACKED, self.tracked.items(), key=lambda item: item[1]))
        evicted = min(
            (DueAsset(at, name) for name, at in self.tracked.items() if name not in kept), key=lambda due: due.due_at
        )
        if self.earliest_evicted is None or evicted.due_at < self.earliest_evicted.due_at:
            self.earliest_evicted = evicted
        self.tracked = kept

    def discard(self, asset_id: str) -> None:
        """Stop tracking an asset: a later scan of the same run finished it."""
        self.tracked.pop(asset_id, None)

    def earliest(self) -> DueAsset | None:
        """Return the earliest due asset. It may be final already if it was evicted before it was discarded."""
        tracked = [DueAsset(at, name) for name, at in self.tracked.items()]
        return min(
            [*tracked, self.earliest_evicted] if self.earliest_evicted else tracked,
            key=lambda due: (due.due_at, due.asset_id),
            default=None,
        )
