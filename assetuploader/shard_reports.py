"""Shard reports: one small object per shard with what the reconciler did, which the service exports as metrics.

The pod of a CronJob is gone before Prometheus scrapes it. Each report continues the counters of the one before, so that
they only grow. Times are absolute, so that a missing run shows as a growing delay.

No asset depends on a report: one may be missing, old or somebody else's at any time. The next run then reads more
uploads than it must.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError

from assetuploader.errors import StoreErrorKind
from assetuploader.outcome import COUNTED, Outcome

REPORTS_PREFIX: Final = "reports/"
MAX_REPORT_BYTES: Final = 16_384
"""A report has about 2 kB. A longer object is not a report."""
REPORT_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json"}
LAG_BUCKETS: Final = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 21_600, 86_400)
"""Upper bounds of the buckets of a latency histogram, in seconds. One more bucket holds the rest."""

_KEY: Final = re.compile(re.escape(REPORTS_PREFIX) + r"[0-9]{4}-of-[0-9]{4}\.json", re.ASCII)


class InvalidReportError(ValueError):
    """The object is not a report of this schema: of another version, truncated, or somebody else's."""


class RunOutcome(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    PARTIAL_FAILURE = "partial_failure"
    """Some assets failed, or some uploads could not be deleted."""
    UNAVAILABLE = "unavailable"
    ACCESS_DENIED = "access_denied"
    MISCONFIGURED = "misconfigured"
    UNSUPPORTED_STORE = "unsupported_store"
    """The store ignores conditions, so nothing was done."""


RUN_OUTCOMES: Final[Mapping[StoreErrorKind, RunOutcome]] = {
    StoreErrorKind.UNAVAILABLE: RunOutcome.UNAVAILABLE,
    StoreErrorKind.ACCESS_DENIED: RunOutcome.ACCESS_DENIED,
    StoreErrorKind.MISCONFIGURED: RunOutcome.MISCONFIGURED,
    StoreErrorKind.UNSUPPORTED: RunOutcome.UNSUPPORTED_STORE,
}
"""The outcome of a run that a store error stopped."""


class LagOrigin(StrEnum):
    """The event at which a finalize latency begins. It ends when the asset is final."""

    MARK = "mark"
    DUE = "due"


Count = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _check_length(counts: tuple[int, ...]) -> tuple[int, ...]:
    if len(counts) != len(LAG_BUCKETS) + 1:
        raise ValueError(f"must have {len(LAG_BUCKETS) + 1} counts")
    return counts


@dataclass(frozen=True, slots=True)
class LatencyHistogram:
    """A histogram of finalize latencies: a count for each bucket (not cumulative), and the sum."""

    counts: Annotated[tuple[Count, ...], AfterValidator(_check_length)] = (0,) * (len(LAG_BUCKETS) + 1)
    sum_seconds: Seconds = 0.0

    def observe(self, latency: timedelta) -> Self:
        """Return this histogram with one more observation. A negative latency, from two clocks, counts as zero."""
        seconds = max(0.0, latency.total_seconds())
        bucket = bisect_left(LAG_BUCKETS, seconds)
        counts = self.counts
        return type(self)((*counts[:bucket], counts[bucket] + 1, *counts[bucket + 1 :]), self.sum_seconds + seconds)

    def __add__(self, other: "LatencyHistogram") -> "LatencyHistogram":
        return LatencyHistogram(
            tuple(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)),
            self.sum_seconds + other.sum_seconds,
        )


@dataclass(frozen=True, slots=True)
class FinalizeLatencies:
    """The latencies of pinned or of unpinned assets, one histogram for each origin."""

    mark: LatencyHistogram = field(default_factory=LatencyHistogram)
    due: LatencyHistogram = field(default_factory=LatencyHistogram)

    def __add__(self, other: "FinalizeLatencies") -> "FinalizeLatencies":
        return FinalizeLatencies(self.mark + other.mark, self.due + other.due)


@dataclass(frozen=True, slots=True)
class Counters:
    """What all runs of a shard did since its first report."""

    runs: Mapping[RunOutcome, Count] = field(default_factory=dict)
    assets: Mapping[Outcome, Count] = field(default_factory=dict)
    """Those of `outcome.COUNTED`."""
    pinned: FinalizeLatencies = field(default_factory=FinalizeLatencies)
    unpinned: FinalizeLatencies = field(default_factory=FinalizeLatencies)

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(
            {outcome: self.runs.get(outcome, 0) + other.runs.get(outcome, 0) for outcome in RunOutcome},
            {outcome: self.assets.get(outcome, 0) + other.assets.get(outcome, 0) for outcome in COUNTED},
            self.pinned + other.pinned,
            self.unpinned + other.unpinned,
        )


@dataclass(frozen=True, slots=True)
class OpenUploads:
    """The multipart uploads that are neither completed nor aborted, as the last scan of them left them."""

    pending: Count
    """Those of assets that wait for parts."""
    ended: Count
    """Those of assets that are final, expired or missing, and that could not be aborted. S3 charges for their parts."""


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What the last run of one shard did and left, and the counters of all runs."""

    shard: Annotated[int, Field(ge=0)]
    shard_count: Annotated[int, Field(ge=1, le=4096)]
    started_at: AwareDatetime
    finished_at: AwareDatetime
    outcome: RunOutcome
    is_complete: bool
    """The full scan reached the end of the shard."""
    last_success_at: AwareDatetime | None
    """When the last complete run without a failure ended."""
    remaining: Mapping[Outcome, Count]
    """What the last complete run left in `temp/`: those of `outcome.REMAINING`."""
    next_due_at: AwareDatetime | None
    """The earliest due time of the assets that the last run read, that are marked and not final. It may be past."""
    counters: Counters
    schema: Literal[2]
    """Schema version. Reports with another version are ignored, and counters restart from zero."""
    full_scan_at: AwareDatetime | None = None
    """When the last full scan that left nothing undone listed its first page, by S3's clock: every look at an upload
    that was planned until then was taken. None in reports of earlier versions: the next scan reads everything."""
    open_uploads: OpenUploads | None = None
    """None in reports of earlier versions, and while no run could list them."""


_ADAPTER: Final = TypeAdapter(ShardReport)


def report_key(shard: int, shard_count: int) -> str:
    """Return the key of this shard's report."""
    return f"{REPORTS_PREFIX}{shard:04d}-of-{shard_count:04d}.json"


def is_report_key(key: str) -> bool:
    """Return whether a report may be at this key."""
    return _KEY.fullmatch(key) is not None


def encode_report(report: ShardReport) -> bytes:
    """Return the report as JSON."""
    return _ADAPTER.dump_json(report)


def decode_report(key: str, body: bytes) -> ShardReport:
    """Return the report that was read at this key.

    Raises:
        InvalidReportError: It is not a report, has another schema, or belongs to another shard.
    """
    try:
        report = _ADAPTER.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field_name = ".".join(map(str, first["loc"])) or "the document"  # the location is empty for invalid JSON
        raise InvalidReportError(f"{field_name}: {first['msg']}") from None
    if key != report_key(report.shard, report.shard_count):
        raise InvalidReportError(f"it claims to be the report of shard {report.shard} of {report.shard_count}")
    return report


def latest_shard_layout(reports: list[ShardReport]) -> list[ShardReport]:
    """Return the reports of the shard count that was written last, ordered by shard.

    A change of the shard count leaves the reports of the earlier one behind.
    """
    if not reports:
        return []
    shard_count = max(reports, key=lambda report: (report.finished_at, report.shard_count)).shard_count
    return sorted((report for report in reports if report.shard_count == shard_count), key=lambda report: report.shard)
