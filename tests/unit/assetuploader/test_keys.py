"""Ids, keys, ETags and timestamps have exactly one format."""

import re
from datetime import UTC, datetime

import pytest

from assetuploader.keys import (
    format_timestamp,
    is_asset_id,
    parse_etag,
    parse_timestamp,
    temp_key,
    uploaded_key,
)

ETAG = "a" * 32
ID = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"


def test_keys_are_the_prefixes_and_the_id() -> None:
    """An asset has one key under each of the two prefixes."""
    assert (uploaded_key(ID), temp_key(ID)) == (f"uploaded/{ID}", f"temp/{ID}")


@pytest.mark.parametrize("variant", "89ab")
def test_every_uuid_of_version_4_is_an_asset_id(variant: str) -> None:
    """Each of the four variant digits is accepted, in lower case and with hyphens."""
    assert is_asset_id(f"01234567-89ab-4cde-{variant}f01-23456789abcd")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID.upper(),
        ID.replace("-", ""),
        f"{ID}0",
        f"0{ID}",
        f"{ID}\n",
        f" {ID}",
        ID.replace("-4", "-1", 1),
        ID.replace("-9", "-c", 1),
        ID.replace("-9", "-7", 1),
        ID.replace("6", "\uff16", 1),
        ID.replace("6", "\u0666", 1),
        ID.replace("6", "g", 1),
        f"{{{ID}}}",
        f"../{ID}",
    ],
)
def test_other_text_is_not_an_asset_id(text: str) -> None:
    """Other UUID versions, formats and digits are rejected before a key is made of them."""
    assert not is_asset_id(text)


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        (ETAG, ETAG),
        (f'"{ETAG}"', ETAG),
        ("a-2", "a-2"),
        ("0Z9az+/=_.-", "0Z9az+/=_.-"),
        ("x", "x"),
        ('"x"', "x"),
        ("x" * 128, "x" * 128),
        (f'"{"x" * 128}"', "x" * 128),
        ("x" * 129, None),
        ("", None),
        ('"', None),
        ('""', None),
        (f'W/"{ETAG}"', None),
        (f'"{ETAG}', None),
        (f'{ETAG}"', None),
        (f'""{ETAG}""', None),
        (f"'{ETAG}'", None),
        (f"{ETAG}\n", None),
        (f" {ETAG}", None),
        (f'!{ETAG}"', None),
        (f"!{ETAG}!", None),
        ("\u00e9", None),
        ("\u0661", None),
        ("*", None),
        ("a,b", None),
    ],
)
def test_an_etag_is_read_without_its_quotes(text: str, etag: str | None) -> None:
    """Quotes are optional, in pairs; weak ETags, wildcards and lists are rejected."""
    assert parse_etag(text) == etag


def test_a_timestamp_is_written_in_whole_seconds_of_utc() -> None:
    """Fractions of a second are dropped, and what is written can be read."""
    timestamp = datetime(2026, 1, 1, 12, 15, 0, 999_999, tzinfo=UTC)
    assert format_timestamp(timestamp) == "2026-01-01T12:15:00Z"
    assert parse_timestamp("2026-01-01T12:15:00Z") == timestamp.replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "2026-01-01T12:15:00", "2026-01-01T12:15:00+00:00"])
def test_a_timestamp_in_another_format_is_rejected(text: str) -> None:
    """Only the format that this program writes is parsed; the error contains the text."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_timestamp(text)


def test_a_timestamp_that_is_not_a_date_is_rejected() -> None:
    """The error says which part of the date is wrong."""
    with pytest.raises(ValueError, match="month must be in"):
        parse_timestamp("2026-13-01T12:15:00Z")
