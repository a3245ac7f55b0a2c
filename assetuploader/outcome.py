"""The outcomes of a run, under the same names in logs, metrics, shard reports and Kubernetes Events."""

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What a run did about one object in `temp/`, or why it did nothing."""

    FINALIZED = "finalized"
    EXPIRED = "expired"
    SWEPT = "swept"
    WAITING = "waiting"
    """Not marked yet, or not due yet."""
    ETAG_MISMATCH = "etag_mismatch"
    """Pinned, but `temp/` holds other bytes: the asset waits for another mark."""
    UPLOAD_UNREADABLE = "upload_unreadable"
    """S3 does not give out the bytes in `temp/`: the asset waits for another upload and mark."""
    UPLOAD_MISSING = "upload_missing"
    """`temp/{id}` was deleted after it was listed: another run finished this asset."""
    ORPHANED = "orphaned"
    """`temp/{id}` has no placeholder, or the object there is not a placeholder. Nothing is changed, until bytes without
    any object at `uploaded/{id}` are old enough to be swept."""
    POSTPONED = "postponed"
    """The upload is old, and its turn to be read comes in a later scan: see `assetuploader.scan_schedule`."""
    FAILED = "failed"
    """S3 or a defect of this program prevented progress. The next run tries again."""
    DELETE_FAILED = "delete_failed"
    """The upload of a final or expired asset could not be deleted. The next run sweeps it."""
    UNRECOGNIZED_KEY = "unrecognized_key"
    """The key is not `temp/` and an asset id. Nothing is changed."""


CHANGES: Final = (Outcome.FINALIZED, Outcome.EXPIRED, Outcome.SWEPT)
"""Outcomes after which the upload can be deleted."""
COUNTED: Final = (*CHANGES, Outcome.FAILED, Outcome.DELETE_FAILED)
"""Outcomes that a shard report adds up over all runs."""
REMAINING: Final = (
    Outcome.WAITING,
    Outcome.ETAG_MISMATCH,
    Outcome.UPLOAD_UNREADABLE,
    Outcome.ORPHANED,
    Outcome.POSTPONED,
    Outcome.UNRECOGNIZED_KEY,
)
"""Outcomes that leave an object in `temp/`. Later scans see these again."""
