"""One scan of a shard of `temp/`: list pages, reconcile with bounded concurrency, delete uploads in batches.

Memory is constant: one page and a queue of one page's length, however many objects there are.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from assetuploader.asset_service import AssetService, ReconcileResult
from assetuploader.errors import StoreError, StoreUnavailableError
from assetuploader.keys import TEMP_PREFIX, is_asset_id, temp_key
from assetuploader.outcome import Outcome
from assetuploader.store import ListPage
from reconciler.listeners import ReconciledAsset, ScanListener
from reconciler.shards import Shard

CONCURRENCY: Final = 32
BATCH_SIZE: Final = 1000
"""The number of keys in one DeleteObjects request, and in one page of a listing."""
MAX_CONSECUTIVE_FAILURES: Final = 3 * CONCURRENCY
"""The run ends when S3 was unavailable for this many assets in a row."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkItem:
    """An asset that waits in the queue."""

    asset_id: str
    listed_at: datetime
    """S3's clock."""
    listed_at_monotonic: float
    """The same time on the clock of this process, which advances while the asset waits."""


@dataclass(slots=True)
class Scan:
    """One scan. It can run once."""

    service: AssetService
    shard: Shard
    listeners: Sequence[ScanListener]
    should_stop: Callable[[], bool]
    """Called before each asset. It returns whether the run was stopped or is out of time."""
    max_age: timedelta | None = None
    """Only objects that were written within this time before they are listed; None: all."""
    dry_run: bool = False
    monotonic: Callable[[], float] = time.monotonic
    consecutive_failures: int = field(init=False, default=0)
    _queue: "asyncio.Queue[WorkItem | None]" = field(init=False, default_factory=lambda: asyncio.Queue(BATCH_SIZE))
    _finished_uploads: list[str] = field(init=False, default_factory=list)

    async def run(self) -> None:
        """Scan the shard.

        Raises:
            StoreError: The listing failed, or S3 became unavailable.
        """
        failures: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(self._worker())
                await self._enqueue()
        except* StoreError as errors:
            failures.extend(errors.exceptions)
        finally:
            await self._delete_uploads()
        if failures:  # an error raised in an except* would arrive in a group of its own before Python 3.11.4
            raise failures[0]

    async def _enqueue(self) -> None:
        start_after = self.shard.start_after
        while True:
            page = await self.service.store.list_objects(TEMP_PREFIX, start_after)
            has_more = await self._enqueue_page(page)
            if not has_more or self.should_stop():
                break
            start_after = page.objects[-1].key
        for _ in range(CONCURRENCY):
            await self._queue.put(None)

    async def _enqueue_page(self, page: ListPage) -> bool:
        """Enqueue the assets of this page, and return whether another page of the shard follows."""
        listed_at_monotonic = self.monotonic()
        for listed in page.objects:
            if not self.shard.holds(listed.key) or self.should_stop():
                return False
            if self.max_age is not None and listed.last_modified < page.server_time - self.max_age:
                continue
            asset_id = listed.key.removeprefix(TEMP_PREFIX)
            if is_asset_id(asset_id):
                await self._queue.put(WorkItem(asset_id, page.server_time, listed_at_monotonic))
            elif self.max_age is None:
                for listener in self.listeners:
                    listener.on_unrecognized_key()
        return page.is_truncated

    async def _worker(self) -> None:
        while (item := await self._queue.get()) is not None:
            if not self.should_stop():
                bind_contextvars(asset_id=item.asset_id)  # in the context of this worker
                await self._reconcile(item)
                unbind_contextvars("asset_id")
            if len(self._finished_uploads) >= BATCH_SIZE:
                await self._delete_uploads()

    async def _reconcile(self, item: WorkItem) -> None:
        try:
            result = await self.service.reconcile(item.asset_id, item.listed_at, dry_run=self.dry_run)
        except Exception as error:  # a defect of ours in one asset never stops the others
            log.warning("asset_failed", reason=str(error), exc_info=error)
            result = ReconcileResult(Outcome.FAILED)
        else:
            self._count_failure(result)
        if result.delete_upload:
            self._finished_uploads.append(temp_key(item.asset_id))
        elapsed = timedelta(seconds=self.monotonic() - item.listed_at_monotonic)
        asset = ReconciledAsset(
            item.asset_id, result, item.listed_at, item.listed_at + elapsed, is_full_scan=self.max_age is None
        )
        for listener in self.listeners:
            listener.on_result(asset)
        if self.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            raise StoreUnavailableError(
                f"S3 was unavailable for {MAX_CONSECUTIVE_FAILURES} assets in a row"
            ) from result.error

    def _count_failure(self, result: ReconcileResult) -> None:
        if result.error is None:
            self.consecutive_failures = 0
        elif isinstance(result.error, StoreUnavailableError):
            self.consecutive_failures += 1

    async def _delete_uploads(self) -> None:
        keys, self._finished_uploads = self._finished_uploads, []
        if not keys or self.dry_run:
            return
        try:
            failures = await self.service.store.delete_objects(keys)
        except StoreError as error:
            failures = dict.fromkeys(keys, str(error))
        if failures:
            for listener in self.listeners:
                listener.on_delete_failed(len(failures), next(iter(failures.values())))
