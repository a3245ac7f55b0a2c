"""`assetuploader reconcile`: one run of the reconciler, as the CronJob starts it."""

import asyncio
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial

import uvloop

from assetuploader.cli.config import Config
from assetuploader.cli.exit_codes import ExitCode, exit_code_for
from assetuploader.cli.logs import configure_logs
from assetuploader.cli.progress import progress_bar
from assetuploader.cli.s3_call_logging import call_logger
from assetuploader.cli.wiring import open_asset_reconciler, open_bucket
from assetuploader.conformance import check_conditional_writes
from assetuploader.errors import StoreError
from assetuploader.shard_reports import RUN_OUTCOMES, RunOutcome
from reconciler.events import KubernetesEventPoster, cronjob_ref_from
from reconciler.latencies import LatencyRecorder
from reconciler.listeners import FinishedRun, RunListener, ScanListener, notify_finished
from reconciler.run import Run, RunOptions, check_nothing, read_everything
from reconciler.run_log import RunLog
from reconciler.shard_report import ShardReportWriter, read_full_scan_at
from reconciler.shards import Shard
from reconciler.summary import RunCounters


def reconcile(config: Config, *, dry_run: bool) -> int:
    """Run once; return the exit code."""
    configure_logs(config.log_level, config.log_format)
    return uvloop.run(_reconcile(config, dry_run=dry_run))


async def _reconcile(config: Config, *, dry_run: bool) -> int:
    counters, latencies, run_log = RunCounters(), LatencyRecorder(), RunLog(dry_run=dry_run)
    scan_listeners: list[ScanListener] = [counters, latencies, run_log]
    run_listeners: list[RunListener] = [run_log]
    started_at = datetime.now(UTC)
    is_complete, error, full_scan_at, open_uploads = False, None, None, None
    shard = Shard(config.shard, config.shard_count)
    async with AsyncExitStack() as stack:
        try:
            bucket = await stack.enter_async_context(open_bucket(config, call_logger(config)))
            run_listeners.append(ShardReportWriter(bucket.reports))
            run = Run(
                open_asset_reconciler(config, bucket),
                _options(config, dry_run=dry_run),
                scan_listeners,
                check_nothing if dry_run else partial(check_conditional_writes, bucket.store),
                _stop_on_signals(),
                time.monotonic,
                read_everything if dry_run else partial(read_full_scan_at, bucket.reports, shard),
            )
            async with progress_bar(counters.outcomes, is_wanted=sys.stderr.isatty()):
                is_complete = await run.run()
            full_scan_at, open_uploads = run.full_scan_at, run.open_uploads
        except StoreError as store_error:
            error = store_error
        if (cronjob_ref := cronjob_ref_from(os.environ)) is not None:
            run_listeners.append(KubernetesEventPoster(cronjob_ref))
        summary = counters.summarize(is_complete=is_complete)
        if error is not None:
            outcome, exit_code = RUN_OUTCOMES[error.kind], exit_code_for(error)
        elif summary.has_failures:
            outcome, exit_code = RunOutcome.PARTIAL_FAILURE, ExitCode.PARTIAL_FAILURE
        else:
            outcome, exit_code = RunOutcome.SUCCESS, ExitCode.OK
        finished = FinishedRun(
            shard,
            started_at,
            datetime.now(UTC),
            outcome,
            int(exit_code),
            None if error is None else str(error),
            summary,
            latencies.pinned,
            latencies.unpinned,
            dry_run,
            full_scan_at,
            open_uploads,
        )
        await notify_finished(run_listeners, finished)
    return exit_code


def _options(config: Config, *, dry_run: bool) -> RunOptions:
    return RunOptions(
        Shard(config.shard, config.shard_count),
        config.watch_seconds,
        config.poll_interval_seconds,
        config.max_run_seconds,
        dry_run,
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
