"""Whole lifecycles of one asset on a real S3. A step that fails is retried, as clients and CronJobs do."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeVar
from uuid import UUID

import urllib3

from assetuploader.asset_reconciler import AssetReconciler, ReconcileResult
from assetuploader.asset_service import AssetService
from assetuploader.cli.config import read_config
from assetuploader.cli.wiring import open_bucket
from assetuploader.declaration import Declaration
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetNotFoundError,
    AssetNotUploadedError,
    StoreUnavailableError,
    UploadLostError,
    WrongUploadMethodError,
)
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.multipart_service import MultipartService
from assetuploader.outcome import Outcome
from assetuploader.state_machine import NOTHING_DECLARED, LifecyclePolicy
from assetuploader.store import Bucket, CompletedPart
from dev.seaweedfs import LocalS3
from tests.support.in_memory_s3 import etag_of

POLICY: Final = LifecyclePolicy(
    upload_url_ttl_seconds=600, grace_seconds=0, expire_after_seconds=3600, finalize_at_once_bytes=1
)
"""Uploads of one byte are finalized by their mark, longer ones by the reconciler."""
MAX_ATTEMPTS: Final = 3
HTTP: Final = urllib3.PoolManager(maxsize=32, retries=False)

T = TypeVar("T")


class ViolationError(Exception):
    """Something was lost or changed, or a response was wrong."""


@asynccontextmanager
async def opened_bucket(s3: LocalS3, endpoint_url: str) -> AsyncIterator[Bucket]:
    """Open the bucket as the programs do, at this endpoint."""
    before = dict(os.environ)
    environment = {**s3.environment(), "AWS_ENDPOINT_URL_S3": endpoint_url}
    os.environ.update(environment)  # boto3 reads them
    try:
        async with open_bucket(read_config(environment)) as bucket:
            yield bucket
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(slots=True)
class Lifecycle:
    """One asset, reached through a store that may fail and through one that does not."""

    make_id: Callable[[], UUID]
    faulty: Bucket
    direct: Bucket
    asset_id: str = ""
    upload_id: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that the upload URL demands."""
    uploaded: bytes = b""
    errors: list[str] = field(default_factory=list)

    def service(self, bucket: Bucket) -> AssetService:
        """Return the asset service over one of the two buckets."""
        # URLs are signed for the direct endpoint: uploads and downloads do not fail here.
        return AssetService(bucket.store, self.direct.presigner, POLICY, self.make_id, lambda: os.urandom(16))

    async def _retry(self, name: str, step: Callable[[], Awaitable[T]]) -> T:
        for _ in range(MAX_ATTEMPTS):
            try:
                return await step()
            except StoreUnavailableError as error:
                self.errors.append(f"{name}: {error}")
        raise ViolationError(f"{name} never went through")

    def reconciler(self) -> AssetReconciler:
        """Return the asset reconciler over the bucket that may fail."""
        return AssetReconciler(self.faulty.store, self.faulty.multipart, POLICY, lambda: os.urandom(16))

    def multipart(self, bucket: Bucket) -> MultipartService:
        """Return the multipart service over one of the two buckets."""
        return MultipartService(
            bucket.store, bucket.multipart, self.direct.presigner, POLICY, self.make_id, lambda: os.urandom(16)
        )

    # --- steps --------------------------------------------------------------------------------------------------------

    async def create(self, declaration: Declaration = NOTHING_DECLARED) -> None:
        """POST /asset. A client whose request failed has no id, and creates another asset."""
        created = await self._retry("create", lambda: self.service(self.faulty).create(declaration))
        self.headers = declaration.upload_headers
        self.asset_id, self.url = created.asset_id, created.upload.url

    def upload(self, body: bytes) -> None:
        """Send the client's PUT of these bytes."""
        response = HTTP.request("PUT", self.url, body=body, headers={"content-type": "text/x-test", **self.headers})
        if response.status != 200 or response.headers["ETag"].strip('"') != etag_of(body):
            raise ViolationError(f"the upload got {response.status}")
        self.uploaded = body

    async def mark(self, pin: bytes | None) -> None:
        """PUT /asset/{id}, with the pin of these bytes; None is a mark without a pin."""
        etag = None if pin is None else etag_of(pin)
        await self._retry("mark", lambda: self.service(self.faulty).mark(self.asset_id, etag, _now()))

    async def create_in_parts(self, body: bytes) -> None:
        """POST /v1/assets for an upload in parts, and send these bytes as its only part."""
        declaration = Declaration(content_type="text/x-test", size=len(body))
        multipart = self.multipart(self.faulty)
        asset, upload_id = await self._retry("create", lambda: multipart.create(declaration, _now()))
        self.asset_id, self.upload_id = asset.asset_id, upload_id
        [part] = await self._retry("presign", lambda: multipart.presign_parts(asset.asset_id, upload_id, [1], _now()))
        response = HTTP.request("PUT", part.target.url, body=body)
        if response.status != 200:
            raise ViolationError(f"the part got {response.status}")

    async def complete(self, body: bytes) -> None:
        """POST /v1/assets/{id}/complete with these bytes as the only part."""
        parts = [CompletedPart(1, etag_of(body))]
        await self._retry(
            "complete", lambda: self.multipart(self.faulty).complete(self.asset_id, self.upload_id, parts)
        )

    async def upload_in_parts(self, body: bytes) -> None:
        """Create, send and complete. A client whose upload S3 lost starts over."""
        for _ in range(MAX_ATTEMPTS):
            await self.create_in_parts(body)
            listed = await self._retry(
                "list", lambda: self.multipart(self.faulty).list_parts(self.asset_id, self.upload_id)
            )
            if [(part.number, part.etag, part.size) for part in listed[1]] != [(1, etag_of(body), len(body))]:
                raise ViolationError(f"the list of parts is {listed[1]}")
            try:
                await self.complete(body)
            except UploadLostError as error:
                self.errors.append(repr(error))
                continue
            return
        raise ViolationError("every upload was lost")

    async def require_no_open_upload(self) -> None:
        """Require that S3 keeps no parts of this asset, read directly."""
        page = await self.direct.multipart.list_multipart_uploads(uploaded_key(self.asset_id))
        if page.uploads:
            raise ViolationError(f"open uploads remain: {page.uploads}")

    async def refresh(self) -> None:
        """POST /v1/assets/{id}/upload-url: send the bytes to this URL from now on."""
        refreshed = await self._retry("refresh", lambda: self.service(self.faulty).refresh_upload_url(self.asset_id))
        self.url = refreshed.upload.url

    async def delete(self) -> None:
        """DELETE /v1/assets/{id}, with deletes enabled."""
        await self._retry("delete", lambda: self.service(self.faulty).delete(self.asset_id, may_delete_promised=True))

    async def run_twice(self, after: timedelta) -> None:
        """Two runs. The first one leaves an asset whose race it lost to the next one."""
        for _ in range(2):
            await self.run(after)

    async def run(self, after: timedelta) -> Outcome:
        """Reconcile this asset, this long after now."""
        now = datetime.now(UTC) + after
        result = await self._retry("reconcile", lambda: self._reconcile(now))
        if result.can_delete_upload:
            await self._retry("delete", lambda: self.faulty.store.delete_objects([temp_key(self.asset_id)]))
        return result.outcome

    async def _reconcile(self, now: datetime) -> ReconcileResult:
        result = await self.reconciler().reconcile(self.asset_id, now)
        if result.error is not None:
            raise result.error
        return result

    async def require_final(self, body: bytes) -> None:
        """GET /asset/{id} and download: require these bytes, with the headers of their upload."""
        found = await self._retry("resolve", lambda: self.service(self.faulty).resolve(self.asset_id, 60, _now()))
        response = HTTP.request("GET", found.url)
        if response.data != body or response.headers["Content-Type"] != "text/x-test":
            raise ViolationError(f"{response.status} {response.data!r} instead of {body!r}")

    async def require_gone(self) -> None:
        """GET /asset/{id}: require that there is no such asset."""
        try:
            await self._retry("resolve", lambda: self.service(self.faulty).resolve(self.asset_id, 60, _now()))
        except AssetNotFoundError:
            return
        raise ViolationError("a deleted asset is there")

    async def require_not_final(self) -> None:
        """GET /asset/{id}: require that it is not final."""
        try:
            await self._retry("resolve", lambda: self.service(self.faulty).resolve(self.asset_id, 60, _now()))
        except AssetNotUploadedError:
            return
        raise ViolationError("a download URL before the asset is final")

    async def require_status(self, status: str, *, has_upload: bool) -> None:
        """Require this status, and an upload in `temp/` or none, read directly from the bucket."""
        placeholder = await self.direct.store.head_object(uploaded_key(self.asset_id))
        upload = await self.direct.store.head_object(temp_key(self.asset_id))
        if placeholder is None or placeholder.metadata["status"] != status:
            raise ViolationError(f"{placeholder} instead of {status}")
        if (upload is not None) != has_upload:
            raise ViolationError(f"in temp/: {upload}")

    async def version(self) -> str:
        """Return the ETag at `uploaded/{id}`, read directly."""
        placeholder = await self.direct.store.head_object(uploaded_key(self.asset_id))
        return placeholder.etag if placeholder else ""


def _now() -> datetime:
    return datetime.now(UTC)


# --- the lifecycles ---------------------------------------------------------------------------------------------------


async def unpinned(lifecycle: Lifecycle) -> None:
    """Marked, final after its deadline, and never changed by a late upload."""
    await lifecycle.create()
    lifecycle.upload(b"A")
    await lifecycle.mark(None)
    await lifecycle.require_not_final()
    await lifecycle.run(timedelta())
    await lifecycle.require_status("marked", has_upload=True)
    await lifecycle.run_twice(timedelta(minutes=11))
    await lifecycle.require_final(b"A")
    await _require_unchanged(lifecycle, b"A")


async def pinned(lifecycle: Lifecycle) -> None:
    """Pinned, overwritten, pinned again, finalized by the next run."""
    await lifecycle.create()
    lifecycle.upload(b"AA")
    await lifecycle.mark(b"AA")
    lifecycle.upload(b"BB")
    await lifecycle.run(timedelta())
    await lifecycle.require_status("marked", has_upload=True)
    await lifecycle.mark(b"BB")
    await lifecycle.run_twice(timedelta())
    await lifecycle.require_final(b"BB")
    await lifecycle.mark(b"BB")
    await _require_unchanged(lifecycle, b"BB")


async def pinned_and_short(lifecycle: Lifecycle) -> None:
    """Declared, refreshed, pinned, and final when the mark ends, or after the next runs."""
    await lifecycle.create(Declaration("a.txt", "text/x-test", 1, sha256(b"A").hexdigest(), metadata={"a": "b"}))
    await lifecycle.refresh()
    lifecycle.upload(b"A")
    await lifecycle.mark(b"A")
    await lifecycle.run_twice(timedelta())
    await lifecycle.require_final(b"A")
    await lifecycle.mark(b"A")
    await _require_unchanged(lifecycle, b"A", late=b"A")


async def deleted(lifecycle: Lifecycle) -> None:
    """Final, deleted, and gone; what arrives later is never served."""
    await lifecycle.create()
    lifecycle.upload(b"A")
    await lifecycle.mark(b"A")
    await lifecycle.run_twice(timedelta())
    await lifecycle.require_final(b"A")
    await lifecycle.delete()
    await lifecycle.require_gone()
    lifecycle.upload(b"A")
    await lifecycle.run_twice(timedelta())
    await lifecycle.require_gone()
    await lifecycle.delete()


async def cancelled(lifecycle: Lifecycle) -> None:
    """Uploaded, cancelled, swept."""
    await lifecycle.create()
    lifecycle.upload(b"A")
    await lifecycle.delete()
    await lifecycle.run_twice(timedelta())
    await lifecycle.require_status("expired", has_upload=False)


async def in_parts(lifecycle: Lifecycle) -> None:
    """Uploaded in parts, final with its completion, swept, and never changed."""
    await lifecycle.upload_in_parts(b"parts")
    await lifecycle.require_final(b"parts")
    version = await lifecycle.version()
    await lifecycle.complete(b"parts")
    try:
        await lifecycle.mark(None)
    except AlreadyUploadedError:
        pass
    else:
        raise ViolationError("a final asset accepted a mark")
    await lifecycle.run_twice(timedelta())
    await lifecycle.run(timedelta(days=9))
    await lifecycle.require_final(b"parts")
    await lifecycle.require_status("uploaded", has_upload=False)
    await lifecycle.require_no_open_upload()
    if await lifecycle.version() != version:
        raise ViolationError("a final asset was written again")


async def in_parts_and_cancelled(lifecycle: Lifecycle) -> None:
    """Its parts sent, cancelled, aborted and swept."""
    await lifecycle.create_in_parts(b"parts")
    try:
        await lifecycle.mark(None)
    except WrongUploadMethodError:
        pass
    else:
        raise ViolationError("an upload in parts was marked")
    await lifecycle.delete()
    await lifecycle.run_twice(timedelta())
    await lifecycle.require_status("expired", has_upload=False)
    await lifecycle.require_no_open_upload()


async def in_parts_and_abandoned(lifecycle: Lifecycle) -> None:
    """Its parts sent, never completed, expired, aborted and swept."""
    await lifecycle.create_in_parts(b"parts")
    await lifecycle.run(timedelta(days=7, minutes=59))
    await lifecycle.require_status("pending", has_upload=True)
    await lifecycle.run(timedelta(days=7, minutes=61))
    await lifecycle.run(timedelta(days=7, minutes=61))
    await lifecycle.require_status("expired", has_upload=False)
    await lifecycle.require_no_open_upload()


async def unmarked(lifecycle: Lifecycle) -> None:
    """Uploaded, never marked, expired, swept."""
    await lifecycle.create()
    lifecycle.upload(b"A")
    await lifecycle.run(timedelta(minutes=69))
    await lifecycle.require_status("pending", has_upload=True)
    await lifecycle.run(timedelta(minutes=71))
    await lifecycle.run(timedelta(minutes=71))
    await lifecycle.require_status("expired", has_upload=False)


async def overwritten(lifecycle: Lifecycle) -> None:
    """Pinned, its bytes overwritten by the client, expired."""
    await lifecycle.create()
    lifecycle.upload(b"AA")
    await lifecycle.mark(b"AA")
    lifecycle.upload(b"BB")
    await lifecycle.run(timedelta(minutes=71))
    await lifecycle.run(timedelta(minutes=71))
    await lifecycle.require_status("expired", has_upload=False)


async def _require_unchanged(lifecycle: Lifecycle, body: bytes, late: bytes = b"late") -> None:
    version = await lifecycle.version()
    lifecycle.upload(late)
    try:
        await lifecycle.mark(None)
    except AlreadyUploadedError:
        pass
    else:
        raise ViolationError("a final asset accepted a mark")
    await lifecycle.run(timedelta(minutes=11))
    await lifecycle.run(timedelta(days=2))
    await lifecycle.require_final(body)
    await lifecycle.require_status("uploaded", has_upload=False)
    if await lifecycle.version() != version:
        raise ViolationError("a final asset was written again")


LIFECYCLES: Final = (
    *(unpinned, pinned, pinned_and_short, unmarked, overwritten, deleted, cancelled),
    *(in_parts, in_parts_and_cancelled, in_parts_and_abandoned),
)
