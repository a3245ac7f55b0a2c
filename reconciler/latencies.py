"""How long marked assets took to become final in one run."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from assetuploader.outcome import Outcome
from assetuploader.shard_reports import FinalizeLatencies

if TYPE_CHECKING:
    from assetuploader.asset_service import ReconcileResult
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
            self.pinned = _observe(self.pinned, asset.result, asset.reconciled_at)
        else:
            self.unpinned = _observe(self.unpinned, asset.result, asset.reconciled_at)

    def on_unrecognized_key(self) -> None:
        """See `ScanListener.on_unrecognized_key`."""

    def on_delete_failed(self, count: int, reason: str) -> None:
        """See `ScanListener.on_delete_failed`."""


def _observe(latencies: FinalizeLatencies, result: "ReconcileResult", final_at: datetime) -> FinalizeLatencies:
    if result.marked_at is None or result.due_at is None:
        return latencies
    return FinalizeLatencies(
        latencies.mark.observe(final_at - result.marked_at), latencies.due.observe(final_at - result.due_at)
    )
