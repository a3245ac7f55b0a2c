"""What listens to a run: the interfaces that the scan and the command call, and the values that they pass.

To add a listener, write one file with a class that has these methods, and add one line to
`assetuploader.cli.reconcile`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from assetuploader.asset_reconciler import ReconcileResult
from assetuploader.outcome import Outcome
from assetuploader.shard_reports import FinalizeLatencies, OpenUploads, RunOutcome
from reconciler.shards import Shard
from reconciler.summary import RunSummary


@dataclass(frozen=True, slots=True)
class ReconciledAsset:
    """One asset that the scan reconciled."""

    asset_id: str
    result: ReconcileResult
    listed_at: datetime
    """When it was listed, by S3's clock."""
    reconciled_at: datetime
    """When it was reconciled, by S3's clock."""
    is_full_scan: bool
    """False for a scan of recent uploads: it may see an asset that the full scan counted already."""
    is_marked_late: bool = False
    """It was marked when its upload was not read in every scan any more."""


class ScanListener(Protocol):
    """A listener to a scan. Its methods return quickly and do not raise."""

    def on_result(self, asset: ReconciledAsset) -> None:
        """Take note of an asset that was reconciled, whatever the outcome."""

    def on_not_read(self, outcome: Outcome) -> None:
        """Take note of an object in `temp/` that was only listed: `POSTPONED` or `UNRECOGNIZED_KEY`.

        Only the first full scan of a run reports them.
        """

    def on_delete_failed(self, count: int, reason: str) -> None:
        """Take note of uploads of final or expired assets that could not be deleted."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that ended."""

    shard: Shard
    started_at: datetime
    finished_at: datetime
    outcome: RunOutcome
    exit_code: int
    reason: str | None
    """Why the run ended early, None when it did not."""
    summary: RunSummary
    pinned: FinalizeLatencies
    unpinned: FinalizeLatencies
    dry_run: bool = False
    full_scan_at: datetime | None = None
    """See `ShardReport.full_scan_at`; None when no full scan was completed."""
    open_uploads: OpenUploads | None = None
    """See `ShardReport.open_uploads`; None when this run did not list them."""


class RunListener(Protocol):
    """A listener to the end of a run."""

    async def on_run_finished(self, run: FinishedRun) -> None:
        """Take note of the end of the run.

        It is called once, while the bucket is still open. It does not raise, and takes a few seconds at most.
        """


async def notify_finished(listeners: Sequence[RunListener], run: FinishedRun) -> None:
    """Call the listeners in turn."""
    for listener in listeners:
        await listener.on_run_finished(run)
