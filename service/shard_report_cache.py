"""The reconciler's shard reports, read from the bucket in the background, so that a scrape never waits for S3."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog

from assetuploader.errors import ObjectUnreadableError, StoreError
from assetuploader.shard_reports import (
    MAX_REPORT_BYTES,
    REPORTS_PREFIX,
    InvalidReportError,
    ShardReport,
    decode_report,
    is_report_key,
    latest_shard_layout,
)
from assetuploader.store import ShardReportStore

REFRESH_INTERVAL_SECONDS: Final = 15.0
REFRESH_TIMEOUT_SECONDS: Final = 10.0
CONCURRENCY: Final = 8

log = structlog.get_logger()


class ReadOutcome(StrEnum):
    """How the read of a report ended."""

    SUCCESS = "success"
    INVALID = "invalid"
    """The object is not a report: another version wrote it, it is truncated, or it is somebody else's."""
    UNAVAILABLE = "unavailable"


@dataclass(slots=True)
class ShardReportCache:
    """The shard reports as they were last read. They stay while S3 is unavailable, because their times are absolute."""

    store: ShardReportStore
    current: list[ShardReport] = field(default_factory=list)
    """The reports of the latest layout, by shard. Empty until the first run has ended."""
    read_at: datetime | None = None
    """When all reports were last read."""
    reads: dict[ReadOutcome, int] = field(default_factory=lambda: dict.fromkeys(ReadOutcome, 0))
    """How many reads ended in each way since the process started."""

    async def refresh(self, now: datetime) -> None:
        """Read all reports once. Errors of S3 and invalid reports are logged and counted, not raised."""
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_SECONDS):
                keys = await self._list_keys()
                semaphore = asyncio.Semaphore(CONCURRENCY)
                reports = await asyncio.gather(*(self._read(key, semaphore) for key in keys))
        except (StoreError, TimeoutError) as error:
            self.reads[ReadOutcome.UNAVAILABLE] += 1
            reason = str(error) or f"S3 did not respond within {REFRESH_TIMEOUT_SECONDS:.0f} s"
            log.warning("shard_reports_read_failed", reason=reason)
            return
        self.current = latest_shard_layout([report for report in reports if report is not None])
        self.read_at = now

    async def _list_keys(self) -> list[str]:
        page = await self.store.list_objects(REPORTS_PREFIX, REPORTS_PREFIX)
        keys = [listed.key for listed in page.objects]
        while page.is_truncated:
            page = await self.store.list_objects(REPORTS_PREFIX, keys[-1])
            keys += [listed.key for listed in page.objects]
        return [key for key in keys if is_report_key(key)]

    async def _read(self, key: str, semaphore: asyncio.Semaphore) -> ShardReport | None:
        try:
            async with semaphore:
                body = await self.store.get_object(key, MAX_REPORT_BYTES)
            if body is None:
                return None
            report = decode_report(key, body)
        except (ObjectUnreadableError, InvalidReportError) as error:
            self.reads[ReadOutcome.INVALID] += 1
            log.warning("shard_report_invalid", key=key, reason=str(error))
            return None
        self.reads[ReadOutcome.SUCCESS] += 1
        return report
