"""The slow scan of open multipart uploads. It aborts those that no asset waits for.

Scans of `temp/` find each asset that may have an open upload. They miss two cases: a request to S3 that takes effect
after the abort, and an asset whose objects somebody deleted. S3 charges for such parts, and no listing of objects shows
them. So once an hour all open uploads are listed. The lifecycle rule in docs/iam/lifecycle.json is the second net.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

import structlog
from structlog.contextvars import bind_contextvars

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.errors import StoreError
from assetuploader.keys import UPLOADED_PREFIX, is_asset_id, uploaded_key
from assetuploader.multipart_check import CHECK_MULTIPART_KEY
from assetuploader.open_uploads import abort_uploads, list_pages
from assetuploader.outcome import CHANGES, Outcome
from assetuploader.placeholders import has_object
from assetuploader.shard_reports import OpenUploads
from assetuploader.store import OpenUploadPage
from reconciler.shards import Shard

CONCURRENCY: Final = 16
MIN_AGE: Final = timedelta(hours=1)
"""Younger uploads are left to scans of `temp/`, which abort those of ended assets sooner."""

log = structlog.get_logger()


class UploadOutcome(Enum):
    """What the scan did about an upload."""

    WAITING = auto()
    """Its asset waits for parts."""
    ABORTED = auto()
    FAILED = auto()
    """Nobody waits for it, and it could not be aborted."""


def is_upload_scan_due(previous_at: datetime | None, scan_at: datetime) -> bool:
    """Return whether another hour began since the full scan before. Without one, it is due."""
    return previous_at is None or previous_at.replace(minute=0, second=0, microsecond=0) != scan_at.replace(
        minute=0, second=0, microsecond=0
    )


@dataclass(frozen=True, slots=True)
class UploadScan:
    """One scan of the open uploads of a shard. It lists all of them: stores list ranges of keys in different ways."""

    reconciler: AssetReconciler
    shard: Shard
    should_stop: Callable[[], bool]
    dry_run: bool = False

    async def run(self) -> OpenUploads | None:
        """Abort what nobody waits for, and return what remains; None when the listing failed or was stopped.

        A failure is logged and fails no run: other assets do not depend on it, and a store without multipart uploads
        has none.
        """
        outcomes = dict.fromkeys(UploadOutcome, 0)
        try:
            async for page in list_pages(self.reconciler.multipart, UPLOADED_PREFIX):
                for outcome in await self._scan_page(page):
                    outcomes[outcome] += 1
                if self.should_stop():
                    return None
        except StoreError as error:
            log.warning("open_uploads_scan_failed", reason=str(error))
            return None
        pending, aborted, ended = outcomes.values()
        if aborted or ended:
            log.info("open_uploads_scanned", pending=pending, aborted=aborted, not_aborted=ended, dry_run=self.dry_run)
        return OpenUploads(pending, ended)

    async def _scan_page(self, page: OpenUploadPage) -> list[UploadOutcome]:
        old, waiting = set[str](), 0
        for upload in page.uploads:
            asset_id = upload.key.removeprefix(UPLOADED_PREFIX)
            is_old = upload.initiated_at <= page.server_time - MIN_AGE
            if upload.key == CHECK_MULTIPART_KEY:
                if is_old and not self.dry_run:  # a program was killed during its check
                    await self.reconciler.multipart.abort_multipart_upload(upload.key, upload.upload_id)
            elif not is_asset_id(asset_id) or not self.shard.holds_id(asset_id):
                continue
            elif is_old:
                old.add(asset_id)
            else:
                waiting += 1
        limit = asyncio.Semaphore(CONCURRENCY)

        async def reconcile(asset_id: str) -> UploadOutcome:
            async with limit:
                return await self.reconcile(asset_id, page.server_time)

        return [UploadOutcome.WAITING] * waiting + await asyncio.gather(*map(reconcile, sorted(old)))

    async def reconcile(self, asset_id: str, now: datetime) -> UploadOutcome:
        """Abort the uploads of one asset, unless it waits for parts. It does not raise a `StoreError`."""
        bind_contextvars(asset_id=asset_id)  # in the context of this task
        try:
            result = await self.reconciler.reconcile(asset_id, now, dry_run=self.dry_run)
            if result.error is not None:
                raise result.error
            is_missing = result.outcome is Outcome.ORPHANED and not await has_object(self.reconciler.store, asset_id)
            if result.outcome not in CHANGES and not is_missing:
                return UploadOutcome.WAITING
            if self.dry_run:
                return UploadOutcome.FAILED
            await abort_uploads(self.reconciler.multipart, uploaded_key(asset_id))
        except StoreError as error:
            log.warning("upload_abort_failed", reason=str(error))
            return UploadOutcome.FAILED
        return UploadOutcome.ABORTED
