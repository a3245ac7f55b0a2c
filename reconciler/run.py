"""One run: a full scan, and beside it, while the run watches, scans of recent uploads."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import structlog

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import FULL_SCAN_INTERVAL_SECONDS
from assetuploader.errors import StoreUnavailableError
from assetuploader.shard_reports import OpenUploads
from reconciler.listeners import ScanListener
from reconciler.scan import RunState, Scan
from reconciler.shards import Shard
from reconciler.upload_scan import UploadScan, is_upload_scan_due

RECENT_UPLOAD_AGE: Final = timedelta(seconds=10)
"""How long before the previous poll an upload may have been written to be scanned again. Its mark follows at once."""
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


async def check_nothing() -> None:
    """Check nothing: for a dry run, which only reads, while the check of the store writes."""


async def read_everything() -> None:
    """Return no time of a scan before, so that the full scan reads every upload: for a dry run."""


@dataclass(slots=True)
class Run:
    """One run. Its scans overlap, so that no asset waits for the copy of another one."""

    reconciler: AssetReconciler
    options: RunOptions
    listeners: Sequence[ScanListener]
    check_store: Callable[[], Awaitable[None]]
    """Checks the store before anything is written. It raises StoreError."""
    stop: asyncio.Event
    monotonic: Callable[[], float]
    find_previous_scan: Callable[[], Awaitable[datetime | None]] = read_everything
    """Returns when the last full scan of an earlier run took place. It does not raise."""
    full_scan_at: datetime | None = field(init=False, default=None)
    """When the last full scan that left nothing undone began, of this run or an earlier one, by S3's clock."""
    open_uploads: OpenUploads | None = field(init=False, default=None)
    """What the last scan of open multipart uploads left; None when this run has had none."""
    _started_at: float = field(init=False, default=0.0)
    _state: RunState = field(init=False, default_factory=RunState)
    _full_scan: "asyncio.Task[None] | None" = field(init=False, default=None)
    _full_scan_started_at: float = field(init=False, default=0.0)
    _last_scan: Scan | None = field(init=False, default=None)
    """What the last full scan runs, or ran."""
    _other_scans: "set[asyncio.Task[None]]" = field(init=False, default_factory=set)
    """Polls, and earlier full scans whose copies are still under way."""
    _is_counted: bool = field(init=False, default=False)
    """A full scan has counted what remains in `temp/`."""
    _is_store_checked: bool = field(init=False, default=False)
    _is_complete: bool = field(init=False, default=False)
    _failure: StoreUnavailableError | None = field(init=False, default=None)
    """Why the last full scan failed."""

    async def run(self) -> bool:
        """Reconcile the shard until done, stopped, or out of time; return whether a full scan reached its end.

        While S3 is unavailable, the run tries again as long as it watches.

        Raises:
            StoreError: S3 is unavailable or denies access. The listeners were notified of everything done until then.
        """
        self._started_at = self.monotonic()
        shard = self.options.shard
        log.info("run_started", shard=shard.index, shard_count=shard.count, dry_run=self.options.dry_run)
        try:
            self._start_full_scan()
            while not self._should_stop():
                is_poll_due = await self._wait_for_poll()
                self._collect_scans()
                if is_poll_due and not self._should_stop():
                    self._start_due_scans()  # the last ones at the end of the watch
                if not self._is_watching() and not self._scans():
                    break
            await self._finish_scans()
        finally:
            scans = self._scans()
            for scan in scans:
                scan.cancel()
            await asyncio.gather(*scans, return_exceptions=True)
        if self._failure is not None and not self.stop.is_set():
            raise self._failure
        return self._is_complete

    def _should_stop(self) -> bool:
        return self.stop.is_set() or self.monotonic() - self._started_at >= self.options.max_run_seconds

    def _is_watching(self) -> bool:
        return self.monotonic() - self._started_at < self.options.watch_seconds

    def _scans(self) -> "set[asyncio.Task[None]]":
        return self._other_scans | ({self._full_scan} if self._full_scan else set())

    def _start_due_scans(self) -> None:
        is_old = self.monotonic() - self._full_scan_started_at >= FULL_SCAN_INTERVAL_SECONDS
        if self._full_scan is None and (is_old or not self._is_complete):
            self._start_full_scan()
        elif self._full_scan is not None and is_old and self._last_scan is not None and self._last_scan.is_listed:
            self._other_scans.add(self._full_scan)
            self._is_counted = True
            self._start_full_scan()
        if self.options.watch_seconds > 0 and self._is_store_checked and self._failure is None:
            # One interval more, because a poll sees what the poll before it did not.
            max_age = RECENT_UPLOAD_AGE + timedelta(seconds=self.options.poll_interval_seconds)
            self._other_scans.add(asyncio.create_task(self._build_scan(max_age).run()))

    def _start_full_scan(self) -> None:
        self._full_scan_started_at, self._last_scan = self.monotonic(), None
        self._full_scan = asyncio.create_task(self._scan_everything())

    async def _scan_everything(self) -> None:
        if not self._is_store_checked:
            await self.check_store()
            self.full_scan_at = await self.find_previous_scan()
            self._is_store_checked = True
        previous_at = self.full_scan_at
        scan = self._last_scan = self._build_scan(None)
        await scan.run()
        self._is_counted = True
        if scan.began_at is not None and is_upload_scan_due(previous_at, scan.began_at) and not self._should_stop():
            uploads = UploadScan(self.reconciler, self.options.shard, self._should_stop, self.options.dry_run)
            self.open_uploads = await uploads.run() or self.open_uploads
        if not self._should_stop():
            self._is_complete = True
            if not scan.has_unfinished_work:
                self.full_scan_at = scan.began_at

    def _build_scan(self, max_age: timedelta | None) -> Scan:
        return Scan(
            self.reconciler,
            self.options.shard,
            self.listeners,
            self._should_stop,
            max_age,
            self.full_scan_at,
            self.options.dry_run,
            self.monotonic,
            self._state,
            is_first_full_scan=max_age is None and not self._is_counted,
        )

    async def _wait_for_poll(self) -> bool:
        """Wait until a poll is due, and return whether it is.

        It is not when the run was stopped, when the full scan has ended, or when no scan is left and the run does not
        watch any more.
        """
        seconds = self.options.poll_interval_seconds
        waiting = {asyncio.create_task(self.stop.wait())}
        scans = self._scans()
        if self._is_watching():
            seconds = min(seconds, self.options.watch_seconds - (self.monotonic() - self._started_at))
        elif scans:
            waiting.add(asyncio.create_task(_wait_for_all(scans)))
        full_scan = {self._full_scan} if self._full_scan else set()
        done, _ = await asyncio.wait(waiting | full_scan, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return not done

    def _collect_scans(self) -> None:
        """Take note of the scans that have ended.

        Raises:
            StoreError: One of them failed, and a later one cannot succeed.
        """
        if self._full_scan is not None and self._full_scan.done():
            scan, self._full_scan, self._failure = self._full_scan, None, None
            try:
                scan.result()
            except StoreUnavailableError as error:
                self._failure = error
                log.warning("scan_failed", reason=str(error))
        for scan in [scan for scan in self._other_scans if scan.done()]:
            self._other_scans.discard(scan)
            try:
                scan.result()
            except StoreUnavailableError as error:
                log.warning("poll_failed", reason=str(error))

    async def _finish_scans(self) -> None:
        """Let the assets that are being reconciled finish; after a stop, for `shutdown_timeout_seconds`."""
        scans = self._scans()
        if scans:
            ending, stopping = asyncio.create_task(_wait_for_all(scans)), asyncio.create_task(self.stop.wait())
            await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({ending}, timeout=self.options.shutdown_timeout_seconds)
            ending.cancel()
            stopping.cancel()
            self._collect_scans()


async def _wait_for_all(tasks: "set[asyncio.Task[None]]") -> Literal[True]:
    await asyncio.wait(tasks)
    return True
