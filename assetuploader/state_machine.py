"""The asset's state machine: its states, and every decision about them, as pure values and functions.

An asset uses two S3 keys. The client's bytes arrive at `temp/{id}`. `uploaded/{id}` first holds a *placeholder* and
later the bytes. The placeholder is a compare-and-swap register: its metadata carry an `AssetState`, every write names
the ETag that was read before, and every write has a random body, so that each version has an ETag of its own. A copy of
such a body is never finalized: the final asset would have the ETag of a placeholder, and a late mark could replace it.

    pending --mark--> marked --finalize--> uploaded
     |  |                |                   |  ^
     |  +----------------|--finalize at once-|--+
     +------expire-------+--> expired        +--delete--> nothing

An asset that is uploaded in parts has no mark: `pending` becomes `uploaded` when S3 completes its multipart upload, and
an empty object at `temp/{id}` stands for the upload until then.

An asset expires when it was not marked in time, when other bytes than the pinned ones remain, when nothing was
uploaded, or when it is cancelled. `expired` never changes again, and `uploaded` never but for its deletion.

Nothing here does I/O, reads a clock or creates an id. The asset service, the multipart service and the asset reconciler
read what these functions need, call them, and carry out what they decide.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Final

from assetuploader.declaration import (
    Declaration,
    declaration_from_metadata,
    declaration_to_metadata,
    is_declaration_key,
)
from assetuploader.keys import format_timestamp, parse_etag, parse_timestamp

SCHEMA: Final = "2"
"""The version of the metadata that this program writes."""
MULTIPART_SCHEMA: Final = "3"
"""That of a pending asset that is uploaded in parts. Earlier versions do not know such assets, and would finalize the
empty object that stands for the upload in `temp/`. They leave a placeholder alone whose schema they do not know."""
_READABLE_SCHEMAS: Final = frozenset({"1", SCHEMA, MULTIPART_SCHEMA})
_BODY_PREFIX: Final = b"assetuploader placeholder "
_BODY_MAX_BYTES: Final = 128
_STATE_KEYS: Final = frozenset({"status", "expires-at", "created-at", "pin", "schema", "upload", "part-size"})
_MULTIPART: Final = "multipart"
_PART_BYTES: Final = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_LONGEST_PIN: Final = "0" * 128

MAX_METADATA_BYTES: Final = 2048
"""S3's limit for the names and values of all `x-amz-meta-*` headers together."""
MAX_URL_TTL_SECONDS: Final = 604_800
"""The longest life of a presigned URL: the limit of Signature Version 4."""
MAX_YEAR: Final = 9000
"""Later times are not an asset's. Arithmetic with them would leave Python's range of dates."""


NOTHING_DECLARED: Final = Declaration()


class InvalidPlaceholderError(ValueError):
    """The metadata of the object at `uploaded/{id}` are not an asset's state."""


class Status(StrEnum):
    """How far an asset has come. `expired` never changes again, and `uploaded` never but for its deletion."""

    PENDING = "pending"
    MARKED = "marked"
    UPLOADED = "uploaded"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class AssetState:
    """The state that the object at `uploaded/{id}` carries, written in one S3 call with its bytes."""

    status: Status
    upload_expires_at: datetime
    """When the upload URL expires: UTC, whole seconds, before MAX_YEAR. Stored as `expires-at`."""
    pin: str | None = None
    """The ETag, without quotes, of the bytes that the client means; None when the mark named none."""
    created_at: datetime | None = None
    """UTC, stored in whole seconds; None for an asset of `/asset`, and for one that an earlier version created."""
    declaration: Declaration = NOTHING_DECLARED
    part_bytes: int | None = None
    """How long each part but the last one is, in bytes; None when the asset is uploaded with one PUT."""
    other_metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Metadata that the state machine does not read. Every transition keeps them."""

    @property
    def is_multipart(self) -> bool:
        """Whether it is uploaded in parts, straight to `uploaded/{id}`."""
        return self.part_bytes is not None


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One version of `uploaded/{id}`: its state, and the ETag that a write must name to replace it."""

    etag: str
    state: AssetState
    last_modified: datetime
    """When S3 wrote this version, by its own clock, in whole seconds."""
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The system headers of this version: those of the upload once the asset is final. Keys in lower case."""
    size: int = 0
    """In bytes: that of the upload once the asset is final."""
    has_opaque_etag: bool = False
    """Whether its ETag is not computed from its bytes or from its parts: S3 encrypted it with a key of KMS."""


@dataclass(frozen=True, slots=True)
class LifecyclePolicy:
    """The operator's settings that decide about an asset. The defaults are those of the configuration."""

    upload_url_ttl_seconds: int = 900
    grace_seconds: int = 60
    """How long after the upload URL expired an unpinned asset is due: an upload begun in time may still be running."""
    expire_after_seconds: int = 86_400
    """How long after the upload URL expired an unmarked or mismatched asset expires."""
    finalize_at_once_bytes: int = 64 * 1024 * 1024
    """The longest upload that a mark with a pin finalizes itself; 0: none."""
    multipart_ttl_seconds: int = MAX_URL_TTL_SECONDS
    """How long an upload in parts may take. Its part URLs are valid as long as other upload URLs."""


# --- the state in S3 --------------------------------------------------------------------------------------------------


def to_metadata(state: AssetState) -> dict[str, str]:
    """Return the state as `x-amz-meta-*` values, which programs read."""
    metadata = {
        **state.other_metadata,
        **declaration_to_metadata(state.declaration),
        **to_tags(state),
        "schema": MULTIPART_SCHEMA if state.is_multipart and state.status is Status.PENDING else SCHEMA,
    }
    if state.part_bytes is not None:
        metadata.update({"upload": _MULTIPART, "part-size": str(state.part_bytes)})
    if state.created_at is not None:
        metadata["created-at"] = format_timestamp(state.created_at)
    if state.pin is not None:
        metadata["pin"] = state.pin
    return metadata


def to_tags(state: AssetState) -> dict[str, str]:
    """Return the state as object tags, which lifecycle rules and people read. The pin is not among them."""
    return {"status": state.status.value, "expires-at": format_timestamp(state.upload_expires_at)}


def from_metadata(metadata: Mapping[str, str]) -> AssetState:
    """Return the state in these `x-amz-meta-*` values. Without `schema` they are schema 1, which lacks only that key.

    Raises:
        InvalidPlaceholderError: They hold no state, or one of a schema that this program does not know.
    """
    try:
        status = Status(metadata["status"])
        upload_expires_at = parse_timestamp(metadata["expires-at"])
        created_at = parse_timestamp(metadata["created-at"]) if "created-at" in metadata else None
        declaration = declaration_from_metadata(metadata)
        part_bytes = _part_bytes_from_metadata(metadata)
    except (KeyError, ValueError) as error:
        raise InvalidPlaceholderError(f"the object has no asset state in its metadata: {error!r}") from error
    if upload_expires_at.year >= MAX_YEAR:
        raise InvalidPlaceholderError(f"the upload URL expires in the year {upload_expires_at.year}")
    pin = metadata.get("pin")
    if pin is not None and parse_etag(pin) != pin:
        raise InvalidPlaceholderError(f"the pin is not an ETag: {pin!r}")
    schema = metadata.get("schema", "1")
    if schema not in _READABLE_SCHEMAS:
        raise InvalidPlaceholderError(f"the state has schema {schema!r}, which this version does not know")
    others = {
        name: value for name, value in metadata.items() if name not in _STATE_KEYS and not is_declaration_key(name)
    }
    return AssetState(status, upload_expires_at, pin, created_at, declaration, part_bytes, others)


def _part_bytes_from_metadata(metadata: Mapping[str, str]) -> int | None:
    match metadata.get("upload"):
        case None:
            return None
        case "multipart" if _PART_BYTES.fullmatch(metadata["part-size"]):
            return int(metadata["part-size"])
        case method:
            raise ValueError(f"the upload method is {method!r}, or its part size is not a number")


def excess_metadata_bytes(declaration: Declaration, created_at: datetime, part_bytes: int | None = None) -> int:
    """Return by how many bytes the metadata of an asset with this declaration exceed S3's limit; 0 if they do not.

    A later transition adds a pin, and must fit, too.
    """
    longest = AssetState(Status.UPLOADED, created_at, _LONGEST_PIN, created_at, declaration, part_bytes)
    used = sum(len(name) + len(value) for name, value in to_metadata(longest).items())
    return max(0, used - MAX_METADATA_BYTES)


def placeholder_body(nonce: bytes) -> bytes:
    """Return the body of a placeholder. A new nonce gives each version an ETag of its own."""
    return _BODY_PREFIX + nonce.hex().encode()


def may_be_placeholder_body(size: int) -> bool:
    """Whether bytes of this size may be the body of a placeholder."""
    return len(_BODY_PREFIX) < size <= _BODY_MAX_BYTES


def is_placeholder_body(body: bytes) -> bool:
    """Whether these bytes are the body of a placeholder, of whichever asset and version."""
    return body.startswith(_BODY_PREFIX) and may_be_placeholder_body(len(body))


# --- mark: the client says that its upload is done --------------------------------------------------------------------


class MarkAction(Enum):
    """What to do about a mark."""

    WRITE = auto()
    """Write `marked`, with the pin of this mark or none."""
    COMPARE = auto()
    """HEAD `temp/{id}`. If it has the pinned bytes, or any without a pin: finalize the asset now if
    `may_finalize_at_once`, else WRITE. Otherwise the mark is refused, unless the placeholder changed: as expired when
    nothing is there and `is_upload_over`, else as a mismatch."""
    ACCEPT = auto()
    """Succeed without a write: the asset is final with this pin, so the response to an earlier mark was lost."""
    ALREADY_UPLOADED = auto()
    EXPIRED = auto()
    WRONG_METHOD = auto()
    """Refuse: the asset is uploaded in parts, and a mark would finalize what stands for them in `temp/`."""


def decide_mark(state: AssetState, pin: str | None, now: datetime) -> MarkAction:
    """Decide about a mark, given the placeholder that was just read. `now` is S3's clock.

    Every mark that is not refused is written, even when the placeholder has the same state already. The new ETag
    invalidates any concurrent mark or finalize that is based on an older upload. An unpinned mark removes an earlier
    pin. It may come before the upload, but not after the upload URL expired without one.
    """
    match state.status:
        case Status.UPLOADED:
            return MarkAction.ACCEPT if pin is not None and pin == state.pin else MarkAction.ALREADY_UPLOADED
        case Status.EXPIRED:
            return MarkAction.EXPIRED
        case Status.PENDING | Status.MARKED if state.is_multipart:
            return MarkAction.WRONG_METHOD
        case Status.PENDING | Status.MARKED:
            return MarkAction.WRITE if pin is None and now < state.upload_expires_at else MarkAction.COMPARE


def is_upload_over(state: AssetState, now: datetime, policy: LifecyclePolicy) -> bool:
    """Whether no upload is to be expected any more. A marked asset that has none then expires."""
    return now >= _grace_ends_at(state, policy)


def may_finalize_at_once(pin: str | None, upload_bytes: int, policy: LifecyclePolicy) -> bool:
    """Whether a mark copies an upload of this size itself: S3 does so in less time than a client waits."""
    return pin is not None and upload_bytes <= policy.finalize_at_once_bytes and policy.finalize_at_once_bytes > 0


# --- delete: the client does not want the asset any more --------------------------------------------------------------


class DeleteAction(Enum):
    """What to do about a deletion."""

    CANCEL = auto()
    """Write `expired`. The reconciler sweeps the upload."""
    REMOVE = auto()
    """Delete `temp/{id}`, which is garbage, and then `uploaded/{id}`."""
    ACCEPT = auto()
    """Succeed without a write: the asset cannot become final."""


def decide_delete(status: Status) -> DeleteAction:
    """Decide about a deletion, given the placeholder that was just read."""
    match status:
        case Status.PENDING | Status.MARKED:
            return DeleteAction.CANCEL
        case Status.UPLOADED:
            return DeleteAction.REMOVE
        case Status.EXPIRED:
            return DeleteAction.ACCEPT


def is_promised(status: Status) -> bool:
    """Whether a client was told that the asset is or becomes final. Only an operator can allow to delete it then."""
    return status in {Status.MARKED, Status.UPLOADED}


# --- reconcile: finalize, expire and sweep what is due ----------------------------------------------------------------


class Action(Enum):
    """What the reconciler does about an asset that has bytes in `temp/`."""

    WAIT = auto()
    INSPECT_UPLOAD = auto()
    """The decision depends on the bytes in `temp/{id}`: HEAD them, and decide again with their ETag."""
    FINALIZE = auto()
    EXPIRE = auto()
    SWEEP = auto()
    """The asset is final or expired: the bytes in `temp/{id}` are garbage."""


class EtagSentinel(Enum):
    """A value in place of an ETag that is not known."""

    NOT_READ = auto()
    UNREADABLE = auto()
    """S3 does not give out these bytes, for example because the client encrypted them with a key of its own."""
    OF_PLACEHOLDER = auto()
    """The bytes are the body of a placeholder."""
    UNDECLARED = auto()
    """The bytes are not those that the client declared."""


NOT_READ: Final = EtagSentinel.NOT_READ
UNREADABLE: Final = EtagSentinel.UNREADABLE
OF_PLACEHOLDER: Final = EtagSentinel.OF_PLACEHOLDER
UNDECLARED: Final = EtagSentinel.UNDECLARED


def is_meant(upload_etag: str | EtagSentinel, pin: str | None) -> bool:
    """Whether a mark with this pin means these bytes: the pinned ones, or any that may become final."""
    return isinstance(upload_etag, str) and pin in (None, upload_etag)


def due_at(placeholder: Placeholder, policy: LifecyclePolicy) -> datetime | None:
    """Return when this asset is due to be finalized: None before it is marked, and once it is final or expired."""
    state = placeholder.state
    if state.status is not Status.MARKED:
        return None
    if state.pin is not None:
        return placeholder.last_modified
    return _grace_ends_at(state, policy)


def decide(state: AssetState, upload_etag: str | EtagSentinel, now: datetime, policy: LifecyclePolicy) -> Action:
    """Decide about an asset that has bytes in `temp/`. `now` is S3's clock.

    Bytes that are not meant are never finalized: the asset waits for another upload and mark until it expires. There is
    no decision about missing bytes, because another run may have finalized them: the caller does nothing then.
    """
    match state.status:
        case Status.UPLOADED | Status.EXPIRED:
            return Action.SWEEP
        case Status.PENDING if not _is_expired(state, now, policy):
            return Action.WAIT
        case Status.MARKED if state.pin is None and now < _grace_ends_at(state, policy):
            return Action.WAIT
        case Status.PENDING | Status.MARKED:
            pass
    if state.is_multipart:  # `temp/` holds no bytes
        return Action.EXPIRE if _is_expired(state, now, policy) else Action.WAIT
    if upload_etag is NOT_READ:
        return Action.INSPECT_UPLOAD
    if state.status is Status.MARKED and is_meant(upload_etag, state.pin):
        return Action.FINALIZE
    return Action.EXPIRE if _is_expired(state, now, policy) else Action.WAIT


def orphan_swept_at(uploaded_at: datetime, policy: LifecyclePolicy) -> datetime:
    """Return from when on bytes in `temp/` without any object at `uploaded/` are garbage.

    No upload URL from before then is valid any more, and an asset of that time would have expired.
    """
    return uploaded_at + timedelta(seconds=MAX_URL_TTL_SECONDS + policy.expire_after_seconds)


def decide_orphan(uploaded_at: datetime, now: datetime, policy: LifecyclePolicy) -> Action:
    """Decide about bytes in `temp/` without any object at `uploaded/`. `now` is S3's clock."""
    return Action.SWEEP if now >= orphan_swept_at(uploaded_at, policy) else Action.WAIT


def _grace_ends_at(state: AssetState, policy: LifecyclePolicy) -> datetime:
    return state.upload_expires_at + timedelta(seconds=policy.grace_seconds)


def _is_expired(state: AssetState, now: datetime, policy: LifecyclePolicy) -> bool:
    return now >= state.upload_expires_at + timedelta(seconds=policy.expire_after_seconds)
