"""The reconciler's reports, read from the bucket in the background, so that a scrape never waits for S3."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog

from assetstore.door import ReportStore
from assetstore.errors import StoreError
from assetstore.reports import (
    REPORT_BYTES,
    REPORTS_PREFIX,
    NotAReportError,
    RunReport,
    is_report_key,
    newest_layout,
    read_report,
)

REFRESH_SECONDS: Final = 15.0
READ_SECONDS: Final = 10.0
AT_ONCE: Final = 8

log = structlog.get_logger()


class Reading(StrEnum):
    """What came of reading a report."""

    READ = "read"
    UNREADABLE = "unreadable"
    """Something is there that is no report: old, cut short, or somebody else's."""
    UNAVAILABLE = "unavailable"


@dataclass(slots=True)
class Reports:
    """What the reports said when they were last read; kept when S3 is away, for their instants stay true."""

    door: ReportStore
    current: list[RunReport] = field(default_factory=list)
    """The newest layout's, by shard. None at all until the first run has ended."""
    read_at: datetime | None = None
    """When all were last read."""
    readings: dict[Reading, int] = field(default_factory=lambda: dict.fromkeys(Reading, 0))
    """How often, since the process started, what came of it."""

    async def refresh(self, now: datetime) -> None:
        """Read all reports once. Whatever is there, and whether S3 is, nothing is raised."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                page = await self.door.list_page(REPORTS_PREFIX, REPORTS_PREFIX)
                keys = [listed.key for listed in page.objects if is_report_key(listed.key)]
                turns = asyncio.Semaphore(AT_ONCE)
                found = await asyncio.gather(*(self._read(key, turns) for key in keys))
        except (StoreError, TimeoutError) as error:
            self.readings[Reading.UNAVAILABLE] += 1
            log.warning("reports_not_read", reason=str(error) or f"S3 did not answer within {READ_SECONDS:.0f} s")
            return
        self.current = newest_layout([report for report in found if report is not None])
        self.read_at = now

    async def _read(self, key: str, turns: asyncio.Semaphore) -> RunReport | None:
        async with turns:
            body = await self.door.get(key, REPORT_BYTES)
        if body is None:
            return None
        try:
            report = read_report(key, body)
        except NotAReportError as error:
            self.readings[Reading.UNREADABLE] += 1
            log.warning("report_unreadable", key=key, reason=str(error))
            return None
        self.readings[Reading.READ] += 1
        return report
