"""A progress bar for runs on a terminal."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from assetuploader.outcome import Outcome

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_INTERVAL_SECONDS: Final = 0.2


@asynccontextmanager
async def progress_bar(outcomes: Mapping[Outcome, int], *, is_wanted: bool) -> AsyncIterator[None]:
    """Show on standard error how many assets had which outcome so far, until the block ends.

    The total is unknown, because `temp/` is listed page by page.
    """
    if not is_wanted:
        yield
        return
    # Imported here: it takes 20 ms, and a CronJob has no terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        refreshing = asyncio.create_task(_refresh(progress, progress.add_task("listing temp/"), outcomes))
        try:
            yield
        finally:
            refreshing.cancel()


async def _refresh(progress: "Progress", task: "TaskID", outcomes: Mapping[Outcome, int]) -> None:
    while True:
        counts = " · ".join(f"{count:,} {outcome.value}" for outcome, count in sorted(outcomes.items()))
        progress.update(task, description=counts or "listing temp/")
        await asyncio.sleep(_INTERVAL_SECONDS)
