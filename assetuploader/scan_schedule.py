"""Which uploads a full scan reads: every one while it is young, older ones at intervals that grow with their age.

Most marks come soon after the upload, and whatever is due at the usual time is due while it is young. So old uploads
rarely change, and reading each of them in every scan would be most of what waiting uploads cost.

The schedule needs no state but the time of the scan before: the looks of an upload are fixed points of its age, shifted
by its id, and a scan takes all looks since the scan before. So a scan that is late or missing postpones looks, and
loses none.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor, log
from typing import Final

from assetuploader.state_machine import LifecyclePolicy

MAX_LOOK_INTERVAL_SECONDS: Final = 600
"""The longest time between two looks at an upload."""
_LOOKS_PER_AGE: Final = 8
"""Until that length is reached, the time between two looks is this fraction of the age."""
_MARGIN_SECONDS: Final = 120
"""How long after the usual due time an upload is still read in every scan: runs may be late, or missing."""
_STEADY_AGE_SECONDS: Final = _LOOKS_PER_AGE * MAX_LOOK_INTERVAL_SECONDS
_SLOT_SECONDS: Final = 60
"""Scans are counted from the nearest minute, at which CronJobs start. A pod that starts some seconds earlier than the
one before would otherwise miss a look that the one before had, and leave it to the next run."""


def look_interval_seconds(age_seconds: float, policy: LifecyclePolicy) -> float | None:
    """Return the time between two looks at an upload of this age, None while every scan reads it."""
    if age_seconds < _young_seconds(policy):
        return None
    return min(age_seconds / _LOOKS_PER_AGE, MAX_LOOK_INTERVAL_SECONDS)


@dataclass(frozen=True, slots=True)
class ScanWindow:
    """The time from one full scan of a shard to the next one. All times are S3's clock."""

    policy: LifecyclePolicy
    previous_at: datetime | None
    """When the scan before began; None when that is not known: every upload is read then."""
    scan_at: datetime

    def includes_look(self, asset_id: str, uploaded_at: datetime) -> bool:
        """Return whether this scan reads the upload of this asset."""
        if self.previous_at is None or self.previous_at > self.scan_at:
            return True
        before, age = self._age(self.previous_at, uploaded_at), self._age(self.scan_at, uploaded_at)
        # It may have become due at the usual time since the scan before, or a moment ago.
        young_seconds = _young_seconds(self.policy)
        if min(before, age - _MARGIN_SECONDS) < young_seconds - _MARGIN_SECONDS:
            return True
        phase = _phase(asset_id)
        return floor(_looks_until(age) + phase) != floor(_looks_until(max(before, young_seconds)) + phase)

    @staticmethod
    def _age(at: datetime, uploaded_at: datetime) -> float:
        return round(at.timestamp() / _SLOT_SECONDS) * _SLOT_SECONDS - uploaded_at.timestamp()


def is_marked_late(uploaded_at: datetime, marked_at: datetime, policy: LifecyclePolicy) -> bool:
    """Return whether an upload was not read in every scan any more when it was marked."""
    return marked_at - uploaded_at >= timedelta(seconds=_young_seconds(policy))


def _young_seconds(policy: LifecyclePolicy) -> float:
    return policy.upload_url_ttl_seconds + policy.grace_seconds + _MARGIN_SECONDS


def _looks_until(age_seconds: float) -> float:
    """Return how many looks there were until this age, but for a constant: the integral of one look per interval."""
    if age_seconds < _STEADY_AGE_SECONDS:
        return _LOOKS_PER_AGE * log(max(1.0, age_seconds))
    return _LOOKS_PER_AGE * log(_STEADY_AGE_SECONDS) + (age_seconds - _STEADY_AGE_SECONDS) / MAX_LOOK_INTERVAL_SECONDS


def _phase(asset_id: str) -> float:
    """Return a number from 0 to 1. Its digits are random, and not those that a shard's ids have in common."""
    return int(asset_id[-8:], 16) / (1 << 32)
