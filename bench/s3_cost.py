"""What an asset costs in S3 requests, counted, and what a million assets cost in dollars."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import structlog

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.keys import temp_key
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import Bucket, ObjectAttributes, ObjectInfo
from bench.bucket import opened
from reconciler.run import Run, RunOptions, check_nothing
from reconciler.shards import Shard

READS: Final = frozenset({"HeadObject", "GetObject"})
FREE: Final = frozenset({"DeleteObject", "DeleteObjects"})


@dataclass(frozen=True, slots=True)
class StorageClass:
    """Request prices in dollars per thousand: Amazon's list for us-east-1, 2025."""

    name: str
    write: float
    read: float


STANDARD: Final = StorageClass("Standard", 0.005, 0.0004)
CLASSES: Final = (
    STANDARD,
    StorageClass("Intelligent-Tiering", 0.005, 0.0004),
    StorageClass("Standard-IA", 0.01, 0.001),
    StorageClass("Glacier Instant Retrieval", 0.02, 0.01),
)


@dataclass(frozen=True, slots=True)
class LifecycleCost:
    """The S3 requests of the programs per asset that is marked with a pin at once, and read once."""

    calls: Mapping[str, float]

    @property
    def total(self) -> float:
        """All calls."""
        return sum(self.calls.values())

    def dollars_per_million(self, final: StorageClass) -> float:
        """Return the price of the requests for a million assets, if final ones are of this class and all else Standard.

        The copy is priced in the class it writes, the HEAD of a final asset in the class it reads.
        """
        writes = sum(number for name, number in self.calls.items() if name not in READS | FREE)
        reads = sum(number for name, number in self.calls.items() if name in READS)
        in_standard = (writes - 1) * STANDARD.write + (reads - 1) * STANDARD.read
        return (in_standard + final.write + final.read) * 1000


def measure_lifecycle(assets: int) -> LifecycleCost:
    """Take `assets` assets through their lifecycle in the environment's bucket, and count the requests."""
    return asyncio.run(_measure_lifecycle(assets))


async def _measure_lifecycle(assets: int) -> LifecycleCost:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # no line for each asset
    counted: Counter[str] = Counter()
    uploads: list[ObjectInfo | None] = []

    async with opened(lambda call: counted.update((call.operation,))) as bucket, opened() as client:
        service = AssetService(bucket.store, bucket.presigner, LifecyclePolicy(), uuid4, lambda: os.urandom(16))
        ids = [(await service.create()).asset_id for _ in range(assets)]
        for asset_id in ids:
            await client.store.put_object(temp_key(asset_id), asset_id.encode() * 30, ObjectAttributes())
            uploads.append(await client.store.head_object(temp_key(asset_id)))
        for asset_id, upload in zip(ids, uploads, strict=True):
            await service.mark(asset_id, upload.etag if upload else None, datetime.now(UTC))
        await reconcile_once(bucket)
        for asset_id in ids:
            await service.resolve(asset_id, 60, datetime.now(UTC))
    return LifecycleCost({name: number / assets for name, number in sorted(counted.items())})


async def reconcile_once(bucket: Bucket) -> None:
    """Run the reconciler once over the whole bucket, without its hourly scan."""
    options = RunOptions(Shard(), watch_seconds=0, poll_interval_seconds=1, max_run_seconds=600)
    now = asyncio.get_running_loop().time
    reconciler = AssetReconciler(bucket.store, bucket.multipart, LifecyclePolicy(), lambda: os.urandom(16))
    await Run(reconciler, options, (), check_nothing, asyncio.Event(), now, _find_now).run()


async def _find_now() -> datetime:
    """Return a scan a moment ago, so that the run has no hourly scan."""
    return datetime.now(UTC)
