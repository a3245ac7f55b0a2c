"""The slow scan of all open uploads, as a script and as the last step of a run."""

import asyncio

from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs

from assetuploader.errors import StoreError
from assetuploader.open_uploads import list_pages
from reconciler.shards import Shard
from reconciler.upload_scan import MIN_AGE
from tests.protocol.system import Actor, Script, System


def scans_uploads() -> Script:
    """One run of the scan. It goes through the assets in turn, because the scan itself needs an event loop."""

    async def script(system: System, actor: Actor) -> None:
        reconciler = system.reconciler(actor)
        scan = system.code.upload_scan.UploadScan(reconciler, Shard(), lambda: False)
        try:
            pages = [page async for page in list_pages(reconciler.multipart, "uploaded/")]
        except StoreError:
            return
        for page in pages:
            old = {upload.key for upload in page.uploads if upload.initiated_at <= page.server_time - MIN_AGE}
            for key in sorted(old):
                asset_id = key.removeprefix("uploaded/")
                with capture_logs(), bound_contextvars(asset_id=asset_id):
                    await scan.reconcile(asset_id, page.server_time)  # what `run` does for each asset

    return script


def scan_uploads_now(system: System) -> None:
    """Scan at once, without faults."""
    with capture_logs():
        asyncio.run(system.code.upload_scan.UploadScan(system.direct_reconciler(), Shard(), lambda: False).run())
