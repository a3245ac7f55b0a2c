"""When the assets that a run leaves behind are due: the earliest of them, in memory that does not grow with them."""

from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from typing import Final

KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Due:
    """An asset that was left, and when it is due, or was."""

    due_at: datetime
    asset_id: str


@dataclass(slots=True)
class Dues:
    """The assets that are left, of which the earliest are remembered by name."""

    left: dict[str, datetime] = field(default_factory=dict)
    forgotten: Due | None = None
    """The earliest of those that are no longer remembered."""

    def leave(self, asset_id: str, due_at: datetime) -> None:
        """Remember that the asset is left, and due then."""
        self.left[asset_id] = due_at
        if len(self.left) > 2 * KEPT:
            kept = nsmallest(KEPT, self.left.items(), key=lambda item: item[1])
            names = {name for name, _ in kept}
            dropped = min(
                (Due(at, name) for name, at in self.left.items() if name not in names), key=lambda d: d.due_at
            )
            if self.forgotten is None or dropped.due_at < self.forgotten.due_at:
                self.forgotten = dropped
            self.left = dict(kept)

    def settle(self, asset_id: str) -> None:
        """Forget the asset: a later look in the same run brought it on."""
        self.left.pop(asset_id, None)

    def earliest(self) -> Due | None:
        """The one that is due first. One that was settled after it was forgotten may still be named."""
        known = [Due(at, name) for name, at in self.left.items()]
        return min(
            [*known, self.forgotten] if self.forgotten else known,
            key=lambda due: (due.due_at, due.asset_id),
            default=None,
        )
