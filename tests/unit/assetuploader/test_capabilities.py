"""Each capability is found by itself, on a store that lacks one of them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from assetuploader.capabilities import Capability, find_capabilities
from assetuploader.errors import StoreUnavailableError
from assetuploader.keys import CHECK_UPLOAD_KEY
from assetuploader.store import NO_HEADERS, SAVE_AS_FILE, Bucket, ObjectInfo, PartTarget, PresignedUrl
from tests.support.in_memory_reports import InMemoryReports
from tests.support.in_memory_s3 import InMemoryS3, RefusedError

ALL = frozenset(Capability)


@dataclass(slots=True)
class LaxS3(InMemoryS3):
    """An S3 that lacks something, behind a server on loopback."""

    unsigned: frozenset[str] = frozenset()
    """Headers that it does not sign into URLs, as if it did not compare them."""
    replaces: bool = False
    """It ignores `If-None-Match`."""
    forgets_checksums: int = 0
    """How many times HEAD has no checksum."""
    fails_with_status: int = 0

    async def head_object(self, key: str) -> ObjectInfo | None:
        """Return the object, perhaps without its checksum."""
        found = await InMemoryS3.head_object(self, key)
        if found is not None and self.forgets_checksums:
            self.forgets_checksums -= 1
            return replace(found, sha256=None)
        return found

    async def respond(self, request: web.Request) -> web.Response:
        """Upload as a client of the URL in the path does."""
        if self.fails_with_status:
            return web.Response(status=self.fails_with_status)
        url = unquote(request.rel_url.raw_query_string)
        if self.replaces:
            self.objects.clear()
        try:
            self.put(url, await request.read(), request.headers)
        except RefusedError as refused:
            return web.Response(status=refused.status)
        return web.Response()


@dataclass(frozen=True, slots=True)
class LaxPresigner:
    """A presigner of URLs that lead to the server."""

    s3: LaxS3
    server: BaseTestServer

    async def presign_put(self, key: str, expires_in: int, headers: Mapping[str, str] = NO_HEADERS) -> PresignedUrl:
        """See `Presigner.presign_put`."""
        signed = {name: value for name, value in headers.items() if name not in self.s3.unsigned}
        url = await self.s3.presign_put(key, expires_in, signed)
        return replace(url, url=f"{self.server.make_url('/')}?{quote(url.url, safe='')}")

    async def presign_part(self, key: str, expires_in: int, part: PartTarget) -> PresignedUrl:
        """See `Presigner.presign_part`: nothing here needs it."""
        raise NotImplementedError

    async def presign_get(self, key: str, expires_in: int, headers: Mapping[str, str] = SAVE_AS_FILE) -> PresignedUrl:
        """See `Presigner.presign_get`: nothing here needs it."""
        raise NotImplementedError


@asynccontextmanager
async def served(s3: LaxS3) -> AsyncIterator[Bucket]:
    """Serve the S3."""
    app = web.Application()
    app.router.add_put("/", s3.respond)
    async with TestServer(app) as server:
        presigner = LaxPresigner(s3, server)
        yield Bucket("bucket", s3, s3, InMemoryReports(), presigner, presigner)


@pytest.mark.parametrize(
    ("s3", "found"),
    [
        (LaxS3(), ALL),
        (LaxS3(unsigned=frozenset({"content-length"})), ALL - {Capability.SIZE}),
        (LaxS3(unsigned=frozenset({"content-type"})), ALL - {Capability.CONTENT_TYPE}),
        (LaxS3(unsigned=frozenset({"x-amz-checksum-sha256"})), ALL - {Capability.CHECKSUM}),
        (LaxS3(forgets_checksums=99), ALL - {Capability.CHECKSUM}),
        (LaxS3(unsigned=frozenset({"if-none-match"})), ALL - {Capability.WRITE_ONCE}),
        (LaxS3(replaces=True), ALL - {Capability.WRITE_ONCE}),
        (LaxS3(fails_with_status=501), frozenset()),
        (LaxS3(fails_with_status=403), frozenset()),
    ],
    ids=[
        "everything",
        "any length",
        "any type",
        "unsigned checksum",
        "no checksum of HEAD",
        "unsigned If-None-Match",
        "ignored If-None-Match",
        "not implemented",
        "forbidden",
    ],
)
async def test_what_a_store_lacks_is_not_found_and_everything_else_is(s3: LaxS3, found: frozenset[Capability]) -> None:
    """A capability needs both: the declared upload is accepted, and every other one refused."""
    async with served(s3) as bucket:
        assert await find_capabilities(bucket) == found
    assert set(s3.objects) <= {CHECK_UPLOAD_KEY}


async def test_another_program_that_uploads_at_the_same_time_hides_nothing() -> None:
    """It uploads without a checksum to the same key, between the upload and its HEAD."""
    async with served(LaxS3(forgets_checksums=2)) as bucket:
        assert await find_capabilities(bucket) == ALL


@pytest.mark.parametrize("status", [500, 503])
async def test_a_failing_store_is_unavailable(status: int) -> None:
    """Nothing is known about it: the service tries again."""
    async with served(LaxS3(fails_with_status=status)) as bucket:
        with pytest.raises(StoreUnavailableError, match=f"S3 responds {status}"):
            await find_capabilities(bucket)
