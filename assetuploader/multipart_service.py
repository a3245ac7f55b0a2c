"""The multipart service: create, sign and list parts, complete. For assets that clients upload in parts.

The parts go straight to the final key. The placeholder stays readable there until S3 completes the upload, and then the
asset is final: nothing is copied. Three rules keep that safe (docs/design.md):

- The placeholder is written first, and not again until the end. Amazon dates a multipart object by its initiation, and
  an object that looks older than the one it replaces may lose to it.
- A completion names the ETag of the placeholder. So none succeeds once the asset expired.
- Whatever S3 responds to a completion, the object is read again. Only `CreateMultipartUpload` wrote the status
  `uploaded`, so only that is success.

The upload id is not stored. The client holds it, and it is worth nothing for another key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

from assetuploader.asset_service import Asset
from assetuploader.declaration import Declaration
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetBusyError,
    AssetExpiredError,
    AssetNotFoundError,
    MultipartUploadLostError,
    PartsMismatchError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreUnavailableError,
    UploadLostError,
    WrongUploadMethodError,
)
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.parts import MAX_PARTS, choose_part_bytes, count_parts, implied_etag, part_size
from assetuploader.placeholders import create_placeholder, read_placeholder, to_attributes
from assetuploader.state_machine import (
    AssetState,
    LifecyclePolicy,
    Placeholder,
    Status,
    placeholder_body,
)
from assetuploader.store import (
    CompletedPart,
    MultipartStore,
    ObjectAttributes,
    ObjectStore,
    PartTarget,
    PresignedUrl,
    Presigner,
    UploadedPart,
)

UPLOAD_MARKER: Final = ObjectAttributes(metadata={"purpose": "multipart"})
"""What the empty object at `temp/{id}` carries, for people."""
MAX_COMPLETIONS: Final = 3
"""How often a completion is sent when its condition fails although the placeholder is the same."""


@dataclass(frozen=True, slots=True)
class MultipartAsset:
    """A pending asset that waits for its parts."""

    asset_id: str
    state: AssetState
    part_bytes: int
    """How long each part but the last one is."""

    @property
    def part_count(self) -> int | None:
        """How many parts there are; None when the size was not declared."""
        size = self.state.declaration.size
        return None if size is None else count_parts(size, self.part_bytes)


@dataclass(frozen=True, slots=True)
class PresignedPart:
    """Where to send one part."""

    number: int
    size: int
    """In bytes. S3 rejects a part of another length."""
    target: PresignedUrl


@dataclass(frozen=True, slots=True)
class MultipartService:
    """The assets of one bucket that are uploaded in parts. The sources of ids and nonces are arguments."""

    store: ObjectStore
    multipart: MultipartStore
    presigner: Presigner
    policy: LifecyclePolicy
    make_id: Callable[[], UUID]
    make_nonce: Callable[[], bytes]
    """Returns new random bytes for the body of a placeholder, so that its ETag is unique."""

    async def create(self, declaration: Declaration, now: datetime) -> tuple[MultipartAsset, str]:
        """Create a pending asset, and return it with its upload id. `now` is S3's clock.

        Raises:
            StoreError: A request to S3 failed. What was written expires.
        """
        asset_id = str(self.make_id())
        now = now.replace(microsecond=0)
        part_bytes = choose_part_bytes(declaration.size)
        state = AssetState(
            Status.PENDING,
            now + timedelta(seconds=self.policy.multipart_ttl_seconds),
            created_at=now,
            declaration=declaration,
            part_bytes=part_bytes,
        )
        await create_placeholder(self.store, asset_id, state, placeholder_body(self.make_nonce()))
        # Before there is an upload: a scan lists temp/, and so finds each asset that may have one.
        await self._put_marker(temp_key(asset_id))
        upload_id = await self.multipart.create_multipart_upload(uploaded_key(asset_id), _final_attributes(state))
        return MultipartAsset(asset_id, state, part_bytes), upload_id

    async def presign_parts(
        self, asset_id: str, upload_id: str, numbers: Sequence[int], now: datetime, *, size: int | None = None
    ) -> list[PresignedPart]:
        """Return a URL for each of these parts.

        `size` is that of the file, in bytes, when it was not declared and is known meanwhile. Without either, every
        part is as long as the others.

        Raises:
            AssetNotFoundError, AlreadyUploadedError, AssetExpiredError: The asset is not pending.
            WrongUploadMethodError: The asset is uploaded with one PUT.
            PartsMismatchError: There is no part of this number, `size` is not the declared one, or so many bytes need
                more parts than S3 takes, because nobody knew the size when the length of the parts was chosen.
            StoreError: A request to S3 failed.
        """
        asset = await self._read_pending(asset_id)
        if now >= asset.state.upload_expires_at:
            raise AssetExpiredError
        declared = asset.state.declaration.size
        if declared is not None and size not in {None, declared}:
            raise PartsMismatchError
        total = size if declared is None else declared
        part_count = MAX_PARTS if total is None else count_parts(total, asset.part_bytes)
        if part_count > MAX_PARTS or not all(1 <= number <= part_count for number in numbers):
            raise PartsMismatchError
        presigned = []
        for number in numbers:
            length = asset.part_bytes if total is None else part_size(number, total, asset.part_bytes)
            target = await self.presigner.presign_part(
                uploaded_key(asset_id), self.policy.upload_url_ttl_seconds, PartTarget(upload_id, number, length)
            )
            presigned.append(PresignedPart(number, length, target))
        return presigned

    async def list_parts(self, asset_id: str, upload_id: str) -> tuple[MultipartAsset, Sequence[UploadedPart]]:
        """Return a pending asset and the parts that S3 has, in order.

        Raises:
            AssetNotFoundError, AlreadyUploadedError, AssetExpiredError: The asset is not pending.
            WrongUploadMethodError: The asset is uploaded with one PUT.
            UploadLostError: S3 does not have this upload.
            StoreError: A request to S3 failed.
        """
        asset = await self._read_pending(asset_id)
        try:
            return asset, await self.multipart.list_parts(uploaded_key(asset_id), upload_id)
        except MultipartUploadLostError:
            await self._read_pending(asset_id)  # it may be final or expired meanwhile
            raise UploadLostError from None

    async def complete(self, asset_id: str, upload_id: str, parts: Sequence[CompletedPart]) -> Asset:
        """Complete the upload with these parts, in order, and return the final asset. A repeated completion succeeds.

        Raises:
            AssetNotFoundError, AssetExpiredError: The asset's state allows no completion.
            AlreadyUploadedError: The asset is final with other parts, or cannot be compared with these.
            WrongUploadMethodError: The asset is uploaded with one PUT.
            PartsMismatchError: S3 has other parts, or other ones were declared. The upload remains.
            UploadLostError: S3 does not have this upload.
            AssetBusyError: Other clients wrote the asset in every attempt.
            StoreError: A request to S3 failed. The asset may be final.
        """
        for _ in range(MAX_COMPLETIONS):
            placeholder = await self._read(asset_id)
            if placeholder.state.status is not Status.PENDING:
                return _require_completed(asset_id, placeholder, parts, None)
            asset = _require_multipart(asset_id, placeholder.state)
            if asset.part_count not in {None, len(parts)} or not _are_consecutive(parts):
                raise PartsMismatchError
            etag: str | None = None
            error: Exception | None = None
            try:
                etag = await self.multipart.complete_multipart_upload(
                    uploaded_key(asset_id),
                    upload_id,
                    parts,
                    if_match=placeholder.etag,
                    size=asset.state.declaration.size,
                )
                error = UploadLostError()  # if the asset is still pending, the response was wrong
            except PreconditionFailedError:
                pass
            except MultipartUploadLostError:
                error = UploadLostError()
            except PartsRejectedError:
                error = PartsMismatchError()
            except StoreUnavailableError as unavailable:
                error = unavailable
            placeholder = await self._read(asset_id)
            if placeholder.state.status is not Status.PENDING:
                return _require_completed(asset_id, placeholder, parts, etag)
            if error is not None:
                raise error
        raise AssetBusyError

    async def _put_marker(self, key: str) -> None:
        try:
            await self.store.put_object(key, b"", UPLOAD_MARKER, if_none_match="*")
        except PreconditionFailedError:
            # The response to our own write was lost, unless S3 reported a conflict (409) that wrote nothing.
            if await self.store.head_object(key) is None:
                raise StoreUnavailableError("S3 did not store what stands for the upload; try again") from None

    async def _read_pending(self, asset_id: str) -> MultipartAsset:
        placeholder = await self._read(asset_id)
        match placeholder.state.status:
            case Status.PENDING | Status.MARKED:
                return _require_multipart(asset_id, placeholder.state)
            case Status.UPLOADED:
                raise AlreadyUploadedError
            case Status.EXPIRED:
                raise AssetExpiredError
            case _ as unknown:
                assert_never(unknown)

    async def _read(self, asset_id: str) -> Placeholder:
        placeholder = await read_placeholder(self.store, asset_id)
        if placeholder is None:
            raise AssetNotFoundError
        return placeholder


def _are_consecutive(parts: Sequence[CompletedPart]) -> bool:
    """Whether these are the parts from 1 on, each once. S3 accepts gaps, but the file has none."""
    return all(part.number == number for number, part in enumerate(parts, 1))


def _require_multipart(asset_id: str, state: AssetState) -> MultipartAsset:
    if state.part_bytes is None:
        raise WrongUploadMethodError
    return MultipartAsset(asset_id, state, state.part_bytes)


def _require_completed(
    asset_id: str, placeholder: Placeholder, parts: Sequence[CompletedPart], completed_etag: str | None
) -> Asset:
    """Return the final asset if it is of these parts. `completed_etag` is what S3 responded to the completion.

    That alone proves nothing: when two completions arrive at once, SeaweedFS may respond to both with the ETag of the
    object that one of them made. It counts only where nothing better is known.
    """
    is_implied = placeholder.etag == implied_etag(part.etag for part in parts)
    match placeholder.state.status:
        case Status.UPLOADED if is_implied or (placeholder.has_opaque_etag and placeholder.etag == completed_etag):
            return Asset(asset_id, placeholder)
        case Status.UPLOADED:
            raise AlreadyUploadedError
        case Status.EXPIRED:
            raise AssetExpiredError
        case Status.PENDING | Status.MARKED:
            raise WrongUploadMethodError
        case _ as unknown:
            assert_never(unknown)


def _final_attributes(state: AssetState) -> ObjectAttributes:
    """Return what the object stores once S3 completes the upload of this pending asset."""
    content_type = state.declaration.content_type
    headers = {} if content_type is None else {"content-type": content_type}
    return replace(to_attributes(replace(state, status=Status.UPLOADED)), headers=headers)
