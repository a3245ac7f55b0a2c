"""One pass over a shard of `temp/`: list by pages, reconcile with bounded concurrency, delete garbage in batches.

Memory is flat: a page and a queue of one page's length, however many objects there are.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from assetstore.assets import Assets, Outcome, reconcile
from assetstore.door import Page
from assetstore.errors import StoreError, StoreUnavailableError
from assetstore.protocol import TEMP_PREFIX, is_asset_id, temp_key
from reconciler.report import Tally
from reconciler.shards import Shard

CONCURRENCY: Final = 32
BATCH: Final = 1000
"""As many keys as one DeleteObjects takes, and as one page of a listing has."""
LOST_AFTER: Final = 3 * CONCURRENCY
"""As many assets in a row that S3 did not answer for: it is away, and the run ends."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass looks at, and where it counts."""

    assets: Assets
    shard: Shard
    tally: Tally
    should_halt: Callable[[], bool]
    """Asked before each asset: a stop, or a spent budget."""
    younger_than: timedelta | None = None
    """Only objects that were written this short a time before they are listed; None: all of them."""
    dry_run: bool = False
    monotonic: Callable[[], float] = time.monotonic

    async def run(self) -> None:
        """Make the pass.

        Raises:
            StoreError: the listing failed, or S3 went away in the middle.
        """
        pass_ = _Running(self)
        failures: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(pass_.work())
                await pass_.feed()
        except* StoreError as errors:
            failures.extend(errors.exceptions)
        finally:
            await pass_.delete()
        if failures:  # raised in an except*, it would come in a group of its own before Python 3.11.4
            raise failures[0]


@dataclass(frozen=True, slots=True)
class _Item:
    asset_id: str
    listed_at: datetime
    """S3's clock."""
    listed_on: float
    """The same instant on this process' clock, which runs on while the asset waits for its turn."""


@dataclass(slots=True)
class _Running:
    given: Pass
    queue: asyncio.Queue[_Item | None] = field(default_factory=lambda: asyncio.Queue(BATCH))
    garbage: list[str] = field(default_factory=list)
    unanswered: int = 0

    async def feed(self) -> None:
        given = self.given
        start_after = given.shard.start_after
        while True:
            page = await given.assets.door.list_page(TEMP_PREFIX, start_after)
            is_last = await self._feed_page(page)
            if is_last or given.should_halt():
                break
            start_after = page.objects[-1].key
        for _ in range(CONCURRENCY):
            await self.queue.put(None)

    async def _feed_page(self, page: Page) -> bool:
        given = self.given
        listed_on = given.monotonic()
        for listed in page.objects:
            if not given.shard.holds(listed.key) or given.should_halt():
                return True
            if given.younger_than is not None and listed.last_modified < page.listed_at - given.younger_than:
                continue
            asset_id = listed.key.removeprefix(TEMP_PREFIX)
            if is_asset_id(asset_id):
                await self.queue.put(_Item(asset_id, page.listed_at, listed_on))
            elif given.younger_than is None:
                given.tally.foreign += 1
        return page.is_last

    async def work(self) -> None:
        while (item := await self.queue.get()) is not None:
            if not self.given.should_halt():
                bind_contextvars(asset_id=item.asset_id)  # this worker's own context
                await self._reconcile(item)
            if len(self.garbage) >= BATCH:
                unbind_contextvars("asset_id")
                await self.delete()

    async def _reconcile(self, item: _Item) -> None:
        given, asset_id, now = self.given, item.asset_id, item.listed_at
        try:
            done = await reconcile(given.assets, asset_id, now, dry_run=given.dry_run)
        except Exception as error:  # one asset's failure never stops the others
            due_at = error.due_at if isinstance(error, StoreError) else None
            given.tally.add_failed(asset_id, due_at, now)
            is_ours = not isinstance(error, StoreError)
            log.warning("asset_failed", reason=str(error), exc_info=error if is_ours else None)
            self.unanswered += isinstance(error, StoreUnavailableError)
            if self.unanswered >= LOST_AFTER:
                raise StoreUnavailableError(f"S3 did not answer for {LOST_AFTER} assets in a row") from error
            return
        self.unanswered = 0
        given.tally.add(asset_id, done, now, is_full_pass=given.younger_than is None)
        if done.is_garbage:  # the asset's life is over, so this run changed something
            self.garbage.append(temp_key(asset_id))
            done_at = now + timedelta(seconds=given.monotonic() - item.listed_on)
            if done.outcome is Outcome.FINALIZED:
                given.tally.add_final(done, done_at)
            log.info(
                "asset_reconciled",
                outcome=done.outcome.value,
                **({"pinned": done.is_pinned} if done.outcome is Outcome.FINALIZED else {}),
                **({"late_seconds": round((done_at - done.due_at).total_seconds(), 1)} if done.due_at else {}),
                dry_run=given.dry_run,
            )
        else:
            log.debug("asset_left", outcome=done.outcome.value, due_at=done.due_at.isoformat() if done.due_at else None)

    async def delete(self) -> None:
        garbage, self.garbage = self.garbage, []
        if not garbage or self.given.dry_run:
            return
        try:
            failed = await self.given.assets.door.delete_many(garbage)
        except StoreError as error:
            failed = dict.fromkeys(garbage, str(error))
        if failed:
            self.given.tally.undeleted += len(failed)
            log.warning("garbage_not_deleted", count=len(failed), reason=next(iter(failed.values())))
