"""A progress bar for runs that a person watches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from reconciler.report import Tally

_INTERVAL_SECONDS: Final = 0.2


@asynccontextmanager
async def showing_progress(tally: Tally, *, is_wanted: bool) -> AsyncIterator[None]:
    """Show on standard error what the tally counts, while it does.

    How many there will be nobody knows: `temp/` is listed page by page.
    """
    if not is_wanted:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        refreshing = asyncio.create_task(_refresh(progress, progress.add_task("listing temp/"), tally))
        try:
            yield
        finally:
            refreshing.cancel()


async def _refresh(progress: Progress, task: TaskID, tally: Tally) -> None:
    while True:
        counts = " · ".join(f"{count:,} {outcome.value}" for outcome, count in sorted(tally.outcomes.items()))
        progress.update(task, description=counts or "listing temp/")
        await asyncio.sleep(_INTERVAL_SECONDS)
