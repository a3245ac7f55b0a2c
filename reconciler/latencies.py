"""How long marked assets took to become final in one run."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assetuploader.outcome import Outcome
from assetuploader.shard_reports import FinalizeLatencies

if TYPE_CHECKING:
    from reconciler.listeners import ReconciledAsset


@dataclass(slots=True)
class LatencyRecorder:
    """A `ScanListener` that records the latencies of finalized assets, pinned and unpinned ones apart."""

    pinned: FinalizeLatencies = field(default_factory=FinalizeLatencies)
    unpinned: FinalizeLatencies = field(default_factory=FinalizeLatencies)

    def on_result(self, asset: "ReconciledAsset") -> None:
        """See `ScanListener.on_result`."""
        if asset.result.outcome is not Outcome.FINALIZED:
            return
        if asset.result.is_pinned:
            self.pinned = _observe(self.pinned, asset)
        else:
            self.unpinned = _observe(self.unpinned, asset)

    def on_not_read(self, outcome: Outcome) -> None:
        """See `ScanListener.on_not_read`."""

    def on_delete_failed(self, count: int, reason: str) -> None:
        """See `ScanListener.on_delete_failed`."""


def _observe(latencies: FinalizeLatencies, asset: "ReconciledAsset") -> FinalizeLatencies:
    """Add one asset. One that was marked late waits for its turn, so it has no lag since it was due."""
    result, final_at = asset.result, asset.reconciled_at
    if result.marked_at is None or result.due_at is None:
        return latencies
    mark = latencies.mark.observe(final_at - result.marked_at)
    due = latencies.due if asset.is_marked_late else latencies.due.observe(final_at - result.due_at)
    return FinalizeLatencies(mark, due)
