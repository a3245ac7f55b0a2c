"""A progress bar for runs on a terminal."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from assetuploader.outcome import Outcome

if TYPE_CHECKING:
    from tqdm import tqdm

BAR_FORMAT: Final = "{desc} {elapsed}"
"""There is no bar: the total is unknown, because `temp/` is listed page by page."""

_INTERVAL_SECONDS: Final = 0.2


@asynccontextmanager
async def progress_bar(outcomes: Mapping[Outcome, int], *, is_wanted: bool) -> AsyncIterator[None]:
    """Show on standard error how many assets had which outcome so far, until the block ends."""
    if not is_wanted:
        yield
        return
    from tqdm import tqdm  # noqa: PLC0415 -- a CronJob has no terminal, and does not wait for this import

    with tqdm(desc="listing temp/", bar_format=BAR_FORMAT, leave=False) as progress:
        refreshing = asyncio.create_task(_refresh(progress, outcomes))
        try:
            yield
        finally:
            refreshing.cancel()


async def _refresh(progress: "tqdm[NoReturn]", outcomes: Mapping[Outcome, int]) -> None:
    while True:
        counts = " · ".join(f"{count:,} {outcome.value}" for outcome, count in sorted(outcomes.items()))
        progress.set_description_str(counts or "listing temp/")
        await asyncio.sleep(_INTERVAL_SECONDS)
