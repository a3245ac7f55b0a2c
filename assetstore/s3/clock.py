"""The time, as S3 sees it; and dates as HTTP spells them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

SKEW_SECONDS: Final = 15 * 60
"""A request signed with a time further off than this is refused (RequestTimeTooSkewed)."""
_MONTHS: Final = {
    name: f"{number:02}"
    for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)  # noqa: SIM905
}
_IMF_FIXDATE_LENGTH: Final = len("Sun, 06 Nov 1994 08:49:37 GMT")


@dataclass(slots=True)
class Clock:
    """A machine's clock, corrected once S3 has said how far it is off."""

    read: Callable[[], float] = time.time
    offset_seconds: float = 0.0

    def now(self) -> float:
        """Unix seconds."""
        return self.read() + self.offset_seconds

    def set_by(self, date: str) -> None:
        """Go by this `Date` header from now on.

        Raises:
            ValueError: it is no date.
        """
        self.offset_seconds = parse_http_date(date).timestamp() - self.read()

    def is_far_from(self, date: str | None) -> bool:
        """Whether S3, whose `Date` header this is, would refuse what is signed with this time."""
        try:
            # A minute less: the time that the answer took, and whole seconds.
            return date is not None and abs(parse_http_date(date).timestamp() - self.now()) > SKEW_SECONDS - 60
        except ValueError:
            return False


def parse_http_date(text: str) -> datetime:
    """The instant that an HTTP date names.

    Raises:
        ValueError: it names none.
    """
    # As S3 spells it: parsedate_to_datetime takes five times as long, and each answer has two.
    month = _MONTHS.get(text[8:11])
    if month is not None and len(text) == _IMF_FIXDATE_LENGTH and text.endswith(" GMT"):
        return datetime.fromisoformat(f"{text[12:16]}-{month}-{text[5:7]}T{text[17:25]}+00:00")
    date = parsedate_to_datetime(text)
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
