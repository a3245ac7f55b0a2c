"""The asset reconciler: finalize, expire and sweep one asset, as a scan of `temp/` finds it.

As in the asset service, the placeholder is read before `temp/`, and a write names the version that was read. The
methods await nothing but the store, so that a test can step them one S3 call at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from assetuploader.errors import PreconditionFailedError, StoreError
from assetuploader.keys import uploaded_key
from assetuploader.open_uploads import abort_uploads
from assetuploader.outcome import CHANGES, Outcome
from assetuploader.placeholders import expire_asset, has_object, read_placeholder
from assetuploader.state_machine import (
    NOT_READ,
    UNREADABLE,
    Action,
    LifecyclePolicy,
    Placeholder,
    Status,
    decide,
    decide_orphan,
    due_at,
    placeholder_body,
)
from assetuploader.store import MultipartStore, ObjectStore
from assetuploader.uploads import copy_upload, inspect_upload


class CopyTooLargeError(Exception):
    """A due asset is longer than the caller copies. Nothing was done."""


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
class AssetReconciler:
    """What the reconciler does with the assets of one bucket. The source of nonces is an argument."""

    store: ObjectStore
    multipart: MultipartStore
    policy: LifecyclePolicy
    make_nonce: Callable[[], bytes]
    """Returns new random bytes for the body of a placeholder, so that its ETag is unique."""

    async def reconcile(
        self,
        asset_id: str,
        now: datetime,
        *,
        uploaded_at: datetime | None = None,
        max_copy_bytes: int | None = None,
        dry_run: bool = False,
    ) -> ReconcileResult:
        """Finalize, expire or sweep one asset that has bytes in `temp/`, if it is time. `now` is S3's clock.

        `uploaded_at` is when these bytes were written: without it, bytes without an asset are never swept.

        A copy of more than `max_copy_bytes` is left to the caller. A dry run only reads, and returns what a run would
        do. The caller deletes `temp/{id}`, in batches. A `StoreError` is returned as the outcome `FAILED`: the next
        run continues. An asset that a client marks meanwhile is left to the next scan.
        """
        placeholder: Placeholder | None = None
        try:
            placeholder = await read_placeholder(self.store, asset_id)
            if placeholder is None:
                return ReconcileResult(await self._judge_orphan(asset_id, uploaded_at, now))
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
            if outcome in CHANGES and placeholder is not None and placeholder.state.is_multipart and not dry_run:
                # Afterwards, so that no completion succeeds any more. Until then temp/ says that there may be parts.
                await abort_uploads(self.multipart, uploaded_key(asset_id))
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
            case Action.EXPIRE:
                if not dry_run:
                    await expire_asset(self.store, asset_id, placeholder, placeholder_body(self.make_nonce()))
                return Outcome.EXPIRED
            case _:
                pass
        upload = await inspect_upload(self.store, asset_id, state.declaration)
        if upload is None:
            return Outcome.UPLOAD_MISSING
        match decide(state, upload.etag, now, self.policy):
            case Action.EXPIRE:
                if not dry_run:
                    await expire_asset(self.store, asset_id, placeholder, placeholder_body(self.make_nonce()))
                return Outcome.EXPIRED
            case Action.FINALIZE:
                if not dry_run:
                    if max_copy_bytes is not None and upload.size > max_copy_bytes:
                        raise CopyTooLargeError
                    await copy_upload(self.store, asset_id, placeholder, replace(state, status=Status.UPLOADED), upload)
                return Outcome.FINALIZED
            case _:
                return Outcome.UPLOAD_UNREADABLE if upload.etag is UNREADABLE else Outcome.ETAG_MISMATCH

    async def _judge_orphan(self, asset_id: str, uploaded_at: datetime | None, now: datetime) -> Outcome:
        """Return the outcome for bytes without a placeholder. An object that is not a placeholder keeps them."""
        is_old = uploaded_at is not None and decide_orphan(uploaded_at, now, self.policy) is Action.SWEEP
        is_garbage = is_old and not await has_object(self.store, asset_id)
        return Outcome.SWEPT if is_garbage else Outcome.ORPHANED
