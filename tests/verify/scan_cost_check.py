"""The check of what waiting uploads cost, and of when marks are found: a simulated day of the real reconciler.

The real run, scan and asset service work on the in-memory S3, in virtual time. The time of the last full scan passes
from run to run, as the shard report passes it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Final
from uuid import UUID

import structlog

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.errors import StoreUnavailableError
from assetuploader.keys import uploaded_key
from assetuploader.state_machine import LifecyclePolicy
from reconciler.run import Run, RunOptions
from reconciler.shards import Shard
from tests.support.in_memory_s3 import START, InMemoryS3
from tests.support.virtual_time import VirtualTimeLoop, run_in_virtual_time
from tests.verify.check import CheckOutcome, print_progress

DAY_SECONDS: Final = 86_400
MAX_HEADS: Final = 170
MAX_WAIT_SECONDS: Final = 600
POLL_INTERVAL_SECONDS: Final = 5
START_SECONDS: Final = 4
"""The pod of a run starts up to this long after its minute."""
WATCHED_MINUTES: Final = 30
"""Runs watch only for so long, to save time: polls read recent uploads, and all uploads are of the first minute."""
POLICY: Final = LifecyclePolicy(finalize_at_once_bytes=0)
"""Everything that is marked is left to the reconciler."""


@dataclass(frozen=True, slots=True)
class Cron:
    """When runs start, and how they go wrong."""

    minutes: int = 1
    watch_seconds: float = 0
    missing: float = 0
    """The share of runs that do not take place."""
    failing: float = 0
    """The share of runs that fail because S3 is unavailable."""
    reads_everything: bool = False
    """No run knows when the scan before was, so that each reads every upload."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of an asset, this many seconds after its upload."""

    asset_id: str
    seconds: float
    is_pinned: bool


@dataclass(slots=True)
class ClockedS3(InMemoryS3):
    """An S3 with the clock of the loop."""

    loop: VirtualTimeLoop = field(kw_only=True)
    finalized_at: dict[str, datetime] = field(default_factory=dict)

    def _enter(self, operation: str, key: str) -> None:
        self.now = START + timedelta(seconds=self.loop.time())
        if operation == "copy_object":
            self.finalized_at[key] = self.now
        InMemoryS3._enter(self, operation, key)  # noqa: SLF001 -- the base class's, which slots hide from super()


@dataclass(frozen=True, slots=True)
class Day:
    """A day that was simulated."""

    heads: int
    """HeadObject requests for the upload that nobody marks."""
    waits: Sequence[float]
    """Seconds from when each asset was marked and due until it was final."""
    longest_gap: float
    """The longest time between two runs that did not fail, in seconds."""


async def simulate(loop: VirtualTimeLoop, cron: Cron, marks: Sequence[Mark], seed: int) -> Day:
    """Create one asset that is never marked, and those that are; let the CronJob run for a day."""
    random = Random(seed)  # noqa: S311 -- reproducible
    s3 = ClockedS3(loop=loop)
    unmarked = str(UUID(int=random.getrandbits(128), version=4))
    ids = iter([unmarked, *(mark.asset_id for mark in marks)])
    service = AssetService(s3, s3, POLICY, lambda: UUID(next(ids)), lambda: random.randbytes(16))
    reconciler = AssetReconciler(s3, s3, POLICY, lambda: random.randbytes(16))
    running = asyncio.create_task(_run_cron(loop, reconciler, cron, random))
    await asyncio.sleep(random.uniform(0, 60))
    s3.put((await service.create()).upload.url, b"unmarked")
    due_at: dict[str, datetime] = {}
    for mark in marks:
        created = await service.create()
        etag = s3.put(created.upload.url, mark.asset_id.encode())
        usual_at = created.upload.expires_at + timedelta(seconds=POLICY.grace_seconds)
        marked_at = s3.now + timedelta(seconds=mark.seconds)
        due_at[mark.asset_id] = marked_at if mark.is_pinned else max(marked_at, usual_at)
        pin = etag if mark.is_pinned else None
        loop.call_later(mark.seconds, _mark, loop, service, mark.asset_id, pin, s3)
    s3.calls.clear()
    started = await running
    waits = [(s3.finalized_at[uploaded_key(name)] - at).total_seconds() for name, at in due_at.items()]
    heads = Counter(key for operation, key in s3.calls if operation == "head_object")
    return Day(heads[uploaded_key(unmarked)], waits, max(later - at for at, later in pairwise(started)))


def _mark(loop: VirtualTimeLoop, service: AssetService, asset_id: str, pin: str | None, s3: ClockedS3) -> None:
    loop.create_task(service.mark(asset_id, pin, s3.now))


async def _run_cron(loop: VirtualTimeLoop, reconciler: AssetReconciler, cron: Cron, random: Random) -> list[float]:
    """Start runs for a day; return when those started that did not fail."""
    full_scan_at: datetime | None = None
    is_away = False
    started = []

    async def find_previous_scan() -> datetime | None:
        return None if cron.reads_everything else full_scan_at

    async def check_store() -> None:
        if is_away:
            raise StoreUnavailableError("away")

    minute = 0
    while (start := 60 * minute + random.uniform(0, START_SECONDS)) < DAY_SECONDS:
        await asyncio.sleep(start - loop.time())
        minute += cron.minutes
        if random.random() < cron.missing:
            continue
        is_away = random.random() < cron.failing
        watch_seconds = cron.watch_seconds if minute < WATCHED_MINUTES else 0
        options = RunOptions(Shard(), watch_seconds, POLL_INTERVAL_SECONDS, max_run_seconds=3000)
        run = Run(reconciler, options, [], check_store, asyncio.Event(), loop.time, find_previous_scan)
        try:
            await run.run()
        except StoreUnavailableError:
            continue
        full_scan_at = run.full_scan_at
        started.append(start)
    return started


def check_scan_cost(number: int) -> CheckOutcome:
    """Simulate days with `number` assets that are marked: half of them soon, half of them late."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    random = Random(number)  # noqa: S311 -- reproducible
    new_id = (str(UUID(int=random.getrandbits(128), version=4)) for _ in range(number)).__next__
    soon = [Mark(new_id(), random.uniform(0, 800), is_pinned=False) for _ in range(number // 2)]
    late = [Mark(new_id(), random.uniform(1200, DAY_SECONDS - 7200), is_pinned=True) for _ in range(number // 2)]
    violations: list[str] = []

    def run(name: str, cron: Cron, marks: Sequence[Mark], max_wait: float, *, max_heads: float = MAX_HEADS) -> Day:
        day = run_in_virtual_time(lambda loop: simulate(loop, cron, marks, seed=number + 1))
        is_regular = cron.missing == cron.failing == 0
        limit = max_wait + (START_SECONDS if is_regular else day.longest_gap - 60 * cron.minutes)
        longest = max(day.waits, default=0)
        print_progress(f"{name}: {day.heads} HEADs of an unmarked upload, longest wait {longest:.0f} s")
        if day.heads > max_heads:
            violations.append(f"{name}: {day.heads} HEADs of an unmarked upload, more than {max_heads}")
        if longest > limit:
            violations.append(f"{name}: an asset waited {longest:.0f} s, longer than {limit:.0f} s")
        return day

    minute, five, broken = Cron(), Cron(minutes=5), Cron(missing=0.1, failing=0.1)
    before = run("every upload in every scan", Cron(watch_seconds=55, reads_everything=True), [], 0, max_heads=1460)
    after = run("by age", Cron(watch_seconds=55), [], 0)
    on_time = run("due at the usual time", minute, soon, 60)
    late_mark = run("marked late", minute, late, MAX_WAIT_SECONDS)
    run("due at the usual time, a run every 5 minutes", five, soon, 300)
    late_five = run("marked late, a run every 5 minutes", five, late, MAX_WAIT_SECONDS)
    run("due at the usual time, runs missing", broken, soon, 60)
    late_broken = run("marked late, runs missing", broken, late, MAX_WAIT_SECONDS)
    size = (
        f"HEADs of an unmarked upload in a day: {after.heads}, {before.heads} if every scan reads it; "
        f"{number:,} assets, longest waits: due at the usual time {max(on_time.waits):.0f} s, "
        f"marked late {max(late_mark.waits):.0f} s, with a run every 5 minutes {max(late_five.waits):.0f} s, "
        f"with a fifth of the runs missing or failing {max(late_broken.waits):.0f} s "
        f"({late_broken.longest_gap:.0f} s between two runs)"
    )
    return CheckOutcome(size, violations)
