"""The log of a run: one line for each asset that it changed or that failed, and one line at its end."""

import logging
from dataclasses import dataclass
from typing import Final

import structlog

from assetuploader.outcome import Outcome
from reconciler.listeners import FinishedRun, ReconciledAsset

_ALWAYS_SHOWN: Final[dict[Outcome, int]] = dict.fromkeys(
    (Outcome.FAILED, Outcome.DELETE_FAILED, Outcome.UNRECOGNIZED_KEY), 0
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunLog:
    """A `ScanListener` and a `RunListener` that writes the log. The scan binds the asset's id to its lines."""

    dry_run: bool = False

    def on_result(self, asset: ReconciledAsset) -> None:
        """See `ScanListener.on_result`."""
        result = asset.result
        due_at = result.due_at
        if result.error is not None:
            log.warning("asset_failed", reason=str(result.error))
        elif result.can_delete_upload:
            log.info(
                "asset_reconciled",
                outcome=result.outcome.value,
                **({"pinned": result.is_pinned} if result.outcome is Outcome.FINALIZED else {}),
                **({"late_seconds": round((asset.reconciled_at - due_at).total_seconds(), 1)} if due_at else {}),
                dry_run=self.dry_run,
            )
        elif result.outcome is not Outcome.FAILED:  # the scan logs a defect, with its traceback
            log.debug("asset_skipped", outcome=result.outcome.value, due_at=due_at.isoformat() if due_at else None)

    def on_not_read(self, outcome: Outcome) -> None:
        """See `ScanListener.on_not_read`."""

    def on_delete_failed(self, count: int, reason: str) -> None:
        """See `ScanListener.on_delete_failed`."""
        log.warning("upload_delete_failed", count=count, reason=reason)

    async def on_run_finished(self, run: FinishedRun) -> None:
        """See `RunListener.on_run_finished`."""
        overdue = run.summary.oldest_overdue
        log.log(
            logging.ERROR if run.exit_code else logging.INFO,
            "run_finished",
            exit_code=run.exit_code,
            **({"reason": run.reason} if run.reason else {}),
            seconds=round((run.finished_at - run.started_at).total_seconds(), 1),
            shard=run.shard.index,
            shard_count=run.shard.count,
            dry_run=run.dry_run,
            is_complete=run.summary.is_complete,
            **{outcome.value: count for outcome, count in sorted({**_ALWAYS_SHOWN, **run.summary.outcomes}.items())},
            **({"oldest_overdue_id": overdue.asset_id, "due_at": overdue.due_at.isoformat()} if overdue else {}),
        )
