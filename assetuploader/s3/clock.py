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
    """S3's clock: that of this machine, corrected by the `Date` header of S3's responses."""

    read: Callable[[], float] = time.time
    """Returns Unix seconds on this machine's clock."""
    offset_seconds: float = 0.0
    """S3's clock minus this machine's."""

    def now(self) -> float:
        """Return Unix seconds on S3's clock."""
        return self.read() + self.offset_seconds

    def observe(self, date: str, sent_at: float) -> None:
        """Correct the offset by the `Date` header of the response to a request that was sent at `sent_at` of `read`.

        S3 wrote the date, in whole seconds, between `sent_at` and now. That bounds the offset. An offset within the
        bounds stays as it is, so a slow response does not change it. Text that is not a date is ignored.
        """
        try:
            seconds = parse_http_date(date).timestamp()
        except ValueError:
            return
        self.offset_seconds = min(max(self.offset_seconds, seconds - self.read()), seconds + 1 - sent_at)


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
