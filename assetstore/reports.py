"""The report: one small object per shard, in which the reconciler tells what it did, for the service to export.

A CronJob's pod is gone before Prometheus would ask it. Totals are counted on from the report before, so that they only
ever grow; instants are instants, so that what is late becomes later by itself when no run comes any more.

Nothing of an asset's life depends on a report: it may be missing, old or somebody else's at any time.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError

REPORTS_PREFIX: Final = "reports/"
REPORT_BYTES: Final = 16_384
"""A report has about 2 kB; a longer object is none."""
CONTENT_TYPE: Final = "application/json"
LAG_BOUNDS: Final = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 21_600, 86_400)
"""Upper bounds, in seconds, of the buckets that lags are counted in; one more bucket has the rest."""

_KEY: Final = re.compile(re.escape(REPORTS_PREFIX) + r"[0-9]{4}-of-[0-9]{4}\.json", re.ASCII)


class NotAReportError(ValueError):
    """The object is no report of this schema: an older or newer program's, cut short, or somebody else's."""


class RunEnding(StrEnum):
    """How a run ended."""

    DONE = "done"
    SOME_FAILED = "some_failed"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    MISCONFIGURED = "misconfigured"
    UNFIT = "unfit"
    """The store ignores conditions, so nothing was done."""


class Change(StrEnum):
    """What a run can do to an asset, or fail to do."""

    FINALIZED = "finalized"
    EXPIRED = "expired"
    SWEPT = "swept"
    FAILED = "failed"
    UNDELETED = "undeleted"


class Left(StrEnum):
    """Why something in `temp/` is left as it is."""

    WAITING = "waiting"
    MISMATCHED = "mismatched"
    ORPHANED = "orphaned"
    FOREIGN = "foreign"


class Since(StrEnum):
    """What a lag is counted from, up to the instant at which the asset is final."""

    MARK = "mark"
    DUE = "due"


Count = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _check_length(counts: tuple[int, ...]) -> tuple[int, ...]:
    if len(counts) != len(LAG_BOUNDS) + 1:
        raise ValueError(f"must have {len(LAG_BOUNDS) + 1} counts")
    return counts


@dataclass(frozen=True, slots=True)
class Lags:
    """How long assets took, counted by bucket (not cumulative), and the sum of it all."""

    counts: Annotated[tuple[Count, ...], AfterValidator(_check_length)] = (0,) * (len(LAG_BOUNDS) + 1)
    sum_seconds: Seconds = 0.0

    def with_one(self, lag: timedelta) -> Self:
        """These and one more; a negative lag, two clocks' rounding, counts as none."""
        seconds = max(0.0, lag.total_seconds())
        bucket = bisect_left(LAG_BOUNDS, seconds)
        counts = self.counts
        return type(self)((*counts[:bucket], counts[bucket] + 1, *counts[bucket + 1 :]), self.sum_seconds + seconds)

    def __add__(self, other: "Lags") -> "Lags":
        return Lags(
            tuple(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)),
            self.sum_seconds + other.sum_seconds,
        )


@dataclass(frozen=True, slots=True)
class FinalizeLags:
    """The lags of one kind of asset."""

    mark: Lags = field(default_factory=Lags)
    due: Lags = field(default_factory=Lags)

    def __add__(self, other: "FinalizeLags") -> "FinalizeLags":
        return FinalizeLags(self.mark + other.mark, self.due + other.due)


@dataclass(frozen=True, slots=True)
class Totals:
    """What all runs of a shard did, since its first report."""

    runs: Mapping[RunEnding, Count] = field(default_factory=dict)
    changes: Mapping[Change, Count] = field(default_factory=dict)
    pinned: FinalizeLags = field(default_factory=FinalizeLags)
    unpinned: FinalizeLags = field(default_factory=FinalizeLags)

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            {ending: self.runs.get(ending, 0) + other.runs.get(ending, 0) for ending in RunEnding},
            {change: self.changes.get(change, 0) + other.changes.get(change, 0) for change in Change},
            self.pinned + other.pinned,
            self.unpinned + other.unpinned,
        )


@dataclass(frozen=True, slots=True)
class RunReport:
    """What the last run of one shard did and left, and the totals of all runs."""

    shard: Annotated[int, Field(ge=0)]
    shards: Annotated[int, Field(ge=1, le=4096)]
    started_at: AwareDatetime
    finished_at: AwareDatetime
    ending: RunEnding
    is_complete: bool
    """The full pass over the shard came to its end."""
    last_success_at: AwareDatetime | None
    """When the last run ended that was complete and without a failure."""
    left: Mapping[Left, Count]
    next_due_at: AwareDatetime | None
    """The earliest instant at which an asset that was left marked is due, or was already."""
    totals: Totals
    schema: Literal[1]
    """What this shape is called. A report of another schema is none: the totals then begin anew."""


_ADAPTER: Final = TypeAdapter(RunReport)


def report_key(shard: int, shards: int) -> str:
    """Where the report of this shard is."""
    return f"{REPORTS_PREFIX}{shard:04d}-of-{shards:04d}.json"


def is_report_key(key: str) -> bool:
    """Whether a report may be at this key."""
    return _KEY.fullmatch(key) is not None


def write_report(report: RunReport) -> bytes:
    """The report as JSON."""
    return _ADAPTER.dump_json(report)


def read_report(key: str, body: bytes) -> RunReport:
    """The report that was found at this key.

    Raises:
        NotAReportError: it is none, of another schema, or another shard's.
    """
    try:
        report = _ADAPTER.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise NotAReportError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if key != report_key(report.shard, report.shards):
        raise NotAReportError(f"it says that it is the report of shard {report.shard} of {report.shards}")
    return report


def newest_layout(reports: list[RunReport]) -> list[RunReport]:
    """Those reports that are as many shards' as the newest one's, by shard: resharding leaves old ones behind."""
    if not reports:
        return []
    shards = max(reports, key=lambda report: (report.finished_at, report.shards)).shards
    return sorted((report for report in reports if report.shards == shards), key=lambda report: report.shard)
