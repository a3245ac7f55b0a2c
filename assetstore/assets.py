"""The asset's life: create, mark, resolve, and what the reconciler does (finalize, expire, sweep).

Each function gathers by S3 calls, asks `assetstore.protocol`, and acts by S3 calls. The order of the calls is part of
the protocol: the placeholder is read before `temp/`, and the write names the placeholder that was read.

Nothing is awaited here but the door and the signer, so that a test can step these coroutines one S3 call at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, assert_never
from uuid import UUID

from assetstore.door import Door, Said, SignedUrl, Signer
from assetstore.errors import (
    AlreadyUploadedError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotUploadedError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    UploadMismatchError,
)
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
    judge,
    judge_mark,
    temp_key,
    to_metadata,
    to_tags,
    uploaded_key,
)

ATTEMPTS: Final = 8
"""How often a lost race is run again. Each loss means that somebody else made progress."""


@dataclass(frozen=True, slots=True)
class Assets:
    """The assets of one bucket. Chance comes in as an argument, so that a test can repeat what it saw."""

    door: Door
    signer: Signer
    rules: Rules
    make_id: Callable[[], UUID]
    make_nonce: Callable[[], bytes]
    """A fresh body for a placeholder, so that each has an ETag of its own that no client can bring about."""


@dataclass(frozen=True, slots=True)
class Created:
    """A new asset, and where its bytes go."""

    asset_id: str
    upload: SignedUrl


async def create(assets: Assets) -> Created:
    """Make a new pending asset.

    Raises:
        StoreError: S3 did not do it.
    """
    asset_id = str(assets.make_id())
    upload = await assets.signer.sign_upload(temp_key(asset_id), assets.rules.upload_url_seconds)
    state = State(Status.PENDING, upload.expires_at)
    try:
        await _write(assets, asset_id, state, etag=None)
    except PreconditionFailedError:
        placeholder = await read_placeholder(assets.door, asset_id)
        if placeholder is None or placeholder.state != state:  # not our own write, whose answer was lost
            raise StoreUnavailableError("the new asset's key is being written by somebody else; try again") from None
    return Created(asset_id, upload)


async def mark(assets: Assets, asset_id: str, pin: str | None) -> None:
    """Take the client's word that its upload is done; with a pin, that it is the bytes with this ETag.

    Raises:
        AssetNotFoundError, AlreadyUploadedError, AssetExpiredError: as the asset is.
        UploadMismatchError: `temp/` does not hold the pinned bytes.
        StoreError: S3 did not do it, or too many others wrote the same asset; the mark may have happened all the same.
    """
    for _ in range(ATTEMPTS):
        placeholder = await read_placeholder(assets.door, asset_id)
        if placeholder is None:
            raise AssetNotFoundError
        verdict = judge_mark(placeholder.state, pin)
        match verdict:
            case Mark.ACCEPTED:
                return
            case Mark.ALREADY_UPLOADED:
                raise AlreadyUploadedError
            case Mark.EXPIRED:
                raise AssetExpiredError
            case Mark.COMPARE:
                if not await _is_in_temp(assets, asset_id, pin):
                    # Another run may have finalized these very bytes since the placeholder was read, and deleted temp/.
                    if await read_placeholder(assets.door, asset_id) == placeholder:
                        raise UploadMismatchError
                    continue
            case Mark.WRITE:
                pass
            case _:
                assert_never(verdict)
        try:
            marked = State(Status.MARKED, placeholder.state.expires_at, pin)
            await _write(assets, asset_id, marked, etag=placeholder.etag)
        except PreconditionFailedError:
            continue
        return
    raise StoreUnavailableError("too many others are marking this asset; try again")


async def resolve(assets: Assets, asset_id: str, seconds: int, now: datetime) -> SignedUrl:
    """Where the asset's bytes can be had, for that many seconds at most.

    Raises:
        AssetNotFoundError, AssetNotUploadedError, AssetExpiredError: as the asset is.
        StoreError: S3 did not answer.
    """
    placeholder = await read_placeholder(assets.door, asset_id)
    if placeholder is None:
        raise AssetNotFoundError
    match placeholder.state.status:
        case Status.UPLOADED:
            return await assets.signer.sign_download(uploaded_key(asset_id), seconds)
        case Status.EXPIRED:
            raise AssetExpiredError
        case Status.PENDING | Status.MARKED:
            due = due_at(placeholder, assets.rules)
            left_seconds = 0 if due is None else int((due - now).total_seconds())
            raise AssetNotUploadedError(max(_RETRY_AFTER_SECONDS, left_seconds))
        case _ as unknown:
            assert_never(unknown)


_RETRY_AFTER_SECONDS: Final = 5
"""A lingering reconciler looks this often (ASSETUPLOADER_POLL_SECONDS' default)."""


class Outcome(StrEnum):
    """What became of one asset in a run."""

    FINALIZED = "finalized"
    EXPIRED = "expired"
    SWEPT = "swept"
    WAITING = "waiting"
    """Not marked yet, or not due yet."""
    MISMATCHED = "mismatched"
    """Pinned, but `temp/` has other bytes: it waits for a new mark."""
    GONE = "gone"
    """`temp/{id}` went away since it was listed: another run was here."""
    ORPHANED = "orphaned"
    """Bytes in `temp/` without a placeholder, or under an object that is no asset: left alone."""


class Reconciled(NamedTuple):
    """What became of one asset, and what is left to do about it."""

    outcome: Outcome
    is_garbage: bool
    """`temp/{id}` is to be deleted now: the asset is final or given up."""
    marked_at: datetime | None = None
    """When the asset's last mark was written, if it is or was marked."""
    due_at: datetime | None = None
    """When it was due, or will be; None when it is not marked, or its life was over already."""
    is_pinned: bool = False
    """Its last mark named the bytes that it means."""


CHANGES: Final = (Outcome.FINALIZED, Outcome.EXPIRED, Outcome.SWEPT)
"""What a run does to an asset that needs its bytes in `temp/` no more; with any other outcome it is left as it was."""


async def reconcile(assets: Assets, asset_id: str, now: datetime, *, dry_run: bool = False) -> Reconciled:
    """Bring one asset that has bytes in `temp/` as far as it is due at `now`, S3's clock.

    A dry run reads, and answers what a run would have done. `temp/{id}` itself is left to the caller, who deletes in
    batches.

    Raises:
        StoreError: S3 did not do it, or too many others wrote the same asset. The next run continues.
    """
    for _ in range(ATTEMPTS):
        placeholder = await read_placeholder(assets.door, asset_id)
        if placeholder is None:
            return Reconciled(Outcome.ORPHANED, is_garbage=False)
        try:
            outcome = await _advance(assets, asset_id, placeholder, now, dry_run=dry_run)
        except PreconditionFailedError:
            continue
        except StoreError as error:
            error.due_at = due_at(placeholder, assets.rules)
            raise
        return Reconciled(
            outcome,
            is_garbage=outcome in CHANGES,
            marked_at=placeholder.written_at if placeholder.state.status is Status.MARKED else None,
            due_at=due_at(placeholder, assets.rules),
            is_pinned=placeholder.state.pin is not None,
        )
    raise StoreUnavailableError("too many others are writing this asset; the next run continues")


async def _advance(assets: Assets, asset_id: str, placeholder: Placeholder, now: datetime, *, dry_run: bool) -> Outcome:
    state = placeholder.state
    first = glance(state, now, assets.rules)
    match first:
        case Glance.WAIT:
            return Outcome.WAITING
        case Glance.SWEEP:
            return Outcome.SWEPT
        case Glance.LOOK:
            upload = await assets.door.head(temp_key(asset_id))
        case _:
            assert_never(first)
    if upload is None:
        return Outcome.GONE
    verdict = judge(state, upload.etag, now, assets.rules)
    if verdict is Verdict.WAIT:
        return Outcome.MISMATCHED
    if verdict is Verdict.EXPIRE:
        if not dry_run:
            await _write(assets, asset_id, state._replace(status=Status.EXPIRED), etag=placeholder.etag)
        return Outcome.EXPIRED
    if not dry_run:
        final = state._replace(status=Status.UPLOADED)
        said = Said(to_metadata(final), to_tags(final), upload.headers)
        await assets.door.copy_if(temp_key(asset_id), upload.etag, uploaded_key(asset_id), placeholder.etag, said)
    return Outcome.FINALIZED


async def _is_in_temp(assets: Assets, asset_id: str, pin: str | None) -> bool:
    upload = await assets.door.head(temp_key(asset_id))
    return upload is not None and upload.etag == pin


async def read_placeholder(door: Door, asset_id: str) -> Placeholder | None:
    """The placeholder as it is now; None when there is none, or somebody else's object in its place.

    Raises:
        StoreError: S3 did not answer.
    """
    head = await door.head(uploaded_key(asset_id))
    if head is None:
        return None
    try:
        return Placeholder(head.etag, from_metadata(head.metadata), head.last_modified)
    except NotAnAssetError:
        return None


async def _write(assets: Assets, asset_id: str, state: State, *, etag: str | None) -> None:
    said = Said(to_metadata(state), to_tags(state))
    await assets.door.put_if(uploaded_key(asset_id), assets.make_nonce(), said, etag=etag)
