"""The protocol: what an asset's state is, and every decision about it, as pure values and functions.

An asset lives in two S3 keys. The client's bytes arrive at `temp/{id}`; `uploaded/{id}` first holds a *placeholder*
and in the end the bytes. The placeholder is a compare-and-swap register: `State` travels in its metadata, each write of
it is conditional on the ETag last read, and each write has a new random body, so that each has a new ETag.

    pending --mark--> marked --finalize--> uploaded      (for ever)
       |                 |
       +-----expire------+--------------> expired        (for ever)

Nothing here does I/O, reads a clock or makes up an id. `assetstore.assets` gathers what these functions ask for, asks
them, and does what they say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from functools import lru_cache
from typing import Final, NamedTuple

UPLOADED_PREFIX: Final = "uploaded/"
TEMP_PREFIX: Final = "temp/"

_ASSET_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_ETAG: Final = re.compile(r"[0-9A-Za-z+/=_.-]{1,128}", re.ASCII)


class NotAnAssetError(ValueError):
    """The object at `uploaded/{id}` has no state that this protocol wrote: somebody else's object."""


class Status(StrEnum):
    """How far an asset has come. `uploaded` and `expired` never change again."""

    PENDING = "pending"
    MARKED = "marked"
    UPLOADED = "uploaded"
    EXPIRED = "expired"


class State(NamedTuple):
    """What `uploaded/{id}` says of its asset, written in one S3 call with the bytes it belongs to."""

    status: Status
    expires_at: datetime
    """The instant the upload URL ends: UTC, whole seconds."""
    pin: str | None = None
    """The ETag, without quotes, of the bytes that the client means; None when its mark named none."""


class Placeholder(NamedTuple):
    """One version of `uploaded/{id}`: its state, and the ETag that a write must name to replace it."""

    etag: str
    state: State
    written_at: datetime
    """S3's clock when this version was written (`Last-Modified`, whole seconds)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's settings that decide about an asset."""

    upload_url_seconds: int = 900
    grace_seconds: int = 60
    """After expiry, before an unpinned asset is due: an upload that began in time may still be on its way."""
    unmarked_seconds: int = 86_400
    """After expiry, before an asset that nobody marked (or whose pinned bytes were overwritten) is expired."""


# --- ids, keys and the state's spelling in S3 -------------------------------------------------------------------------


def is_asset_id(text: str) -> bool:
    """Whether this is an asset id: a UUIDv4 in lower case, with hyphens."""
    return _ASSET_ID.fullmatch(text) is not None


def uploaded_key(asset_id: str) -> str:
    """The key of the placeholder, and in the end of the asset."""
    return UPLOADED_PREFIX + asset_id


def temp_key(asset_id: str) -> str:
    """The key that the upload URL writes to."""
    return TEMP_PREFIX + asset_id


def parse_etag(text: str) -> str | None:
    """The ETag without its quotes, or None when this is none.

    Weak ETags (`W/…`) are none: S3 never gives one to an object.
    """
    if text[:1] == text[-1:] == '"':
        text = text[1:-1]
    return text if _ETAG.fullmatch(text) else None


def to_metadata(state: State) -> dict[str, str]:
    """The state as `x-amz-meta-*` values, which is what programs read."""
    metadata = to_tags(state)
    if state.pin is not None:
        metadata["pin"] = state.pin
    return metadata


def to_tags(state: State) -> dict[str, str]:
    """The state as object tags, which is what lifecycle rules and people read. A pin is not among them."""
    return {"status": state.status.value, "expires-at": spell_instant(state.expires_at)}


@lru_cache(maxsize=256)
def spell_instant(instant: datetime) -> str:
    """An instant in UTC, as all are here, in whole seconds: `2026-01-31T12:00:00Z`.

    Kept, for each is spelled two or three times.
    """
    return instant.isoformat()[:19] + "Z"  # a quarter of strftime's time


def parse_instant(text: str) -> datetime:
    """The instant that `2026-01-31T12:00:00Z` names, spelled exactly so.

    Raises:
        ValueError: it names none.
    """
    if _INSTANT.fullmatch(text) is None:
        raise ValueError(text)
    return datetime.fromisoformat(text)


def from_metadata(metadata: Mapping[str, str]) -> State:
    """The state that these `x-amz-meta-*` values tell.

    Raises:
        NotAnAssetError: they tell none.
    """
    try:
        status = Status(metadata["status"])
        expires_at = parse_instant(metadata["expires-at"])
        pin = metadata.get("pin")
        if pin is not None and parse_etag(pin) != pin:
            raise ValueError(pin)  # noqa: TRY301 -- one handler says what is wrong with all three
    except (KeyError, ValueError) as error:
        raise NotAnAssetError(f"its metadata is not an asset's: {error!r}") from error
    return State(status, expires_at, pin)


# --- mark: the client says that its upload is done --------------------------------------------------------------------


class Mark(Enum):
    """What a mark comes to, given what the placeholder says."""

    WRITE = auto()
    """Write `marked`, with this mark's pin or none."""
    COMPARE = auto()
    """Pinned: HEAD `temp/{id}`. Its ETag is the pin: WRITE. If not, it is a mismatch only when nothing changed."""
    ACCEPTED = auto()
    """Final with this very pin, a retry whose first answer was lost: say 202, write nothing."""
    ALREADY_UPLOADED = auto()
    EXPIRED = auto()


def judge_mark(state: State, pin: str | None) -> Mark:
    """What to do about a mark, with the placeholder just read.

    Each mark says anew what is meant, so each is a write, even when the placeholder already says the same: whoever
    decided by an older upload (another mark with a pin, a copy that has read its source) then loses its race. An
    unpinned mark over a pin removes the pin.
    """
    match state.status:
        case Status.UPLOADED:
            return Mark.ACCEPTED if pin is not None and pin == state.pin else Mark.ALREADY_UPLOADED
        case Status.EXPIRED:
            return Mark.EXPIRED
        case Status.PENDING | Status.MARKED if pin is not None:
            return Mark.COMPARE
        case Status.PENDING | Status.MARKED:
            return Mark.WRITE


# --- reconcile: what is due -------------------------------------------------------------------------------------------


class Glance(Enum):
    """What the placeholder alone tells about an asset that has bytes in `temp/`."""

    WAIT = auto()
    SWEEP = auto()
    """The asset is final or given up: what lies in `temp/{id}` came late and is garbage."""
    LOOK = auto()
    """It depends on what is in `temp/{id}` now: HEAD it, then `judge`."""


class Verdict(Enum):
    """What to do about an asset, with what is in `temp/{id}` known."""

    WAIT = auto()
    FINALIZE = auto()
    EXPIRE = auto()


def due_at(placeholder: Placeholder, rules: Rules) -> datetime | None:
    """When this asset is due to be finalized: None until it is marked, and once its life is over."""
    state = placeholder.state
    if state.status is not Status.MARKED:
        return None
    if state.pin is not None:
        return placeholder.written_at
    return state.expires_at + timedelta(seconds=rules.grace_seconds)


def glance(state: State, now: datetime, rules: Rules) -> Glance:
    """What to do about an asset, as far as its placeholder tells; `now` is S3's clock."""
    match state.status:
        case Status.UPLOADED | Status.EXPIRED:
            return Glance.SWEEP
        case Status.PENDING:
            return Glance.LOOK if _is_given_up(state, now, rules) else Glance.WAIT
        case Status.MARKED if state.pin is not None:
            return Glance.LOOK
        case Status.MARKED:
            is_due = now >= state.expires_at + timedelta(seconds=rules.grace_seconds)
            return Glance.LOOK if is_due else Glance.WAIT


def judge(state: State, upload_etag: str, now: datetime, rules: Rules) -> Verdict:
    """What to do about an asset worth a LOOK, given the ETag that is now at `temp/{id}`.

    Bytes other than the pin are never finalized: the asset waits for a new mark, until it is given up. Nothing there at
    all is no question to be judged: another run may have finalized the bytes since, so nothing is done.
    """
    if state.status is Status.MARKED and state.pin in (None, upload_etag):
        return Verdict.FINALIZE
    return Verdict.EXPIRE if _is_given_up(state, now, rules) else Verdict.WAIT


def _is_given_up(state: State, now: datetime, rules: Rules) -> bool:
    return now >= state.expires_at + timedelta(seconds=rules.unmarked_seconds)
