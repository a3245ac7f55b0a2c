"""The asset service: create, mark, resolve, and what the reconciler does (finalize, expire, sweep).

The methods read from S3, let `assetuploader.state_machine` decide, and write to S3. The order of the calls is part of
the protocol: the placeholder is read before `temp/`, and a write names the version of the placeholder that was read.

The methods await nothing but the store and the presigner, so that a test can step them one S3 call at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from assetuploader.errors import (
    AlreadyUploadedError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotUploadedError,
    ObjectUnreadableError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    UploadMismatchError,
)
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.outcome import CHANGES, Outcome
from assetuploader.state_machine import (
    NOT_READ,
    UNREADABLE,
    Action,
    AssetState,
    InvalidPlaceholderError,
    LifecyclePolicy,
    MarkAction,
    Placeholder,
    Status,
    decide,
    decide_mark,
    due_at,
    from_metadata,
    to_metadata,
    to_tags,
)
from assetuploader.store import ObjectAttributes, ObjectStore, PresignedUrl, Presigner

MAX_CAS_ATTEMPTS: Final = 8
"""How often a compare-and-swap is attempted. Each failed attempt means that another client or run made progress."""
MIN_RETRY_AFTER_SECONDS: Final = 5
"""The shortest `Retry-After`: how often a watching reconciler scans, unless the operator sets another interval."""


class CopyTooLargeError(Exception):
    """A due asset is longer than the caller copies. Nothing was done."""


@dataclass(frozen=True, slots=True)
class CreatedAsset:
    """A new asset, and the URL that takes its bytes."""

    asset_id: str
    upload: PresignedUrl


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """The outcome of reconciling one asset, and what the caller needs to log, count and delete."""

    outcome: Outcome
    marked_at: datetime | None = None
    """When the last mark was written; None when the asset was not marked, or was final or expired already."""
    due_at: datetime | None = None
    """When the asset was or will be due; None when it is not marked, or is final or expired already."""
    is_pinned: bool = False
    error: StoreError | None = None
    """Why the outcome is `FAILED`."""
    is_too_large: bool = False
    """Whether the asset is due, and was left alone because its copy is longer than the caller allows."""

    @property
    def can_delete_upload(self) -> bool:
        """Whether `temp/{id}` can be deleted now: the asset is final or expired."""
        return self.outcome in CHANGES


@dataclass(frozen=True, slots=True)
class AssetService:
    """The assets of one bucket. The sources of ids and nonces are arguments, so that tests are reproducible."""

    store: ObjectStore
    presigner: Presigner
    policy: LifecyclePolicy
    make_id: Callable[[], UUID]
    make_nonce: Callable[[], bytes]
    """Returns a new body for a placeholder, so that its ETag is unique and no client can produce it."""

    async def create(self) -> CreatedAsset:
        """Create a pending asset.

        Raises:
            StoreError: S3 did not store the placeholder.
        """
        asset_id = str(self.make_id())
        upload = await self.presigner.presign_put(temp_key(asset_id), self.policy.upload_url_ttl_seconds)
        state = AssetState(Status.PENDING, upload.expires_at)
        try:
            await self._create_placeholder(asset_id, state)
        except PreconditionFailedError:
            placeholder = await read_placeholder(self.store, asset_id)
            # The same state means that our own write succeeded, and that its response was lost.
            if placeholder is None or placeholder.state != state:
                raise StoreUnavailableError("another client is writing the key of the new asset; try again") from None
        return CreatedAsset(asset_id, upload)

    async def mark(self, asset_id: str, pin: str | None) -> None:
        """Record that the client finished its upload. A pin is the ETag of the bytes that the client means.

        Raises:
            AssetNotFoundError, AlreadyUploadedError, AssetExpiredError: The asset's state allows no mark.
            UploadMismatchError: `temp/` does not hold the pinned bytes.
            StoreError: A request to S3 failed, or too many clients write this asset. The mark may have been stored.
        """
        for _ in range(MAX_CAS_ATTEMPTS):
            placeholder = await read_placeholder(self.store, asset_id)
            if placeholder is None:
                raise AssetNotFoundError
            action = decide_mark(placeholder.state, pin)
            match action:
                case MarkAction.ACCEPT:
                    return
                case MarkAction.ALREADY_UPLOADED:
                    raise AlreadyUploadedError
                case MarkAction.EXPIRED:
                    raise AssetExpiredError
                case MarkAction.COMPARE:
                    if not await self._upload_matches(asset_id, pin):
                        # A run may have finalized these bytes and deleted temp/ since the placeholder was read.
                        if await read_placeholder(self.store, asset_id) == placeholder:
                            raise UploadMismatchError
                        continue
                case MarkAction.WRITE:
                    pass
                case _:
                    assert_never(action)
            try:
                marked = replace(placeholder.state, status=Status.MARKED, pin=pin)
                await self._replace_placeholder(asset_id, marked, placeholder.etag)
            except PreconditionFailedError:
                continue
            return
        raise StoreUnavailableError("too many clients mark this asset at the same time; try again")

    async def resolve(self, asset_id: str, expires_in: int, now: datetime) -> PresignedUrl:
        """Return a download URL for a final asset, valid for at most `expires_in` seconds.

        Raises:
            AssetNotFoundError, AssetNotUploadedError, AssetExpiredError: The asset is not final.
            StoreError: A request to S3 failed.
        """
        placeholder = await read_placeholder(self.store, asset_id)
        if placeholder is None:
            raise AssetNotFoundError
        match placeholder.state.status:
            case Status.UPLOADED:
                return await self.presigner.presign_get(uploaded_key(asset_id), expires_in)
            case Status.EXPIRED:
                raise AssetExpiredError
            case Status.PENDING | Status.MARKED:
                due = due_at(placeholder, self.policy)
                seconds_until_due = 0 if due is None else int((due - now).total_seconds())
                raise AssetNotUploadedError(max(MIN_RETRY_AFTER_SECONDS, seconds_until_due))
            case _ as unknown:
                assert_never(unknown)

    async def reconcile(
        self, asset_id: str, now: datetime, *, max_copy_bytes: int | None = None, dry_run: bool = False
    ) -> ReconcileResult:
        """Finalize, expire or sweep one asset that has bytes in `temp/`, if it is time. `now` is S3's clock.

        A copy of more than `max_copy_bytes` is left to the caller. A dry run only reads, and returns what a run would
        do. The caller deletes `temp/{id}`, in batches. A `StoreError` is returned as the outcome `FAILED`: the next
        run continues. An asset that a client marks meanwhile is left to the next scan.
        """
        placeholder: Placeholder | None = None
        try:
            placeholder = await read_placeholder(self.store, asset_id)
            if placeholder is None:
                return ReconcileResult(Outcome.ORPHANED)
            try:
                outcome = await self._apply(asset_id, placeholder, now, max_copy_bytes=max_copy_bytes, dry_run=dry_run)
            except PreconditionFailedError:
                placeholder = await read_placeholder(self.store, asset_id)
                # It is final if the response to our own write was lost, or if another run was faster.
                is_done = (
                    placeholder is not None and decide(placeholder.state, NOT_READ, now, self.policy) is Action.SWEEP
                )
                outcome = Outcome.SWEPT if is_done else Outcome.WAITING
            except CopyTooLargeError:
                return replace(self._build_result(Outcome.WAITING, placeholder), is_too_large=True)
            return self._build_result(outcome, placeholder)
        except StoreError as error:
            return self._build_result(Outcome.FAILED, placeholder, error)

    def _build_result(
        self, outcome: Outcome, placeholder: Placeholder | None, error: StoreError | None = None
    ) -> ReconcileResult:
        if placeholder is None:
            return ReconcileResult(outcome, error=error)
        return ReconcileResult(
            outcome,
            marked_at=placeholder.last_modified if placeholder.state.status is Status.MARKED else None,
            due_at=due_at(placeholder, self.policy),
            is_pinned=placeholder.state.pin is not None,
            error=error,
        )

    async def _apply(
        self, asset_id: str, placeholder: Placeholder, now: datetime, *, max_copy_bytes: int | None, dry_run: bool
    ) -> Outcome:
        state = placeholder.state
        match decide(state, NOT_READ, now, self.policy):
            case Action.WAIT:
                return Outcome.WAITING
            case Action.SWEEP:
                return Outcome.SWEPT
            case _:
                pass
        try:
            upload = await self.store.head_object(temp_key(asset_id))
        except ObjectUnreadableError:
            return await self._apply_unreadable(asset_id, placeholder, now, dry_run=dry_run)
        if upload is None:
            return Outcome.UPLOAD_MISSING
        match decide(state, upload.etag, now, self.policy):
            case Action.EXPIRE:
                return await self._expire(asset_id, placeholder, dry_run=dry_run)
            case Action.FINALIZE:
                if not dry_run:
                    if max_copy_bytes is not None and upload.size > max_copy_bytes:
                        raise CopyTooLargeError
                    final = replace(state, status=Status.UPLOADED)
                    await self.store.copy_object(
                        temp_key(asset_id),
                        uploaded_key(asset_id),
                        ObjectAttributes(to_metadata(final), to_tags(final), upload.headers),
                        source_if_match=upload.etag,
                        if_match=placeholder.etag,
                    )
                return Outcome.FINALIZED
            case _:
                return Outcome.ETAG_MISMATCH

    async def _apply_unreadable(
        self, asset_id: str, placeholder: Placeholder, now: datetime, *, dry_run: bool
    ) -> Outcome:
        if decide(placeholder.state, UNREADABLE, now, self.policy) is Action.EXPIRE:
            return await self._expire(asset_id, placeholder, dry_run=dry_run)
        return Outcome.UPLOAD_UNREADABLE

    async def _expire(self, asset_id: str, placeholder: Placeholder, *, dry_run: bool) -> Outcome:
        if not dry_run:
            expired = replace(placeholder.state, status=Status.EXPIRED)
            await self._replace_placeholder(asset_id, expired, placeholder.etag)
        return Outcome.EXPIRED

    async def _upload_matches(self, asset_id: str, pin: str | None) -> bool:
        try:
            upload = await self.store.head_object(temp_key(asset_id))
        except ObjectUnreadableError:
            return False
        return upload is not None and upload.etag == pin

    async def _create_placeholder(self, asset_id: str, state: AssetState) -> None:
        await self.store.put_object(uploaded_key(asset_id), self.make_nonce(), _to_attributes(state), if_none_match="*")

    async def _replace_placeholder(self, asset_id: str, state: AssetState, etag: str) -> None:
        await self.store.put_object(uploaded_key(asset_id), self.make_nonce(), _to_attributes(state), if_match=etag)


async def read_placeholder(store: ObjectStore, asset_id: str) -> Placeholder | None:
    """Return the placeholder, or None when there is no object at its key, or an object that is not a placeholder.

    Raises:
        StoreError: The request to S3 failed.
    """
    try:
        info = await store.head_object(uploaded_key(asset_id))
    except ObjectUnreadableError:  # somebody else's object
        return None
    if info is None:
        return None
    try:
        return Placeholder(info.etag, from_metadata(info.metadata), info.last_modified)
    except InvalidPlaceholderError:
        return None


def _to_attributes(state: AssetState) -> ObjectAttributes:
    return ObjectAttributes(to_metadata(state), to_tags(state))
