"""Writing the shard report at the end of a run: it continues the counters of the report before it."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from assetuploader.errors import ObjectUnreadableError, StoreError
from assetuploader.outcome import COUNTED, REMAINING
from assetuploader.shard_reports import (
    MAX_REPORT_BYTES,
    REPORT_HEADERS,
    Counters,
    InvalidReportError,
    RunOutcome,
    ShardReport,
    decode_report,
    encode_report,
    report_key,
)
from assetuploader.store import ObjectAttributes, ShardReportStore
from reconciler.listeners import FinishedRun
from reconciler.shards import Shard

READ_TIMEOUT_SECONDS: Final = 5.0
"""The time of the scan before is worth a few seconds: without it a scan reads everything."""
WRITE_TIMEOUT_SECONDS: Final = 5.0
"""An unavailable store does not keep a run from ending."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ShardReportWriter:
    """A `RunListener` that writes the shard report, unless the run was a dry run."""

    store: ShardReportStore

    async def on_run_finished(self, run: FinishedRun) -> None:
        """See `RunListener.on_run_finished`."""
        if not run.dry_run:
            await write_shard_report(self.store, run)


async def read_full_scan_at(store: ShardReportStore, shard: Shard) -> datetime | None:
    """Return when the last full scan of this shard took place, None when that is not known. It does not raise.

    The report is read again when it is written: counters continue those of a run that ended meanwhile.
    """
    key = report_key(shard.index, shard.count)
    try:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            body = await store.get_object(key, MAX_REPORT_BYTES)
        return None if body is None else decode_report(key, body).full_scan_at
    except (StoreError, InvalidReportError, TimeoutError) as error:
        log.debug("shard_report_read_failed", key=key, reason=str(error) or "S3 did not respond in time")
        return None


async def write_shard_report(store: ShardReportStore, run: FinishedRun) -> bool:
    """Write the report of this run; return whether that succeeded. A failure is logged, and does not fail the run.

    If two runs of a shard write at the same time, one of them is not counted. If S3 does not return the report before,
    nothing is written: counters that restart from zero would look like a burst. An invalid report is replaced.
    """
    key = report_key(run.shard.index, run.shard.count)
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
            before = await _read(store, key)
            report = encode_report(merge(before, run))
            await store.put_object(key, report, ObjectAttributes(headers=REPORT_HEADERS))
    except (StoreError, TimeoutError) as error:
        log.warning("shard_report_write_failed", key=key, reason=str(error) or "S3 did not respond in time")
        return False
    return True


async def _read(store: ShardReportStore, key: str) -> ShardReport | None:
    try:
        body = await store.get_object(key, MAX_REPORT_BYTES)
        return None if body is None else decode_report(key, body)
    except (ObjectUnreadableError, InvalidReportError) as error:
        log.warning("shard_report_reset", key=key, reason=str(error))
        return None


def merge(before: ShardReport | None, run: FinishedRun) -> ShardReport:
    """Return the report of this run, given the report before it.

    An incomplete run cannot count what remains in its shard, so the numbers of the report before are kept.
    """
    summary = run.summary
    remaining = {outcome: summary.outcomes.get(outcome, 0) for outcome in REMAINING}
    due_times = [summary.next_due_at]
    is_success = run.outcome is RunOutcome.SUCCESS and summary.is_complete
    last_success_at = run.finished_at if is_success else None
    full_scan_at, open_uploads = run.full_scan_at, run.open_uploads
    if before is not None:
        full_scan_at = full_scan_at or before.full_scan_at
        open_uploads = open_uploads or before.open_uploads
        last_success_at = last_success_at or before.last_success_at
        if not summary.is_complete:
            remaining = dict(before.remaining)
            due_times.append(before.next_due_at)
    counters = Counters(
        {run.outcome: 1},
        {outcome: summary.outcomes.get(outcome, 0) for outcome in COUNTED},
        run.pinned,
        run.unpinned,
    )
    return ShardReport(
        shard=run.shard.index,
        shard_count=run.shard.count,
        started_at=run.started_at,
        finished_at=run.finished_at,
        outcome=run.outcome,
        is_complete=summary.is_complete,
        last_success_at=last_success_at,
        remaining=remaining,
        next_due_at=min((due for due in due_times if due is not None), default=None),
        counters=(before.counters if before else Counters()) + counters,
        schema=2,
        full_scan_at=full_scan_at,
        open_uploads=open_uploads,
    )
