"""HTTP dates are read as the standard library reads them, and the clock is corrected to S3's."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetuploader.s3.clock import Clock, parse_http_date

TIMESTAMPS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda timestamp: timestamp.replace(microsecond=0)
)


@given(TIMESTAMPS)
def test_every_http_date_is_read(timestamp: datetime) -> None:
    """A date that the standard library writes is read as the same time."""
    assert parse_http_date(format_datetime(timestamp, usegmt=True)) == timestamp


@pytest.mark.parametrize("text", ["Sun, 22 Nov 2026 13:00:00 +0100", "Sunday, 22-Nov-26 12:00:00 GMT"])
def test_older_formats_are_read(text: str) -> None:
    """The older date formats of HTTP are read, too."""
    assert parse_http_date(text) == datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "Sun, 99 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 1x:00:00 GMT"])
def test_other_text_is_rejected(text: str) -> None:
    """Text that is not a date raises ValueError."""
    with pytest.raises(ValueError, match=r"Invalid date value|out of range"):
        parse_http_date(text)


def test_a_clock_advances_from_s3s_time() -> None:
    """After a correction the clock advances with the machine's, from S3's time."""
    machine = [1000.0]
    clock = Clock(lambda: machine[0])
    clock.observe("Thu, 01 Jan 1970 01:00:00 GMT", 1000.0)
    machine[0] += 5
    assert clock.now() == 3605.0


@pytest.mark.parametrize("text", ["no date", "", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_text_that_is_not_a_date_corrects_nothing(text: str) -> None:
    """A `Date` header that is not a date leaves the clock as it is."""
    clock = Clock(lambda: 1000.0, offset_seconds=7.0)
    clock.observe(text, 999.0)
    assert clock.offset_seconds == 7.0


@given(
    offset=st.floats(-1e6, 1e6),
    believed=st.floats(-1e6, 1e6),
    sent_at=st.floats(1e8, 1e9),
    there_seconds=st.floats(0, 60),
    back_seconds=st.floats(0, 60),
)
def test_one_response_corrects_the_clock_to_its_precision(
    offset: float, believed: float, sent_at: float, there_seconds: float, back_seconds: float
) -> None:
    """After one response the clock is as exact as the date's whole seconds and the response's time allow.

    A clock that was right already is not changed, however slow the response.
    """
    received_at = sent_at + there_seconds + back_seconds
    date = format_datetime(datetime.fromtimestamp(int(sent_at + there_seconds + offset), UTC), usegmt=True)
    clock = Clock(lambda: received_at, believed)
    clock.observe(date, sent_at)
    assert abs(clock.offset_seconds - offset) <= there_seconds + back_seconds + 1 + 1e-6
    right = Clock(lambda: received_at, offset)
    right.observe(date, sent_at)
    assert right.offset_seconds == pytest.approx(offset, abs=1e-6)
