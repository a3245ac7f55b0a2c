"""Every decision of the protocol: every state, at every clock, with every upload, against tables written by hand."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from assetstore.protocol import (
    Glance,
    Mark,
    NotAnAssetError,
    Placeholder,
    Rules,
    State,
    Status,
    Verdict,
    due_at,
    from_metadata,
    glance,
    is_asset_id,
    judge,
    judge_mark,
    parse_etag,
    temp_key,
    to_metadata,
    to_tags,
    uploaded_key,
)

EXPIRY = datetime(2026, 1, 1, 12, 15, tzinfo=UTC)
RULES = Rules(upload_url_seconds=900, grace_seconds=60, unmarked_seconds=3600)
A, B = "a" * 32, "b" * 32
SECOND = timedelta(seconds=1)
URL_LIVES, IN_GRACE, DUE, GIVEN_UP = "URL lives", "in grace", "due", "given up"
CLOCKS = {
    EXPIRY - timedelta(days=365): URL_LIVES,
    EXPIRY - SECOND: URL_LIVES,
    EXPIRY: IN_GRACE,
    EXPIRY + timedelta(seconds=59): IN_GRACE,
    EXPIRY + timedelta(seconds=60): DUE,
    EXPIRY + timedelta(seconds=3599): DUE,
    EXPIRY + timedelta(seconds=3600): GIVEN_UP,
    EXPIRY + timedelta(days=365): GIVEN_UP,
}
"""Both sides of each deadline."""
ID = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"


# --- mark -------------------------------------------------------------------------------------------------------------

MARKS = {
    # status, its pin: the mark without a pin, with pin A, with pin B
    (Status.PENDING, None): (Mark.WRITE, Mark.COMPARE, Mark.COMPARE),
    (Status.MARKED, None): (Mark.WRITE, Mark.COMPARE, Mark.COMPARE),
    (Status.MARKED, A): (Mark.WRITE, Mark.COMPARE, Mark.COMPARE),
    (Status.UPLOADED, None): (Mark.ALREADY_UPLOADED, Mark.ALREADY_UPLOADED, Mark.ALREADY_UPLOADED),
    (Status.UPLOADED, A): (Mark.ALREADY_UPLOADED, Mark.ACCEPTED, Mark.ALREADY_UPLOADED),
    (Status.EXPIRED, None): (Mark.EXPIRED, Mark.EXPIRED, Mark.EXPIRED),
    (Status.EXPIRED, A): (Mark.EXPIRED, Mark.EXPIRED, Mark.EXPIRED),
}


@pytest.mark.parametrize(("status", "known"), MARKS)
def test_a_mark_is_judged_by_the_placeholder_alone(status: Status, known: str | None) -> None:
    """Each mark of an asset that is not final is a write; a final one takes back nothing but a retry of its own pin."""
    state = State(status, EXPIRY, known)
    assert tuple(judge_mark(state, pin) for pin in (None, A, B)) == MARKS[status, known]


# --- reconcile --------------------------------------------------------------------------------------------------------

_ALWAYS = (URL_LIVES, IN_GRACE, DUE, GIVEN_UP)
GLANCES: dict[tuple[Status, str | None], dict[str, Glance]] = {
    (Status.PENDING, None): {GIVEN_UP: Glance.LOOK},
    (Status.MARKED, None): {DUE: Glance.LOOK, GIVEN_UP: Glance.LOOK},
    (Status.MARKED, A): dict.fromkeys(_ALWAYS, Glance.LOOK),
    (Status.UPLOADED, None): dict.fromkeys(_ALWAYS, Glance.SWEEP),
    (Status.UPLOADED, A): dict.fromkeys(_ALWAYS, Glance.SWEEP),
    (Status.EXPIRED, None): dict.fromkeys(_ALWAYS, Glance.SWEEP),
    (Status.EXPIRED, A): dict.fromkeys(_ALWAYS, Glance.SWEEP),
}
"""By state; WAIT where nothing is said."""

JUDGEMENTS: dict[tuple[Status, str | None, str, str], Verdict] = {
    (Status.PENDING, None, A, GIVEN_UP): Verdict.EXPIRE,
    (Status.PENDING, None, B, GIVEN_UP): Verdict.EXPIRE,
    (Status.MARKED, A, B, GIVEN_UP): Verdict.EXPIRE,
    **{(Status.MARKED, None, etag, clock): Verdict.FINALIZE for etag in (A, B) for clock in (DUE, GIVEN_UP)},
    **{(Status.MARKED, A, A, clock): Verdict.FINALIZE for clock in _ALWAYS},
}
"""By state, what is in temp/, and time; WAIT where nothing is said."""


@pytest.mark.parametrize(("status", "pin"), GLANCES)
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_an_asset_is_looked_at_when_its_time_has_come(status: Status, pin: str | None, now: datetime) -> None:
    """The placeholder alone tells what waits, what is garbage, and what is worth a look, to the second."""
    expected = GLANCES[status, pin].get(CLOCKS[now], Glance.WAIT)
    assert glance(State(status, EXPIRY, pin), now, RULES) is expected


@pytest.mark.parametrize(
    ("status", "pin", "etag", "now"),
    [
        (status, pin, etag, now)
        for (status, pin), etag, now in product(GLANCES, (A, B), CLOCKS)
        if GLANCES[status, pin].get(CLOCKS[now]) is Glance.LOOK
    ],
)
def test_only_the_bytes_that_were_meant_are_finalized(
    status: Status, pin: str | None, etag: str, now: datetime
) -> None:
    """What is worth a look is finalized, given up or left, by what is in temp/ and by the clock."""
    expected = JUDGEMENTS.get((status, pin, etag, CLOCKS[now]), Verdict.WAIT)
    assert judge(State(status, EXPIRY, pin), etag, now, RULES) is expected


@pytest.mark.parametrize("status", [Status.PENDING, Status.UPLOADED, Status.EXPIRED])
def test_only_a_marked_asset_is_ever_due(status: Status) -> None:
    """Neither before its mark nor after its life has an asset a time to be finalized."""
    assert due_at(Placeholder("e", State(status, EXPIRY, A), EXPIRY), RULES) is None


def test_a_pinned_asset_is_due_at_its_mark_and_an_unpinned_one_after_grace() -> None:
    """A pin need not wait for the URL to end."""
    marked_at = EXPIRY - timedelta(seconds=700)
    pinned = Placeholder("e", State(Status.MARKED, EXPIRY, A), marked_at)
    unpinned = Placeholder("e", State(Status.MARKED, EXPIRY), marked_at)
    assert due_at(pinned, RULES) == marked_at
    assert due_at(unpinned, RULES) == EXPIRY + timedelta(seconds=60)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("pin", [None, A])
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_nothing_but_a_marked_asset_is_ever_finalized(status: Status, pin: str | None, now: datetime) -> None:
    """Whoever asks, and whenever: only a mark leads to a final asset."""
    is_finalized = judge(State(status, EXPIRY, pin), A, now, RULES) is Verdict.FINALIZE
    assert is_finalized == (status is Status.MARKED)


def test_a_pin_is_known_by_its_letters() -> None:
    """An equal ETag is the same ETag, wherever it was read."""
    again = "".join(list(A))
    assert again is not A
    assert judge_mark(State(Status.UPLOADED, EXPIRY, A), again) is Mark.ACCEPTED


@pytest.mark.parametrize(
    "value", [State(Status.MARKED, EXPIRY), Placeholder("e", State(Status.MARKED, EXPIRY), EXPIRY), RULES]
)
def test_what_was_observed_cannot_be_changed(value: State | Placeholder | Rules) -> None:
    """Observations are frozen, and have no room for more than their fields."""
    for name in type(value).__annotations__:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
    assert not hasattr(value, "__dict__")


def test_the_rules_default_to_the_documented_numbers() -> None:
    """Fifteen minutes to upload, one of grace, a day for what nobody marked."""
    assert Rules() == Rules(upload_url_seconds=900, grace_seconds=60, unmarked_seconds=86_400)


# --- spelling ---------------------------------------------------------------------------------------------------------


def test_the_state_is_spelled_as_the_design_says() -> None:
    """Tags and metadata say the same, but for the pin, which is metadata only."""
    assert to_tags(State(Status.MARKED, EXPIRY, A)) == {"status": "marked", "expires-at": "2026-01-01T12:15:00Z"}
    assert to_metadata(State(Status.MARKED, EXPIRY)) == {"status": "marked", "expires-at": "2026-01-01T12:15:00Z"}
    assert to_metadata(State(Status.UPLOADED, EXPIRY, A)) == {
        "status": "uploaded",
        "expires-at": "2026-01-01T12:15:00Z",
        "pin": A,
    }


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("pin", [None, A])
def test_the_state_survives_its_metadata(status: Status, pin: str | None) -> None:
    """What was written is what is read."""
    state = State(status, EXPIRY, pin)
    assert from_metadata(to_metadata(state)) == state


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"status": "marked"},
        {"expires-at": "2026-01-01T12:15:00Z"},
        {"status": "", "expires-at": "2026-01-01T12:15:00Z"},
        {"status": "MARKED", "expires-at": "2026-01-01T12:15:00Z"},
        {"status": "marked", "expires-at": ""},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00"},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00+01:00"},
        {"status": "marked", "expires-at": "2026-13-01T12:15:00Z"},
        {"status": "marked", "expires-at": "2026-1-1T12:15:00Z"},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00Z "},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00Z", "pin": ""},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00Z", "pin": f'"{A}"'},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00Z", "pin": "a b"},
    ],
)
def test_metadata_that_this_protocol_did_not_write_is_no_state(metadata: dict[str, str]) -> None:
    """Somebody else's object is never taken for a placeholder, and the error says what is wrong."""
    with pytest.raises(NotAnAssetError, match="its metadata is not an asset's: "):
        from_metadata(metadata)


def test_keys_are_the_prefixes_and_the_id() -> None:
    """The two keys of an asset lie under two prefixes."""
    assert (uploaded_key(ID), temp_key(ID)) == (f"uploaded/{ID}", f"temp/{ID}")


@pytest.mark.parametrize("variant", "89ab")
def test_every_uuid_of_version_4_is_an_asset_id(variant: str) -> None:
    """The four variants of a version 4 UUID, lower case, with hyphens."""
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
def test_anything_else_is_no_asset_id(text: str) -> None:
    """Other versions, other spellings, other digits: a key is made of none of them."""
    assert not is_asset_id(text)


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        (A, A),
        (f'"{A}"', A),
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
        (f'W/"{A}"', None),
        (f'"{A}', None),
        (f'{A}"', None),
        (f'""{A}""', None),
        (f"'{A}'", None),
        (f"{A}\n", None),
        (f" {A}", None),
        (f'!{A}"', None),
        (f"!{A}!", None),
        ("\u00e9", None),
        ("\u0661", None),
        ("*", None),
        ("a,b", None),
    ],
)
def test_an_etag_is_read_without_its_quotes(text: str, etag: str | None) -> None:
    """Quotes are optional, in pairs; weak ETags, wildcards and lists are none."""
    assert parse_etag(text) == etag
