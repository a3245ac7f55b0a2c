"""S3's clock, and dates in HTTP's format."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_SKEW_SECONDS: Final = 15 * 60
"""S3 rejects a request that is signed with a time further off than this (RequestTimeTooSkewed)."""


@dataclass(slots=True)
class Clock:
    """The clock of this machine, corrected after S3 has rejected its time."""

    read: Callable[[], float] = time.time
    offset_seconds: float = 0.0

    def now(self) -> float:
        """Return Unix seconds."""
        return self.read() + self.offset_seconds

    def sync_to(self, date: str) -> None:
        """Adopt the time of this `Date` header.

        Raises:
            ValueError: It is not a date.
        """
        self.offset_seconds = parse_http_date(date).timestamp() - self.read()

    def is_skewed_from(self, date: str | None) -> bool:
        """Return whether this clock is so far from this `Date` header of S3 that S3 rejects its signatures."""
        try:
            # One minute less, for the time that the response took.
            return date is not None and abs(parse_http_date(date).timestamp() - self.now()) > MAX_SKEW_SECONDS - 60
        except ValueError:
            return False


def parse_http_date(text: str) -> datetime:
    """Parse an HTTP date.

    Raises:
        ValueError: It is not a date.
    """
    date = parsedate_to_datetime(text)
    try:
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except OverflowError as error:  # the last day of the year 9999 in another time zone
        raise ValueError(text) from error
