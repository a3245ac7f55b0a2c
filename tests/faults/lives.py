"""Whole lives of one asset on a real S3, each step tried again when it fails, as clients and CronJobs do."""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

import urllib3

from assetstore.assets import Assets, Outcome, create, mark, reconcile, resolve
from assetstore.door import Bucket
from assetstore.errors import AlreadyUploadedError, AssetNotUploadedError, StoreUnavailableError
from assetstore.protocol import Rules, temp_key, uploaded_key
from cli.config import read_config
from cli.open import open_bucket
from local.seaweedfs import LocalS3
from tests.memory_s3 import etag_of

RULES: Final = Rules(upload_url_seconds=600, grace_seconds=0, unmarked_seconds=3600)
TRIES: Final = 3
HTTP: Final = urllib3.PoolManager(maxsize=32, retries=False)

T = TypeVar("T")


class WrongError(Exception):
    """Something was lost, changed, or answered that may not be."""


@contextmanager
def opened_bucket(s3: LocalS3, endpoint_url: str) -> Iterator[Bucket]:
    """The bucket as our programs open it, reached at this endpoint."""
    before = dict(os.environ)
    environment = {**s3.environment(), "AWS_ENDPOINT_URL_S3": endpoint_url}
    os.environ.update(environment)  # where the SDK's chain looks
    try:
        yield open_bucket(read_config(environment))
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(slots=True)
class Life:
    """One asset, reached through a door that may fail, and directly."""

    make_id: Callable[[], UUID]
    faulty: Bucket
    direct: Bucket
    asset_id: str = ""
    url: str = ""
    uploaded: bytes = b""
    told: list[str] = field(default_factory=list)

    def assets(self, bucket: Bucket) -> Assets:
        """The asset store over one of the two."""
        # URLs are signed for the direct way: what clients do does not fail here.
        return Assets(bucket.door, self.direct.signer, RULES, self.make_id, lambda: os.urandom(16))

    async def _tried(self, name: str, step: Callable[[], Awaitable[T]]) -> T:
        for _ in range(TRIES):
            try:
                return await step()
            except StoreUnavailableError as error:
                self.told.append(f"{name}: {error}")
        raise WrongError(f"{name} never went through")

    # --- steps --------------------------------------------------------------------------------------------------------

    async def create(self) -> None:
        """POST /asset. A client that was told of a failure has no id, and asks for another."""
        created = await self._tried("create", lambda: create(self.assets(self.faulty)))
        self.asset_id, self.url = created.asset_id, created.upload.url

    def upload(self, body: bytes) -> None:
        """The client's PUT."""
        answer = HTTP.request("PUT", self.url, body=body, headers={"Content-Type": "text/x-test"})
        if answer.status != 200 or answer.headers["ETag"].strip('"') != etag_of(body):
            raise WrongError(f"upload answered {answer.status}")
        self.uploaded = body

    async def mark(self, pin: bytes | None) -> None:
        """PUT /asset/{id}."""
        etag = None if pin is None else etag_of(pin)
        await self._tried("mark", lambda: mark(self.assets(self.faulty), self.asset_id, etag))

    async def run(self, after: timedelta) -> Outcome:
        """What a run does with this asset, so long after now."""
        now = datetime.now(UTC) + after
        done = await self._tried("reconcile", lambda: reconcile(self.assets(self.faulty), self.asset_id, now))
        if done.is_garbage:
            await self._tried("delete", lambda: self.faulty.door.delete_many([temp_key(self.asset_id)]))
        return done.outcome

    async def require_final(self, body: bytes) -> None:
        """GET /asset/{id}, and the download: these bytes, with what their uploader said of them."""
        found = await self._tried("resolve", lambda: resolve(self.assets(self.faulty), self.asset_id, 60, _now()))
        answer = HTTP.request("GET", found.url)
        if answer.data != body or answer.headers["Content-Type"] != "text/x-test":
            raise WrongError(f"{answer.status} {answer.data!r} instead of {body!r}")

    async def require_not_final(self) -> None:
        """GET /asset/{id} leads nowhere yet."""
        with suppress(AssetNotUploadedError):
            await self._tried("resolve", lambda: resolve(self.assets(self.faulty), self.asset_id, 60, _now()))
            raise WrongError("a download URL before the asset is final")

    async def require_status(self, status: str, *, has_upload: bool) -> None:
        """What the bucket says, asked directly."""
        placeholder = await self.direct.door.head(uploaded_key(self.asset_id))
        upload = await self.direct.door.head(temp_key(self.asset_id))
        if placeholder is None or placeholder.metadata["status"] != status:
            raise WrongError(f"{placeholder} instead of {status}")
        if (upload is not None) != has_upload:
            raise WrongError(f"in temp/: {upload}")

    async def version(self) -> str:
        """The ETag at `uploaded/{id}`, asked directly."""
        placeholder = await self.direct.door.head(uploaded_key(self.asset_id))
        return placeholder.etag if placeholder else ""


def _now() -> datetime:
    return datetime.now(UTC)


# --- the lives --------------------------------------------------------------------------------------------------------


async def unpinned(life: Life) -> None:
    """Marked, final after its deadline, and never again changed by what comes late."""
    await life.create()
    life.upload(b"A")
    await life.mark(None)
    await life.require_not_final()
    await life.run(timedelta())
    await life.require_status("marked", has_upload=True)
    await life.run(timedelta(minutes=11))
    await life.require_final(b"A")
    await _stays(life, b"A")


async def pinned(life: Life) -> None:
    """Pinned, overwritten, pinned anew, final at once."""
    await life.create()
    life.upload(b"A")
    await life.mark(b"A")
    life.upload(b"B")
    await life.run(timedelta())
    await life.require_status("marked", has_upload=True)
    await life.mark(b"B")
    await life.run(timedelta())
    await life.require_final(b"B")
    await life.mark(b"B")
    await _stays(life, b"B")


async def unmarked(life: Life) -> None:
    """Uploaded, never marked, given up, swept."""
    await life.create()
    life.upload(b"A")
    await life.run(timedelta(minutes=69))
    await life.require_status("pending", has_upload=True)
    await life.run(timedelta(minutes=71))
    await life.run(timedelta(minutes=71))
    await life.require_status("expired", has_upload=False)


async def overwritten(life: Life) -> None:
    """Pinned, its bytes overwritten by the client, given up."""
    await life.create()
    life.upload(b"A")
    await life.mark(b"A")
    life.upload(b"B")
    await life.run(timedelta(minutes=71))
    await life.run(timedelta(minutes=71))
    await life.require_status("expired", has_upload=False)


async def _stays(life: Life, body: bytes) -> None:
    version = await life.version()
    life.upload(b"late")
    try:
        await life.mark(None)
    except AlreadyUploadedError:
        pass
    else:
        raise WrongError("a final asset took a mark")
    await life.run(timedelta(minutes=11))
    await life.run(timedelta(days=2))
    await life.require_final(body)
    await life.require_status("uploaded", has_upload=False)
    if await life.version() != version:
        raise WrongError("a final asset was written again")


LIVES: Final = (unpinned, pinned, unmarked, overwritten)
