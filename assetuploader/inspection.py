"""Inspection of assets without changing them: the phase of each, and what the reconciler will do about it."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from assetuploader.errors import ObjectUnreadableError
from assetuploader.keys import TEMP_PREFIX, is_asset_id, temp_key
from assetuploader.placeholders import has_object, read_placeholder
from assetuploader.state_machine import (
    NOT_READ,
    Action,
    AssetState,
    LifecyclePolicy,
    Placeholder,
    Status,
    decide,
    due_at,
    is_upload_over,
    orphan_swept_at,
)
from assetuploader.store import ObjectInfo, ObjectStore

CONCURRENCY: Final = 32


class AssetPhase(StrEnum):
    """The phase of an asset, as an operator sees it."""

    FINAL = "final"
    WAITING = "waiting"
    """For its mark, its bytes, or the time when it is due."""
    OVERDUE = "overdue"
    """It is due, and no run has finalized it yet."""
    EXPIRED = "expired"
    """It expired, or the next run or request expires it."""
    ORPHANED = "orphaned"
    """The id belongs to no asset, and there are bytes in `temp/`."""
    UNKNOWN = "unknown"
    """The id belongs to no asset."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens to an asset next."""

    phase: AssetPhase
    message: str
    at: datetime | None = None
    """When; in the past for what is overdue."""


@dataclass(frozen=True, slots=True)
class AssetInspection:
    """One asset, as S3 holds it at one time."""

    asset_id: str
    placeholder: Placeholder | None
    upload: ObjectInfo | None
    """The object at `temp/{id}`."""
    now: datetime
    """S3's clock."""
    next_step: NextStep

    @property
    def upload_age(self) -> timedelta | None:
        """How long ago the bytes in `temp/` were written."""
        return self.now - self.upload.last_modified if self.upload else None


async def inspect_asset(store: ObjectStore, asset_id: str, policy: LifecyclePolicy) -> AssetInspection:
    """Inspect one asset.

    Raises:
        StoreError: A request to S3 failed.
    """
    page = await store.list_objects(temp_key(asset_id), temp_key(asset_id))  # for S3's clock
    return await _inspect(store, asset_id, page.server_time, policy)


async def inspect_uploads(store: ObjectStore, policy: LifecyclePolicy) -> AsyncGenerator[AssetInspection]:
    """Inspect every asset that has bytes in `temp/`, in the order of their ids, in constant memory.

    Raises:
        StoreError: A request to S3 failed.
    """
    start_after = TEMP_PREFIX
    while True:
        page = await store.list_objects(TEMP_PREFIX, start_after)
        names = (listed.key.removeprefix(TEMP_PREFIX) for listed in page.objects)
        ids = [name for name in names if is_asset_id(name)]
        for start in range(0, len(ids), CONCURRENCY):
            batch = ids[start : start + CONCURRENCY]
            for inspection in await asyncio.gather(*(_inspect(store, id_, page.server_time, policy) for id_ in batch)):
                yield inspection
        if not page.is_truncated:
            return
        start_after = page.objects[-1].key


async def _inspect(store: ObjectStore, asset_id: str, now: datetime, policy: LifecyclePolicy) -> AssetInspection:
    placeholder = await read_placeholder(store, asset_id)  # before temp/, as the asset service reads
    try:
        upload = await store.head_object(temp_key(asset_id))
    except ObjectUnreadableError:
        message = "S3 does not give out the bytes in temp/: waits for another upload and mark; expires otherwise"
        return AssetInspection(asset_id, placeholder, None, now, NextStep(AssetPhase.WAITING, message))
    if upload is None:  # a run may have finalized the asset and deleted temp/ in between
        placeholder = await read_placeholder(store, asset_id)
    is_taken = placeholder is None and upload is not None and await has_object(store, asset_id)
    next_step = explain(placeholder, upload, now, policy, has_object=is_taken)
    return AssetInspection(asset_id, placeholder, upload, now, next_step)


def _explain_orphan(upload: ObjectInfo, now: datetime, policy: LifecyclePolicy, *, has_object: bool) -> NextStep:
    if has_object:
        message = "the object at uploaded/ is no placeholder that this version reads: the bytes in temp/ are left alone"
        return NextStep(AssetPhase.ORPHANED, message)
    swept_at = orphan_swept_at(upload.last_modified, policy)
    when = "the next run that reads them" if now >= swept_at else "the first run after this time"
    return NextStep(AssetPhase.ORPHANED, f"no asset has this id: {when} deletes the bytes in temp/", swept_at)


def explain(
    placeholder: Placeholder | None,
    upload: ObjectInfo | None,
    now: datetime,
    policy: LifecyclePolicy,
    *,
    has_object: bool = False,
) -> NextStep:
    """Explain what happens next to an asset with this placeholder and this upload at `now`, S3's clock.

    `has_object` says of an asset without a placeholder whether there is another object at its key.
    """
    if placeholder is None:
        if upload is not None:
            return _explain_orphan(upload, now, policy, has_object=has_object)
        return NextStep(AssetPhase.UNKNOWN, "no asset has this id")
    state = placeholder.state
    match state.status:
        case Status.UPLOADED:
            swept = "; the next run deletes what is in temp/" if upload else ""
            # S3 dates an object of parts by the start of its upload.
            final_at = None if state.is_multipart else placeholder.last_modified
            return NextStep(AssetPhase.FINAL, f"final: it never changes again{swept}", final_at)
        case Status.EXPIRED:
            message = "expired: the client must create another asset"
            return NextStep(AssetPhase.EXPIRED, message, placeholder.last_modified)
        case Status.PENDING | Status.MARKED if state.is_multipart:
            return _explain_parts(state, now, policy)
        case Status.PENDING | Status.MARKED if upload is None:
            return _explain_without_upload(state, now, policy)
        case Status.PENDING | Status.MARKED:
            return _explain_with_upload(placeholder, upload, now, policy)
        case _ as unknown:
            assert_never(unknown)


def _explain_with_upload(
    placeholder: Placeholder, upload: ObjectInfo, now: datetime, policy: LifecyclePolicy
) -> NextStep:
    state = placeholder.state
    asset_expires_at = state.upload_expires_at + timedelta(seconds=policy.expire_after_seconds)
    due = due_at(placeholder, policy)
    match decide(state, upload.etag, now, policy):
        case Action.FINALIZE:
            return NextStep(AssetPhase.OVERDUE, "due: the next run finalizes it", due)
        case Action.EXPIRE:
            message = "the next run expires it: these bytes were not marked in time"
            return NextStep(AssetPhase.EXPIRED, message, asset_expires_at)
        case _ if state.pin is not None:
            message = (
                "waits for another mark, because other bytes than the pinned ones were uploaded; expires otherwise"
            )
            return NextStep(AssetPhase.WAITING, message, asset_expires_at)
        case _ if state.status is Status.MARKED:
            return NextStep(AssetPhase.WAITING, "marked: the first run after this time finalizes it", due)
        case _:
            return NextStep(AssetPhase.WAITING, "uploaded: waits for its mark; expires otherwise", asset_expires_at)


def _explain_parts(state: AssetState, now: datetime, policy: LifecyclePolicy) -> NextStep:
    asset_expires_at = state.upload_expires_at + timedelta(seconds=policy.expire_after_seconds)
    if decide(state, NOT_READ, now, policy) is Action.EXPIRE:
        message = "the next run that reads it expires it, and deletes its parts: it was not completed in time"
        return NextStep(AssetPhase.EXPIRED, message, asset_expires_at)
    return NextStep(AssetPhase.WAITING, "waits for its parts and its completion; expires otherwise", asset_expires_at)


def _explain_without_upload(state: AssetState, now: datetime, policy: LifecyclePolicy) -> NextStep:
    if now < state.upload_expires_at:
        message = "nothing is uploaded yet; the upload URL expires at this time"
        return NextStep(AssetPhase.WAITING, message, state.upload_expires_at)
    message = "nothing was uploaded before the upload URL expired; it never becomes final"
    is_over = state.status is Status.MARKED and is_upload_over(state, now, policy)
    phase = AssetPhase.EXPIRED if is_over else AssetPhase.WAITING
    return NextStep(phase, message, state.upload_expires_at)
