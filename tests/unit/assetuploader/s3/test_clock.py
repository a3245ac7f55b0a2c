"""HTTP dates are read as the standard library reads them, and the clock is corrected to S3's."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetuploader.s3.clock import Clock, parse_http_date

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda instant: instant.replace(microsecond=0)
)


@given(INSTANTS)
def test_every_http_date_is_read(instant: datetime) -> None:
    """A date that the standard library writes is read as the same time."""
    assert parse_http_date(format_datetime(instant, usegmt=True)) == instant


@pytest.mark.parametrize("text", ["Sun, 22 Nov 2026 13:00:00 +0100", "Sunday, 22-Nov-26 12:00:00 GMT"])
def test_other_spellings_are_read_too(text: str) -> None:
    """The older date formats of HTTP are read, too."""
    assert parse_http_date(text) == datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "Sun, 99 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 1x:00:00 GMT"])
def test_other_text_is_rejected(text: str) -> None:
    """Text that is not a date raises ValueError."""
    with pytest.raises(ValueError, match=r"."):
        parse_http_date(text)


def test_a_clock_sync_to_s3_goes_on_from_there() -> None:
    """After a correction the clock advances with the machine's, from S3's time."""
    machine = [1000.0]
    clock = Clock(lambda: machine[0])
    clock.sync_to("Thu, 01 Jan 1970 01:00:00 GMT")
    machine[0] += 5
    assert clock.now() == 3605.0
    assert not clock.is_skewed_from("Thu, 01 Jan 1970 01:10:00 GMT")
    assert clock.is_skewed_from("Thu, 01 Jan 1970 02:00:00 GMT")
    assert not clock.is_skewed_from("no date")
    assert not clock.is_skewed_from(None)
