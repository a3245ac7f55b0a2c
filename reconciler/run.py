"""One run: a full scan, then, while it watches, scans of recent uploads."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from assetuploader.asset_service import AssetService
from assetuploader.errors import StoreUnavailableError
from reconciler.listeners import ScanListener
from reconciler.scan import Scan
from reconciler.shards import Shard

RECENT_UPLOAD_AGE: Final = timedelta(minutes=1)
"""How long before the previous poll an upload may have been written to be scanned again. Its mark follows soon."""
SHUTDOWN_TIMEOUT_SECONDS: Final = 8.0
"""How long assets that are being reconciled may take after SIGTERM."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run scans, and for how long."""

    shard: Shard
    watch_seconds: float
    poll_interval_seconds: float
    max_run_seconds: float
    dry_run: bool = False
    shutdown_timeout_seconds: float = SHUTDOWN_TIMEOUT_SECONDS


async def run(
    service: AssetService,
    options: RunOptions,
    listeners: Sequence[ScanListener],
    stop: asyncio.Event,
    monotonic: Callable[[], float],
) -> bool:
    """Reconcile the shard until done, stopped, or out of time; return whether the full scan is complete.

    Raises:
        StoreError: S3 is unavailable or denies access. The listeners were notified of everything done until then.
    """
    started_at = monotonic()

    def should_stop() -> bool:
        return stop.is_set() or monotonic() - started_at >= options.max_run_seconds

    async def scan(max_age: timedelta | None) -> None:
        new_scan = Scan(service, options.shard, listeners, should_stop, max_age, options.dry_run, monotonic)
        await _drain(new_scan, stop, options.shutdown_timeout_seconds)

    await scan(None)
    is_complete = not should_stop()
    while not should_stop():
        remaining = min(options.watch_seconds, options.max_run_seconds) - (monotonic() - started_at)
        if remaining <= 0 or await _wait_until_set(stop, min(options.poll_interval_seconds, remaining)):
            break
        try:
            await scan(RECENT_UPLOAD_AGE)
        except StoreUnavailableError as error:  # the full scan is done, and the next poll may succeed
            log.warning("poll_failed", reason=str(error))
    return is_complete


async def _drain(scan: Scan, stop: asyncio.Event, timeout_seconds: float) -> None:
    """Run a scan. After a stop, give the assets that are being reconciled `timeout_seconds` to finish."""
    scanning = asyncio.create_task(scan.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({scanning, stopping}, return_when=asyncio.FIRST_COMPLETED)
        done, _ = await asyncio.wait({scanning}, timeout=timeout_seconds if stop.is_set() else None)
        if done:
            scanning.result()
    finally:
        stopping.cancel()
        scanning.cancel()


async def _wait_until_set(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
