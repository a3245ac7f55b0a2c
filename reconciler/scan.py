"""One scan of a shard of `temp/`: list pages, reconcile with bounded concurrency, delete uploads in batches.

Memory is constant: one page and a queue of one page's length, however many objects there are. Large copies have a lane
of their own, so that small assets do not wait for them.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from assetuploader.asset_reconciler import AssetReconciler, ReconcileResult
from assetuploader.errors import StoreError, StoreUnavailableError
from assetuploader.keys import CHECK_UPLOAD_KEY, TEMP_PREFIX, is_asset_id, temp_key
from assetuploader.outcome import Outcome
from assetuploader.scan_schedule import ScanWindow, is_marked_late
from assetuploader.store import ListPage
from reconciler.listeners import ReconciledAsset, ScanListener
from reconciler.shards import Shard

CONCURRENCY: Final = 32
LARGE_COPY_BYTES: Final = 64 * 1024 * 1024
"""S3 copies a longer object for seconds to minutes, a shorter one in well under a second."""
LARGE_CONCURRENCY: Final = 8
"""The number of large copies at a time in a run."""
BATCH_SIZE: Final = 1000
"""The number of keys in one DeleteObjects request, and in one page of a listing."""
MAX_CONSECUTIVE_FAILURES: Final = 3 * CONCURRENCY
"""The scan ends when S3 was unavailable for this many assets in a row."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkItem:
    """An asset that waits in a queue."""

    asset_id: str
    listed_at: datetime
    """S3's clock."""
    listed_at_monotonic: float
    """The same time on the clock of this process, which advances while the asset waits."""
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class RunState:
    """What the scans of one run share, because they overlap."""

    in_progress: set[str] = field(default_factory=set)
    """The assets that a scan has enqueued and not finished. Other scans skip them."""
    large_copies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_CONCURRENCY))


def _build_queue() -> "asyncio.Queue[WorkItem | None]":
    return asyncio.Queue(BATCH_SIZE)


@dataclass(slots=True)
class Scan:
    """One scan. It can run once."""

    reconciler: AssetReconciler
    shard: Shard
    listeners: Sequence[ScanListener]
    should_stop: Callable[[], bool]
    """Called before each asset. It returns whether the run was stopped or is out of time."""
    max_age: timedelta | None = None
    """Only objects that were written within this time before they are listed. None: a full scan."""
    previous_at: datetime | None = None
    """When the full scan before began, by S3's clock. None: this full scan reads every upload, however old."""
    dry_run: bool = False
    monotonic: Callable[[], float] = time.monotonic
    state: RunState = field(default_factory=RunState)
    is_first_full_scan: bool = True
    """Whether this scan counts what remains in `temp/`."""
    is_listed: bool = field(init=False, default=False)
    """Whether all objects of the shard have been enqueued."""
    began_at: datetime | None = field(init=False, default=None)
    """When the first page was listed, by S3's clock."""
    has_unfinished_work: bool = field(init=False, default=False)
    """Whether something failed, or is due and not final. The next scan reads again what this one read."""
    consecutive_failures: int = field(init=False, default=0)
    _queue: "asyncio.Queue[WorkItem | None]" = field(init=False, default_factory=_build_queue)
    _large_queue: "asyncio.Queue[WorkItem | None]" = field(init=False, default_factory=_build_queue)
    _enqueued: set[str] = field(init=False, default_factory=set)
    """The assets in `state.in_progress` that this scan put there."""
    _finished: list[str] = field(init=False, default_factory=list)
    """The assets whose uploads can be deleted."""

    async def run(self) -> None:
        """Scan the shard.

        Raises:
            StoreError: The listing failed, or S3 became unavailable.
        """
        failures: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(LARGE_CONCURRENCY):
                    group.create_task(self._copy_large_ones())
                workers = [group.create_task(self._work()) for _ in range(CONCURRENCY)]
                await self._enqueue()
                await asyncio.wait(workers)
                await self._delete_uploads()
                for _ in range(LARGE_CONCURRENCY):
                    await self._large_queue.put(None)
        except* StoreError as errors:
            failures.extend(errors.exceptions)
        finally:
            self.state.in_progress.difference_update(self._enqueued)
        await self._delete_uploads()  # not after a cancellation: the next run sweeps
        if failures:  # an error raised in an except* would arrive in a group of its own before Python 3.11.4
            raise failures[0]

    async def _enqueue(self) -> None:
        start_after = self.shard.start_after
        while True:
            page = await self.reconciler.store.list_objects(TEMP_PREFIX, start_after)
            has_more = await self._enqueue_page(page)
            if not has_more or self.should_stop():
                break
            start_after = page.objects[-1].key
        self.is_listed = True
        for _ in range(CONCURRENCY):
            await self._queue.put(None)

    async def _enqueue_page(self, page: ListPage) -> bool:
        """Enqueue the assets of this page, and return whether another page of the shard follows."""
        listed_at_monotonic = self.monotonic()
        self.began_at = self.began_at or page.server_time
        window = ScanWindow(self.reconciler.policy, self.previous_at, self.began_at)
        for listed in page.objects:
            if not self.shard.holds(listed.key) or self.should_stop():
                return False
            if self.max_age is not None and listed.last_modified < page.server_time - self.max_age:
                continue
            asset_id = listed.key.removeprefix(TEMP_PREFIX)
            if listed.key == CHECK_UPLOAD_KEY:
                continue
            if not is_asset_id(asset_id):
                self._notify_not_read(Outcome.UNRECOGNIZED_KEY)
            elif self.max_age is None and not window.includes_look(asset_id, listed.last_modified):
                self._notify_not_read(Outcome.POSTPONED)
            elif asset_id not in self.state.in_progress:
                self.state.in_progress.add(asset_id)
                self._enqueued.add(asset_id)
                await self._queue.put(WorkItem(asset_id, page.server_time, listed_at_monotonic, listed.last_modified))
        return page.is_truncated

    def _notify_not_read(self, outcome: Outcome) -> None:
        if self.is_first_full_scan:
            for listener in self.listeners:
                listener.on_not_read(outcome)

    async def _work(self) -> None:
        while (item := await self._queue.get()) is not None:
            await self._reconcile(item, LARGE_COPY_BYTES)
            if len(self._finished) >= BATCH_SIZE:
                await self._delete_uploads()

    async def _copy_large_ones(self) -> None:
        while (item := await self._large_queue.get()) is not None:
            async with self.state.large_copies:
                await self._reconcile(item, None)
            await self._delete_uploads()

    async def _reconcile(self, item: WorkItem, max_copy_bytes: int | None) -> None:
        if self.should_stop():
            return
        bind_contextvars(asset_id=item.asset_id)  # in the context of this worker
        try:
            result = await self.reconciler.reconcile(
                item.asset_id,
                item.listed_at,
                uploaded_at=item.uploaded_at,
                max_copy_bytes=max_copy_bytes,
                dry_run=self.dry_run,
            )
        except Exception as error:  # a defect of ours in one asset never stops the others
            log.warning("asset_failed", reason=str(error), exc_info=error)
            result = ReconcileResult(Outcome.FAILED)
        if result.is_too_large:
            await self._large_queue.put(item)
        else:
            self._finish(item, result)
        unbind_contextvars("asset_id")

    def _finish(self, item: WorkItem, result: ReconcileResult) -> None:
        """Take note of the result.

        Raises:
            StoreUnavailableError: S3 was unavailable for too many assets in a row.
        """
        if result.can_delete_upload:  # until then it is in progress, so that no other scan sweeps it
            self._finished.append(item.asset_id)
        else:
            self._release([item.asset_id])
        elapsed = timedelta(seconds=self.monotonic() - item.listed_at_monotonic)
        asset = ReconciledAsset(
            item.asset_id,
            result,
            item.listed_at,
            item.listed_at + elapsed,
            is_full_scan=self.is_first_full_scan,
            is_marked_late=result.marked_at is not None
            and is_marked_late(item.uploaded_at, result.marked_at, self.reconciler.policy),
        )
        is_overdue = result.outcome is Outcome.WAITING and result.due_at is not None and result.due_at <= item.listed_at
        self.has_unfinished_work |= is_overdue or result.outcome is Outcome.FAILED
        for listener in self.listeners:
            listener.on_result(asset)
        if isinstance(result.error, StoreUnavailableError):
            self.consecutive_failures += 1
        elif result.outcome is not Outcome.FAILED:
            self.consecutive_failures = 0
        if self.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            raise StoreUnavailableError(
                f"S3 was unavailable for {MAX_CONSECUTIVE_FAILURES} assets in a row"
            ) from result.error

    async def _delete_uploads(self) -> None:
        finished, self._finished = self._finished, []
        if finished and not self.dry_run:
            keys = [temp_key(asset_id) for asset_id in finished]
            try:
                failures = await self.reconciler.store.delete_objects(keys)
            except StoreError as error:
                failures = dict.fromkeys(keys, str(error))
            if failures:
                self.has_unfinished_work = True
                for listener in self.listeners:
                    listener.on_delete_failed(len(failures), next(iter(failures.values())))
        self._release(finished)

    def _release(self, asset_ids: Sequence[str]) -> None:
        self._enqueued.difference_update(asset_ids)
        self.state.in_progress.difference_update(asset_ids)
