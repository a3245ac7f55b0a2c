"""One run: a full pass, then, while time is left, looks at what was uploaded just now."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from assetstore.assets import Assets
from assetstore.errors import StoreUnavailableError
from reconciler.passes import Pass
from reconciler.report import Report, Tally
from reconciler.shards import Shard

YOUNG: Final = timedelta(minutes=1)
"""A mark follows its upload closely; older objects were seen in the full pass."""
STOP_SECONDS: Final = 8.0
"""How long the assets in hand may take after SIGTERM."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Settings:
    """How long a run takes, and what it looks at."""

    shard: Shard = field(default_factory=Shard)
    run_seconds: float = 0
    poll_seconds: float = 5
    budget_seconds: float = 3000
    dry_run: bool = False
    stop_seconds: float = STOP_SECONDS


async def run(
    assets: Assets, settings: Settings, tally: Tally, stop: asyncio.Event, monotonic: Callable[[], float]
) -> Report:
    """Bring the shard's assets as far as they are due, until done, told to stop, or out of budget.

    Raises:
        StoreError: S3 is away, or refuses us; what was done until then is in the tally.
    """
    started = monotonic()

    def should_halt() -> bool:
        return stop.is_set() or monotonic() - started >= settings.budget_seconds

    async def look(younger_than: timedelta | None) -> None:
        one = Pass(assets, settings.shard, tally, should_halt, younger_than, settings.dry_run, monotonic)
        await _finish_in_hand(one, stop, settings.stop_seconds)

    await look(None)
    tally.is_complete = not should_halt()
    while not should_halt():
        left_seconds = min(settings.run_seconds, settings.budget_seconds) - (monotonic() - started)
        if left_seconds <= 0 or await _is_set_within(stop, min(settings.poll_seconds, left_seconds)):
            break
        try:
            await look(YOUNG)
        except StoreUnavailableError as error:  # the full pass is done: the next look may succeed
            log.warning("look_failed", reason=str(error))
    return tally.report()


async def _finish_in_hand(one: Pass, stop: asyncio.Event, stop_seconds: float) -> None:
    """Make the pass; once told to stop, give what is in hand `stop_seconds` to finish."""
    passing = asyncio.create_task(one.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({passing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        done, _ = await asyncio.wait({passing}, timeout=stop_seconds if stop.is_set() else None)
        if done:
            passing.result()
    finally:
        stopping.cancel()
        passing.cancel()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
