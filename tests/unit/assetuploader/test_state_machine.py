"""Every decision of the state machine: each state at each time with each upload, compared with tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from assetuploader.state_machine import (
    NOT_READ,
    OF_PLACEHOLDER,
    UNREADABLE,
    Action,
    AssetState,
    EtagSentinel,
    InvalidPlaceholderError,
    LifecyclePolicy,
    MarkAction,
    Placeholder,
    Status,
    decide,
    decide_mark,
    decide_orphan,
    due_at,
    from_metadata,
    is_placeholder_body,
    is_upload_over,
    may_be_placeholder_body,
    orphan_swept_at,
    placeholder_body,
    to_metadata,
    to_tags,
)

EXPIRY = datetime(2026, 1, 1, 12, 15, tzinfo=UTC)
POLICY = LifecyclePolicy(upload_url_ttl_seconds=900, grace_seconds=60, expire_after_seconds=3600)
A, B = "a" * 32, "b" * 32
SECOND = timedelta(seconds=1)
URL_VALID, IN_GRACE, DUE, EXPIRED = "URL valid", "in grace", "due", "expired"
CLOCKS = {
    EXPIRY - timedelta(days=365): URL_VALID,
    EXPIRY - SECOND: URL_VALID,
    EXPIRY: IN_GRACE,
    EXPIRY + timedelta(seconds=59): IN_GRACE,
    EXPIRY + timedelta(seconds=60): DUE,
    EXPIRY + timedelta(seconds=3599): DUE,
    EXPIRY + timedelta(seconds=3600): EXPIRED,
    EXPIRY + timedelta(days=365): EXPIRED,
}
"""Both sides of each deadline."""


# --- mark -------------------------------------------------------------------------------------------------------------

MARKS = {
    # status, its pin: the mark without a pin (None: the clock decides), with pin A, with pin B
    (Status.PENDING, None): (None, MarkAction.COMPARE, MarkAction.COMPARE),
    (Status.MARKED, None): (None, MarkAction.COMPARE, MarkAction.COMPARE),
    (Status.MARKED, A): (None, MarkAction.COMPARE, MarkAction.COMPARE),
    (Status.UPLOADED, None): (MarkAction.ALREADY_UPLOADED, MarkAction.ALREADY_UPLOADED, MarkAction.ALREADY_UPLOADED),
    (Status.UPLOADED, A): (MarkAction.ALREADY_UPLOADED, MarkAction.ACCEPT, MarkAction.ALREADY_UPLOADED),
    (Status.EXPIRED, None): (MarkAction.EXPIRED, MarkAction.EXPIRED, MarkAction.EXPIRED),
    (Status.EXPIRED, A): (MarkAction.EXPIRED, MarkAction.EXPIRED, MarkAction.EXPIRED),
}


@pytest.mark.parametrize(("status", "stored_pin"), MARKS)
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_a_mark_is_decided_by_the_placeholder_and_the_clock(
    status: Status, stored_pin: str | None, now: datetime
) -> None:
    """A mark may come before its upload while the URL is valid; a final asset accepts only a retry with its own pin."""
    state = AssetState(status, EXPIRY, stored_pin)
    unpinned, *pinned = MARKS[status, stored_pin]
    unpinned = unpinned or (MarkAction.WRITE if CLOCKS[now] is URL_VALID else MarkAction.COMPARE)
    assert tuple(decide_mark(state, pin, now) for pin in (None, A, B)) == (unpinned, *pinned)


@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_uploads_are_over_when_grace_is(now: datetime) -> None:
    """An upload that began in time may still arrive until grace is over."""
    assert is_upload_over(AssetState(Status.MARKED, EXPIRY), now, POLICY) is (CLOCKS[now] in {DUE, EXPIRED})


# --- reconcile --------------------------------------------------------------------------------------------------------

_ALWAYS = (URL_VALID, IN_GRACE, DUE, EXPIRED)
BEFORE_READING: dict[tuple[Status, str | None], dict[str, Action]] = {
    (Status.PENDING, None): {EXPIRED: Action.INSPECT_UPLOAD},
    (Status.MARKED, None): {DUE: Action.INSPECT_UPLOAD, EXPIRED: Action.INSPECT_UPLOAD},
    (Status.MARKED, A): dict.fromkeys(_ALWAYS, Action.INSPECT_UPLOAD),
    (Status.UPLOADED, None): dict.fromkeys(_ALWAYS, Action.SWEEP),
    (Status.UPLOADED, A): dict.fromkeys(_ALWAYS, Action.SWEEP),
    (Status.EXPIRED, None): dict.fromkeys(_ALWAYS, Action.SWEEP),
    (Status.EXPIRED, A): dict.fromkeys(_ALWAYS, Action.SWEEP),
}
"""By state; WAIT for all others."""

AFTER_READING: dict[tuple[Status, str | None, str, str], Action] = {
    (Status.PENDING, None, A, EXPIRED): Action.EXPIRE,
    (Status.PENDING, None, B, EXPIRED): Action.EXPIRE,
    (Status.MARKED, A, B, EXPIRED): Action.EXPIRE,
    **{(Status.MARKED, None, etag, clock): Action.FINALIZE for etag in (A, B) for clock in (DUE, EXPIRED)},
    **{(Status.MARKED, A, A, clock): Action.FINALIZE for clock in _ALWAYS},
}
"""By state, ETag in temp/, and clock; WAIT for all others."""


@pytest.mark.parametrize(("status", "pin"), BEFORE_READING)
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_an_upload_is_inspected_when_the_asset_is_due(status: Status, pin: str | None, now: datetime) -> None:
    """The placeholder alone decides which asset waits, which is swept, and whose upload is inspected, to the second."""
    expected = BEFORE_READING[status, pin].get(CLOCKS[now], Action.WAIT)
    assert decide(AssetState(status, EXPIRY, pin), NOT_READ, now, POLICY) is expected


@pytest.mark.parametrize(
    ("status", "pin", "etag", "now"),
    [
        (status, pin, etag, now)
        for (status, pin), etag, now in product(BEFORE_READING, (A, B), CLOCKS)
        if BEFORE_READING[status, pin].get(CLOCKS[now]) is Action.INSPECT_UPLOAD
    ],
)
def test_only_the_bytes_that_were_meant_are_finalized(
    status: Status, pin: str | None, etag: str, now: datetime
) -> None:
    """An inspected asset is finalized, expires or waits, by the bytes in temp/ and by the clock."""
    expected = AFTER_READING.get((status, pin, etag, CLOCKS[now]), Action.WAIT)
    assert decide(AssetState(status, EXPIRY, pin), etag, now, POLICY) is expected


@pytest.mark.parametrize(("status", "pin"), BEFORE_READING)
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_unreadable_bytes_are_never_finalized(status: Status, pin: str | None, now: datetime) -> None:
    """An asset with unreadable bytes waits, like an asset with bytes other than the pinned ones."""
    state = AssetState(status, EXPIRY, pin)
    expected = decide(state, B, now, POLICY)
    if expected is Action.FINALIZE:
        expected = Action.EXPIRE if CLOCKS[now] == EXPIRED else Action.WAIT
    assert decide(state, UNREADABLE, now, POLICY) is expected


@pytest.mark.parametrize(("status", "pin"), BEFORE_READING)
@pytest.mark.parametrize("etag", [A, B])
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_a_known_etag_changes_only_decisions_that_need_it(
    status: Status, pin: str | None, etag: str, now: datetime
) -> None:
    """If the placeholder alone decides to wait or to sweep, temp/ does not change that."""
    state = AssetState(status, EXPIRY, pin)
    first = decide(state, NOT_READ, now, POLICY)
    assert first is Action.INSPECT_UPLOAD or decide(state, etag, now, POLICY) is first


@pytest.mark.parametrize("pin", [None, A])
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_the_body_of_a_placeholder_is_never_finalized(pin: str | None, now: datetime) -> None:
    """An asset whose upload is the body of a placeholder waits until it expires, whatever its pin is."""
    expected = Action.EXPIRE if CLOCKS[now] is EXPIRED else Action.WAIT
    assert decide(AssetState(Status.MARKED, EXPIRY, pin), OF_PLACEHOLDER, now, POLICY) is expected


def test_the_body_of_a_placeholder_is_recognized() -> None:
    """Each nonce gives another body, and no other bytes are taken for one."""
    body = placeholder_body(b"\x00\xff")
    assert body == b"assetuploader placeholder 00ff"
    assert is_placeholder_body(body)
    assert may_be_placeholder_body(len(body))
    assert not is_placeholder_body(b"assetuploader placeholdex 00ff")
    assert not is_placeholder_body(b" " + body)
    assert not is_placeholder_body(body.ljust(129, b"0"))
    assert [size for size in range(1000) if may_be_placeholder_body(size)] == list(range(27, 129))


@pytest.mark.parametrize("status", [Status.PENDING, Status.UPLOADED, Status.EXPIRED])
def test_only_a_marked_asset_is_ever_due(status: Status) -> None:
    """A pending, final or expired asset is never due."""
    assert due_at(Placeholder("e", AssetState(status, EXPIRY, A), EXPIRY), POLICY) is None


def test_a_pinned_asset_is_due_at_its_mark_and_an_unpinned_one_after_grace() -> None:
    """A pinned asset does not wait for its upload URL to expire."""
    marked_at = EXPIRY - timedelta(seconds=700)
    pinned = Placeholder("e", AssetState(Status.MARKED, EXPIRY, A), marked_at)
    unpinned = Placeholder("e", AssetState(Status.MARKED, EXPIRY), marked_at)
    assert due_at(pinned, POLICY) == marked_at
    assert due_at(unpinned, POLICY) == EXPIRY + timedelta(seconds=60)


@pytest.mark.parametrize("status", [Status.PENDING, Status.UPLOADED, Status.EXPIRED])
@pytest.mark.parametrize("pin", [None, A])
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_only_a_marked_asset_is_ever_finalized(status: Status, pin: str | None, now: datetime) -> None:
    """Without a mark no asset becomes final, at any time."""
    assert decide(AssetState(status, EXPIRY, pin), A, now, POLICY) is not Action.FINALIZE


def test_a_pin_is_compared_by_value() -> None:
    """Two equal ETags are the same ETag, wherever they were read."""
    again = "".join(list(A))
    assert again is not A
    assert decide_mark(AssetState(Status.UPLOADED, EXPIRY, A), again, EXPIRY) is MarkAction.ACCEPT


@pytest.mark.parametrize(
    "value", [AssetState(Status.MARKED, EXPIRY), Placeholder("e", AssetState(Status.MARKED, EXPIRY), EXPIRY), POLICY]
)
def test_values_are_immutable(value: AssetState | Placeholder | LifecyclePolicy) -> None:
    """States, placeholders and policies are frozen and hashable, and accept no further attributes."""
    assert hash(value) == hash(replace(value))
    for name in type(value).__annotations__:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
    assert not hasattr(value, "__dict__")


def test_the_policy_has_the_documented_defaults() -> None:
    """Fifteen minutes to upload, one minute of grace, and a day until an unmarked asset expires."""
    assert LifecyclePolicy() == LifecyclePolicy(
        upload_url_ttl_seconds=900, grace_seconds=60, expire_after_seconds=86_400
    )


# --- the state in S3 --------------------------------------------------------------------------------------------------

WRITTEN = {"status": "marked", "expires-at": "2026-01-01T12:15:00Z", "schema": "2"}
SCHEMA_1 = {"status": "marked", "expires-at": "2026-01-01T12:15:00Z"}
"""What version 0.1.0 wrote before `schema` existed. Such objects stay readable."""


def test_the_state_is_stored_as_the_design_says() -> None:
    """Tags and metadata agree; pin and schema are metadata only."""
    assert to_tags(AssetState(Status.MARKED, EXPIRY, A)) == {"status": "marked", "expires-at": "2026-01-01T12:15:00Z"}
    assert to_metadata(AssetState(Status.MARKED, EXPIRY)) == WRITTEN
    assert to_metadata(AssetState(Status.UPLOADED, EXPIRY, A)) == {**WRITTEN, "status": "uploaded", "pin": A}


@pytest.mark.parametrize("pin", [None, A])
@pytest.mark.parametrize("schema", [{}, {"schema": "1"}, {"schema": "2"}])
def test_a_placeholder_of_each_schema_is_read(pin: str | None, schema: dict[str, str]) -> None:
    """A state without `schema` is schema 1 and means the same."""
    metadata = {**SCHEMA_1, **schema} | ({} if pin is None else {"pin": pin})
    assert from_metadata(metadata) == AssetState(Status.MARKED, EXPIRY, pin)


@pytest.mark.parametrize("schema", ["", "0", "4", "2.0", "two"])
def test_a_placeholder_of_an_unknown_schema_is_not_read(schema: str) -> None:
    """A state that a later version wrote is left alone instead of misread."""
    with pytest.raises(InvalidPlaceholderError, match="schema"):
        from_metadata({**SCHEMA_1, "schema": schema})


def test_a_transition_keeps_the_metadata_that_it_does_not_change() -> None:
    """What was declared when the asset was created is still there when it is final."""
    stored = {**WRITTEN, "filename": "a.txt", "owner": "team"}
    state = from_metadata(stored)
    assert to_metadata(replace(state, status=Status.UPLOADED, pin=A)) == {**stored, "status": "uploaded", "pin": A}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("pin", [None, A])
def test_the_state_survives_its_metadata(status: Status, pin: str | None) -> None:
    """A state that is written is the state that is read."""
    state = AssetState(status, EXPIRY, pin)
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
        {"status": "marked", "expires-at": "9999-12-31T23:59:59Z"},
        {"status": "marked", "expires-at": "9000-01-01T00:00:00Z"},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00Z", "pin": ""},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00Z", "pin": f'"{A}"'},
        {"status": "marked", "expires-at": "2026-01-01T12:15:00Z", "pin": "a b"},
    ],
)
def test_metadata_of_another_program_is_not_a_state(metadata: dict[str, str]) -> None:
    """An object of another program is never taken for a placeholder, and the error says what is wrong."""
    with pytest.raises(
        InvalidPlaceholderError, match=r"no asset state in its metadata|pin is not an ETag|expires in the year"
    ):
        from_metadata(metadata)


IN_PARTS = {**SCHEMA_1, "status": "pending", "schema": "3", "upload": "multipart", "part-size": "16777216"}


def test_an_asset_in_parts_is_hidden_from_earlier_versions_until_it_is_final() -> None:
    """They would finalize the empty object in `temp/`, and know schema 2. The final object is like any other."""
    pending = AssetState(Status.PENDING, EXPIRY, part_bytes=16 * 1024**2)
    assert (to_metadata(pending), from_metadata(IN_PARTS)) == (IN_PARTS, pending)
    for status in (Status.UPLOADED, Status.EXPIRED):
        state = replace(pending, status=status)
        assert to_metadata(state) == {**IN_PARTS, "status": status.value, "schema": "2"}
        assert from_metadata(to_metadata(state)) == state


@pytest.mark.parametrize(
    "wrong",
    [
        {"upload": "put"},
        {"upload": ""},
        {"part-size": ""},
        {"part-size": "0"},
        {"part-size": "-1"},
        {"part-size": "1.5"},
        {"part-size": "01"},
        {"part-size": "1" * 17},
        {"part-size": "\u0661"},
    ],
)
def test_an_asset_with_an_unknown_upload_method_is_not_read(wrong: dict[str, str]) -> None:
    """A later version may know one more."""
    with pytest.raises(InvalidPlaceholderError, match="no asset state"):
        from_metadata({**IN_PARTS, **wrong})


def test_an_asset_in_parts_without_their_length_is_not_read() -> None:
    """Nobody could say which bytes a part has."""
    with pytest.raises(InvalidPlaceholderError, match="part-size"):
        from_metadata({name: value for name, value in IN_PARTS.items() if name != "part-size"})


@pytest.mark.parametrize("status", [Status.PENDING, Status.MARKED])
@pytest.mark.parametrize("now", CLOCKS, ids=str)
@pytest.mark.parametrize("etag", [NOT_READ, A, OF_PLACEHOLDER])
def test_an_asset_in_parts_waits_and_then_expires(status: Status, now: datetime, etag: str | EtagSentinel) -> None:
    """Whatever lies in `temp/` is never finalized, and nothing is read to decide."""
    state = AssetState(status, EXPIRY, part_bytes=5)
    expected = Action.EXPIRE if CLOCKS[now] is EXPIRED else Action.WAIT
    assert decide(state, etag, now, POLICY) is expected


@pytest.mark.parametrize("pin", [None, A])
@pytest.mark.parametrize("now", CLOCKS, ids=str)
def test_an_asset_in_parts_is_never_marked(pin: str | None, now: datetime) -> None:
    """A mark would finalize the empty object in `temp/`."""
    for status in (Status.PENDING, Status.MARKED):
        assert decide_mark(AssetState(status, EXPIRY, part_bytes=5), pin, now) is MarkAction.WRONG_METHOD
    assert decide_mark(AssetState(Status.UPLOADED, EXPIRY, part_bytes=5), pin, now) is MarkAction.ALREADY_UPLOADED
    assert decide_mark(AssetState(Status.EXPIRED, EXPIRY, part_bytes=5), pin, now) is MarkAction.EXPIRED


def test_bytes_without_an_asset_are_garbage_when_no_upload_url_can_be_alive() -> None:
    """7 days is the longest life of a presigned URL, and an asset of that time has had its time to expire."""
    swept_at = EXPIRY + timedelta(days=7, seconds=3600)
    assert orphan_swept_at(EXPIRY, POLICY) == swept_at
    assert decide_orphan(EXPIRY, swept_at - SECOND, POLICY) is Action.WAIT
    assert decide_orphan(EXPIRY, swept_at, POLICY) is Action.SWEEP
