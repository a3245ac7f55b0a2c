"""The asset service: what clients do with assets that are uploaded with one PUT, and with those that are final.

The methods read from S3, let `assetuploader.state_machine` decide, and write to S3. The order of the calls is part of
the protocol: the placeholder is read before `temp/`, and a write names the version of the placeholder that was read.

The methods await nothing but the store and the presigner, so that a test can step them one S3 call at a time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

from assetuploader.asset_cache import AssetCache
from assetuploader.declaration import Declaration
from assetuploader.download_headers import download_headers
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetBusyError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotPendingError,
    AssetNotUploadedError,
    DeletesDisabledError,
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreError,
    UploadMismatchError,
    WrongUploadMethodError,
)
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.placeholders import create_placeholder, expire_asset, read_placeholder, replace_placeholder
from assetuploader.scan_schedule import look_interval_seconds
from assetuploader.state_machine import (
    NOTHING_DECLARED,
    AssetState,
    DeleteAction,
    LifecyclePolicy,
    MarkAction,
    Placeholder,
    Status,
    decide_delete,
    decide_mark,
    due_at,
    is_meant,
    is_promised,
    is_upload_over,
    may_finalize_at_once,
    placeholder_body,
)
from assetuploader.store import ObjectStore, PresignedUrl, Presigner
from assetuploader.uploads import copy_upload, inspect_upload

MAX_CAS_ATTEMPTS: Final = 8
"""How often a compare-and-swap is attempted. Each failed attempt means that another client or run made progress."""
MAX_COPY_ATTEMPTS: Final = 2
"""How often a mark tries to finalize the asset before it leaves that to the reconciler."""
COPY_SECONDS: Final = 1.0
"""How long a mark waits for its copy. Then the mark is still written while the client waits."""
MIN_RETRY_AFTER_SECONDS: Final = 5
"""The shortest `Retry-After`: how often a watching reconciler scans, unless the operator sets another interval."""

FULL_SCAN_INTERVAL_SECONDS: Final = 60
"""How often `temp/` is scanned: the schedule of the CronJob."""


@dataclass(frozen=True, slots=True)
class PendingAsset:
    """An asset that waits for its bytes, and the URL that takes them."""

    asset_id: str
    upload: PresignedUrl
    state: AssetState


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset as it was read or written last."""

    asset_id: str
    placeholder: Placeholder
    retry_after_seconds: int | None = None
    """How long to wait before asking again: whole seconds, at least 1; None when no change is to be expected."""

    @property
    def is_final(self) -> bool:
        """Whether its bytes can be downloaded."""
        return self.placeholder.state.status is Status.UPLOADED

    def require_final(self) -> None:
        """Require that the bytes can be downloaded.

        Raises:
            AssetNotUploadedError, AssetExpiredError: They cannot.
        """
        if self.placeholder.state.status is Status.EXPIRED:
            raise AssetExpiredError
        if not self.is_final:
            raise AssetNotUploadedError(self.retry_after_seconds or MIN_RETRY_AFTER_SECONDS)


@dataclass(frozen=True, slots=True)
class AssetService:
    """The assets of one bucket. The sources of ids and nonces are arguments, so that tests are reproducible."""

    store: ObjectStore
    presigner: Presigner
    policy: LifecyclePolicy
    make_id: Callable[[], UUID]
    make_nonce: Callable[[], bytes]
    """Returns new random bytes for the body of a placeholder, so that its ETag is unique."""
    cache: AssetCache | None = None
    """The uploaded assets that were read last. Only they are cached: they do not change until they are deleted."""

    async def create(
        self, declaration: Declaration = NOTHING_DECLARED, created_at: datetime | None = None
    ) -> PendingAsset:
        """Create a pending asset whose upload must be as declared. `created_at` is only stored.

        Raises:
            StoreError: S3 did not store the placeholder.
        """
        asset_id = str(self.make_id())
        upload = await self._presign_upload(asset_id, declaration)
        created_at = created_at and created_at.replace(microsecond=0)
        state = AssetState(Status.PENDING, upload.expires_at, created_at=created_at, declaration=declaration)
        await create_placeholder(self.store, asset_id, state, self._new_body())
        return PendingAsset(asset_id, upload, state)

    async def refresh_upload_url(self, asset_id: str) -> PendingAsset:
        """Return a new upload URL for a pending asset, which then expires later.

        Raises:
            AssetNotFoundError, AssetNotPendingError, AlreadyUploadedError, AssetExpiredError: The asset is not pending.
            WrongUploadMethodError: The asset is uploaded in parts: its part URLs are to be had again and again.
            AssetBusyError: Other clients wrote the asset in every attempt.
            StoreError: A request to S3 failed.
        """
        for _ in range(MAX_CAS_ATTEMPTS):
            placeholder = await self._read(asset_id)
            state = placeholder.state
            match state.status:
                case Status.PENDING if state.is_multipart:
                    raise WrongUploadMethodError
                case Status.PENDING:
                    pass
                case Status.MARKED:
                    raise AssetNotPendingError
                case Status.UPLOADED:
                    raise AlreadyUploadedError
                case Status.EXPIRED:
                    raise AssetExpiredError
                case _ as unknown:
                    assert_never(unknown)
            upload = await self._presign_upload(asset_id, state.declaration)
            # Never earlier than before: somebody may still be sending bytes to an older URL.
            refreshed = replace(state, upload_expires_at=max(state.upload_expires_at, upload.expires_at))
            try:
                await replace_placeholder(self.store, asset_id, refreshed, self._new_body(), placeholder.etag)
            except PreconditionFailedError:
                continue
            return PendingAsset(asset_id, upload, refreshed)
        raise AssetBusyError

    async def mark(self, asset_id: str, pin: str | None, now: datetime) -> Asset:
        """Record that the client finished its upload. A pin is the ETag of the bytes that the client means.

        A short upload with a pin is final then. In any doubt, the mark is written, and the reconciler finalizes it.

        Raises:
            AssetNotFoundError, AlreadyUploadedError, AssetExpiredError: The asset's state allows no mark.
            WrongUploadMethodError: The asset is uploaded in parts.
            UploadMismatchError: `temp/` does not hold the pinned bytes, or they are the body of a placeholder or not as
                declared, or the upload URL expired and `temp/` holds nothing.
            AssetBusyError: Other clients wrote the asset in every attempt.
            StoreError: A request to S3 failed. The mark may have been stored.
        """
        copies_left = MAX_COPY_ATTEMPTS
        for _ in range(MAX_CAS_ATTEMPTS):
            try:
                asset = await self._try_mark(asset_id, pin, now, may_copy=copies_left > 0)
            except PreconditionFailedError:
                copies_left -= 1
            else:
                if asset is not None:
                    return asset
        raise AssetBusyError

    async def _try_mark(self, asset_id: str, pin: str | None, now: datetime, *, may_copy: bool) -> Asset | None:
        """Mark once; return None when the placeholder changed meanwhile."""
        placeholder = await self._read(asset_id)
        state = placeholder.state
        action = decide_mark(state, pin, now)
        match action:
            case MarkAction.ACCEPT:
                return Asset(asset_id, placeholder)
            case MarkAction.ALREADY_UPLOADED:
                raise AlreadyUploadedError
            case MarkAction.EXPIRED:
                raise AssetExpiredError
            case MarkAction.WRONG_METHOD:
                raise WrongUploadMethodError
            case MarkAction.WRITE:
                pass
            case MarkAction.COMPARE:
                upload = await inspect_upload(self.store, asset_id, state.declaration)
                if upload is None and is_upload_over(state, now, self.policy):
                    await expire_asset(self.store, asset_id, placeholder, self._new_body())
                    raise AssetExpiredError
                if upload is None or not is_meant(upload.etag, pin):
                    # A run may have finalized these bytes and deleted temp/ since the placeholder was read.
                    if await self._read(asset_id) == placeholder:
                        raise UploadMismatchError
                    return None
                if may_copy and may_finalize_at_once(pin, upload.size, self.policy):
                    final = replace(state, status=Status.UPLOADED, pin=pin)
                    # After an error the copy is in doubt. If it took effect, the write below fails. If it arrives
                    # later, it fails itself, because the mark has another ETag.
                    with suppress(StoreError):
                        copied = await copy_upload(self.store, asset_id, placeholder, final, upload, COPY_SECONDS)
                        return Asset(asset_id, copied)
            case _:
                assert_never(action)
        marked = replace(state, status=Status.MARKED, pin=pin)
        etag = await replace_placeholder(self.store, asset_id, marked, self._new_body(), placeholder.etag)
        return self._build_asset(asset_id, Placeholder(etag, marked, now), now)

    async def get(self, asset_id: str, now: datetime) -> Asset:
        """Return the asset in whichever state it is.

        A marked asset expires here when its upload never came: without an object in `temp/` no run sees it.

        Raises:
            AssetNotFoundError: No asset has this id.
            AssetBusyError: Other clients wrote the asset in every attempt.
            StoreError: A request to S3 failed.
        """
        if self.cache is not None and (cached := self.cache.get(asset_id)) is not None:
            return Asset(asset_id, cached)
        for _ in range(MAX_CAS_ATTEMPTS):
            placeholder = await self._read(asset_id)
            if self.cache is not None:
                self.cache.put(asset_id, placeholder)
            state = placeholder.state
            if state.status is Status.MARKED and is_upload_over(state, now, self.policy):
                try:
                    if await inspect_upload(self.store, asset_id, state.declaration) is None:
                        await expire_asset(self.store, asset_id, placeholder, self._new_body())
                        state = replace(state, status=Status.EXPIRED)
                except PreconditionFailedError:  # a run finalized it and deleted temp/, or it was marked again
                    continue
            return self._build_asset(asset_id, replace(placeholder, state=state), now)
        raise AssetBusyError

    async def resolve(self, asset_id: str, expires_in: int, now: datetime) -> PresignedUrl:
        """Return a download URL for a final asset, valid for at most `expires_in` seconds.

        Raises:
            AssetNotFoundError, AssetNotUploadedError, AssetExpiredError: The asset is not final.
            AssetBusyError: Other clients wrote the asset in every attempt.
            StoreError: A request to S3 failed.
        """
        asset = await self.get(asset_id, now)
        asset.require_final()
        return await self.presign_download(asset, expires_in)

    async def presign_download(self, asset: Asset, expires_in: int, *, is_inline: bool = False) -> PresignedUrl:
        """Return a download URL for a final asset, valid for at most `expires_in` seconds.

        Browsers save the file, or show it if `is_inline`.

        Raises:
            StoreError: There are no credentials.
        """
        placeholder = asset.placeholder
        filename = placeholder.state.declaration.filename
        headers = download_headers(placeholder.headers, expires_in, filename, is_inline=is_inline)
        return await self.presigner.presign_get(uploaded_key(asset.asset_id), expires_in, headers)

    async def delete(self, asset_id: str, *, may_delete_promised: bool) -> None:
        """Cancel an asset that is not final, or delete a final one. An asset that does not exist counts as deleted.

        Raises:
            DeletesDisabledError: The asset is marked or final, and `may_delete_promised` is false.
            AssetBusyError: Other clients wrote the asset in every attempt.
            StoreError: A request to S3 failed. The asset may have been deleted.
        """
        for _ in range(MAX_CAS_ATTEMPTS):
            placeholder = await read_placeholder(self.store, asset_id)
            if placeholder is None:
                self._forget(asset_id)
                return
            status = placeholder.state.status
            if is_promised(status) and not may_delete_promised:
                raise DeletesDisabledError
            action = decide_delete(status)
            try:
                match action:
                    case DeleteAction.ACCEPT:
                        pass
                    case DeleteAction.CANCEL:
                        await expire_asset(self.store, asset_id, placeholder, self._new_body())
                    case DeleteAction.REMOVE:
                        # First, because a repeated request does not get here once uploaded/ is deleted.
                        failures = await self.store.delete_objects([temp_key(asset_id)])
                        if failures:
                            raise StoreAccessDeniedError(f"the upload cannot be deleted: {failures}")
                        await self.store.delete_object(uploaded_key(asset_id), if_match=placeholder.etag)
                        self._forget(asset_id)  # afterwards, because a GET may have read it meanwhile
                    case _:
                        assert_never(action)
            except PreconditionFailedError:  # it was marked, finalized or deleted meanwhile
                continue
            return
        raise AssetBusyError

    def _build_asset(self, asset_id: str, placeholder: Placeholder, now: datetime) -> Asset:
        is_waiting = placeholder.state.status in {Status.PENDING, Status.MARKED}
        seconds = _retry_after_seconds(placeholder, now, self.policy) if is_waiting else None
        return Asset(asset_id, placeholder, seconds)

    async def _read(self, asset_id: str) -> Placeholder:
        placeholder = await read_placeholder(self.store, asset_id)
        if placeholder is None:
            raise AssetNotFoundError
        return placeholder

    async def _presign_upload(self, asset_id: str, declaration: Declaration) -> PresignedUrl:
        seconds = self.policy.upload_url_ttl_seconds
        return await self.presigner.presign_put(temp_key(asset_id), seconds, declaration.upload_headers)

    def _forget(self, asset_id: str) -> None:
        if self.cache is not None:
            self.cache.discard(asset_id)

    def _new_body(self) -> bytes:
        return placeholder_body(self.make_nonce())


def _retry_after_seconds(placeholder: Placeholder, now: datetime, policy: LifecyclePolicy) -> int:
    """Return when to ask again: when the asset is due, at the next polls, or at the full scan that reads its upload.

    Polls find what was just uploaded. What they have not found soon is left to a full scan. The upload is at most as
    old as the asset.
    """
    due = due_at(placeholder, policy)
    if due is None:
        return MIN_RETRY_AFTER_SECONDS
    waited_seconds = (now - max(due, placeholder.last_modified)).total_seconds()
    if waited_seconds <= 2 * MIN_RETRY_AFTER_SECONDS:
        return max(MIN_RETRY_AFTER_SECONDS, int((due - now).total_seconds()))
    created_at = placeholder.state.created_at
    if created_at is None:
        created_at = placeholder.state.upload_expires_at - timedelta(seconds=policy.upload_url_ttl_seconds)
    interval_seconds = look_interval_seconds((now - created_at).total_seconds(), policy) or FULL_SCAN_INTERVAL_SECONDS
    return max(MIN_RETRY_AFTER_SECONDS, int(interval_seconds - waited_seconds))
