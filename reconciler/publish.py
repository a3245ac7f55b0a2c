"""The run's last act: its report, counted on from the shard's report before, for the service to export."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from assetstore.assets import Outcome
from assetstore.door import ReportStore
from assetstore.errors import (
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnfitError,
)
from assetstore.reports import (
    CONTENT_TYPE,
    REPORT_BYTES,
    Change,
    Left,
    NotAReportError,
    RunEnding,
    RunReport,
    Totals,
    read_report,
    report_key,
    write_report,
)
from reconciler.report import Report
from reconciler.shards import Shard

PUBLISH_SECONDS: Final = 5.0
"""A store that is away keeps no run from ending."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over."""

    shard: Shard
    started_at: datetime
    finished_at: datetime
    ending: RunEnding
    report: Report


def ending_after(report: Report) -> RunEnding:
    """How a run ended that came to its end."""
    return RunEnding.SOME_FAILED if report.failed or report.undeleted else RunEnding.DONE


def ending_on(error: StoreError) -> RunEnding:
    """How a run ended that S3 stopped."""
    match error:
        case StoreUnavailableError():
            return RunEnding.UNAVAILABLE
        case StoreDeniedError():
            return RunEnding.DENIED
        case StoreUnfitError():
            return RunEnding.UNFIT
        case StoreMisconfiguredError() | _:
            return RunEnding.MISCONFIGURED


async def publish(door: ReportStore, ended: Ended) -> bool:
    """Write the run's report; whether that was done. A failure is a line in the log, and never the run's.

    Another run of the same shard may write at the same time: then one of the two goes uncounted, and no more. When the
    report before cannot be asked for, nothing is written: totals that begin anew would look like a burst.
    """
    key = report_key(ended.shard.index, ended.shard.count)
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            found = await door.get(key, REPORT_BYTES)
            before = _read(key, found) if found is not None else None
            await door.put(key, write_report(next_report(before, ended)), CONTENT_TYPE)
    except (StoreError, TimeoutError) as error:
        log.warning("report_not_written", key=key, reason=str(error) or "S3 did not answer in time")
        return False
    return True


def _read(key: str, body: bytes) -> RunReport | None:
    try:
        return read_report(key, body)
    except NotAReportError as error:
        log.warning("report_replaced", key=key, reason=str(error))
        return None


def next_report(before: RunReport | None, ended: Ended) -> RunReport:
    """What to write, given what the run before wrote.

    A run that did not see the whole shard cannot say what is left there: what the one before said still stands.
    """
    report = ended.report
    is_success = ended.ending is RunEnding.DONE and report.is_complete
    left = {
        Left.WAITING: report.outcomes.get(Outcome.WAITING, 0),
        Left.MISMATCHED: report.outcomes.get(Outcome.MISMATCHED, 0),
        Left.ORPHANED: report.outcomes.get(Outcome.ORPHANED, 0),
        Left.FOREIGN: report.foreign,
    }
    dues = [report.next_due_at]
    last_success_at = ended.finished_at if is_success else None
    if before is not None:
        last_success_at = last_success_at or before.last_success_at
        if not report.is_complete:
            left = dict(before.left)
            dues.append(before.next_due_at)
    return RunReport(
        shard=ended.shard.index,
        shards=ended.shard.count,
        started_at=ended.started_at,
        finished_at=ended.finished_at,
        ending=ended.ending,
        is_complete=report.is_complete,
        last_success_at=last_success_at,
        left=left,
        next_due_at=min((due for due in dues if due is not None), default=None),
        totals=(before.totals if before else Totals()) + _totals(ended),
        schema=1,
    )


def _totals(ended: Ended) -> Totals:
    report = ended.report
    changes = {
        Change.FINALIZED: report.outcomes.get(Outcome.FINALIZED, 0),
        Change.EXPIRED: report.outcomes.get(Outcome.EXPIRED, 0),
        Change.SWEPT: report.outcomes.get(Outcome.SWEPT, 0),
        Change.FAILED: report.failed,
        Change.UNDELETED: report.undeleted,
    }
    return Totals({ended.ending: 1}, changes, report.pinned, report.unpinned)
