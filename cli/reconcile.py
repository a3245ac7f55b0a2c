"""`assetuploader reconcile`: one run, and its exit code."""

import asyncio
import os
import signal
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
import uvloop

from assetstore.assets import CHANGES
from assetstore.errors import StoreError
from assetstore.probe import probe_conditions
from cli.calls import call_logger
from cli.config import Config
from cli.logs import configure_logs
from cli.open import open_assets, open_bucket
from cli.progress import showing_progress
from reconciler.events import owner_from, post_run_event
from reconciler.exits import Exit, exit_after, exit_on
from reconciler.publish import Ended, ending_after, ending_on, publish
from reconciler.report import Tally
from reconciler.run import Settings, run
from reconciler.shards import Shard

if TYPE_CHECKING:
    from assetstore.door import Bucket

log = structlog.get_logger()


def reconcile(config: Config, *, dry_run: bool) -> int:
    """Run once; the exit code."""
    configure_logs(config.log_level, config.log_format)
    return uvloop.run(_reconcile(config, dry_run=dry_run))


async def _reconcile(config: Config, *, dry_run: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    settings = Settings(
        Shard(config.shard, config.shards), config.run_seconds, config.poll_seconds, config.budget_seconds, dry_run
    )
    tally = Tally()
    started, started_at = time.monotonic(), datetime.now(UTC)
    bucket: Bucket | None = None
    try:
        bucket = open_bucket(config, call_logger(config))
        if not dry_run:  # the probe writes
            await probe_conditions(bucket.door)
        async with showing_progress(tally, is_wanted=sys.stderr.isatty()):
            report = await run(open_assets(config, bucket), settings, tally, stop, time.monotonic)
        code, ending, reason = exit_after(report), ending_after(report), None
    except StoreError as error:
        report, code, ending, reason = tally.report(), exit_on(error), ending_on(error), str(error)
    if bucket is not None:
        if not dry_run:
            await publish(bucket.reports, Ended(settings.shard, started_at, datetime.now(UTC), ending, report))
        await bucket.close()
    overdue = report.oldest_overdue
    log.log(
        40 if code else 20,
        "run_finished",
        exit_code=int(code),
        **({"reason": reason} if reason else {}),
        seconds=round(time.monotonic() - started, 1),
        shard=config.shard,
        shards=config.shards,
        dry_run=dry_run,
        is_complete=report.is_complete,
        **{outcome.value: count for outcome, count in sorted(report.outcomes.items())},
        failed=report.failed,
        undeleted=report.undeleted,
        foreign=report.foreign,
        **({"oldest_overdue_id": overdue.asset_id, "due_at": overdue.due_at.isoformat()} if overdue else {}),
    )
    if not dry_run and (owner := owner_from(os.environ)):
        # A run that only waited has no news.
        told = {outcome.value: report.outcomes.get(outcome, 0) for outcome in CHANGES}
        told |= {"failed": report.failed, "undeleted": report.undeleted}
        await asyncio.to_thread(post_run_event, owner, told, code, reason or "")
    return Exit(code)
