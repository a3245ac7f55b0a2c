"""What an asset's life costs in calls to S3, counted, and a million lives in dollars."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import structlog

from assetstore.assets import Assets, create, mark, resolve
from assetstore.calls import Called
from assetstore.protocol import Rules, temp_key
from assetstore.s3.connect import connect
from reconciler.report import Tally
from reconciler.run import Settings, run

LIVES: Final = 1000
READS: Final = frozenset({"HeadObject", "GetObject"})
FREE: Final = frozenset({"DeleteObjects"})


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
class Life:
    """How often S3 is called in an asset's life that is marked with a pin at once, and read once."""

    calls: Mapping[str, float]

    @property
    def total(self) -> float:
        """All calls."""
        return sum(self.calls.values())

    def dollars_per_million(self, final: StorageClass) -> float:
        """What a million such lives cost in requests, when final assets are of this class and all else is Standard.

        The copy is priced in the class it writes, the HEAD of a final asset in the class it reads.
        """
        writes = sum(number for name, number in self.calls.items() if name not in READS | FREE)
        reads = sum(number for name, number in self.calls.items() if name in READS)
        in_standard = (writes - 1) * STANDARD.write + (reads - 1) * STANDARD.read
        return (in_standard + final.write + final.read) * 1000


def measure_life(environment: Mapping[str, str]) -> Life:
    """Live so many lives, and count."""
    os.environ.update(environment)
    return asyncio.run(_live(environment))


async def _live(environment: Mapping[str, str]) -> Life:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # not a line for each asset
    counted: Counter[str] = Counter()
    setting_up: list[str] = []

    def count(called: Called) -> None:
        if not setting_up:
            counted[called.operation] += 1

    bucket = connect(environment["AWS_REGION"], environment["AWS_BUCKET"], None, observe=count)
    assets = Assets(bucket.door, bucket.signer, Rules(), uuid4, lambda: os.urandom(16))
    ids = [(await create(assets)).asset_id for _ in range(LIVES)]
    for asset_id in ids:
        setting_up.append("the client's own upload")
        await bucket.reports.put(temp_key(asset_id), asset_id.encode(), "text/plain")
        upload = await bucket.door.head(temp_key(asset_id))
        setting_up.clear()
        await mark(assets, asset_id, upload.etag if upload else None)
    await run(assets, Settings(), Tally(), asyncio.Event(), asyncio.get_running_loop().time)
    for asset_id in ids:
        await resolve(assets, asset_id, 60, datetime.now(UTC))
    await bucket.close()
    return Life({name: number / LIVES for name, number in sorted(counted.items())})
