"""A store that is wrong about uploads in parts is found out, whatever it is wrong about."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from assetuploader.conformance import CHECK_ATTRIBUTES, CHECK_KEY
from assetuploader.errors import (
    MultipartUploadLostError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from assetuploader.multipart_check import CHECK_MULTIPART_KEY, find_multipart_problem
from assetuploader.store import (
    NO_HEADERS,
    SAVE_AS_FILE,
    Bucket,
    CompletedPart,
    ObjectAttributes,
    ObjectInfo,
    PartTarget,
    PresignedUrl,
    UploadedPart,
)
from tests.support.in_memory_reports import InMemoryReports
from tests.support.in_memory_s3 import InMemoryS3, RefusedError

OTHER_ETAG = "0" * 32


@dataclass(slots=True)
class LaxS3(InMemoryS3):
    """An S3 that is wrong in the ways that a test names, behind a server on loopback."""

    copies: bool = False
    """It obeys an unsigned `x-amz-copy-source`."""
    takes_any_length: bool = False
    sends_etags: bool = True
    ignores_if_match: bool = False
    loses_metadata: bool = False
    loses_object: bool = False
    keeps_aborted: bool = False
    part_status: int = 0
    """What it responds to every part."""
    hangs_up: bool = False
    """It closes the connection instead of a response to a part."""
    errors: dict[str, Exception] = field(default_factory=dict)
    """What an operation raises, by its name."""
    busy: int = 0
    """How many completions meet another program that writes the same object."""

    async def create_multipart_upload(self, key: str, attributes: ObjectAttributes) -> str:
        """See `MultipartStore.create_multipart_upload`."""
        self._fail("create")
        kept = ObjectAttributes() if self.loses_metadata else attributes
        return await InMemoryS3.create_multipart_upload(self, key, kept)

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """See `MultipartStore.complete_multipart_upload`."""
        self._fail("complete")
        if if_match != OTHER_ETAG and self.busy:
            self.busy -= 1
            raise PreconditionFailedError("412")
        if self.ignores_if_match:
            if_match = self.objects[key].etag
        etag = await InMemoryS3.complete_multipart_upload(self, key, upload_id, parts, if_match=if_match, size=size)
        if self.loses_object:
            del self.objects[key]
        return etag

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """See `MultipartStore.abort_multipart_upload`."""
        self._fail("abort")
        if not self.keeps_aborted:
            await InMemoryS3.abort_multipart_upload(self, key, upload_id)

    async def head_object(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head_object`."""
        self._fail("head")
        return await InMemoryS3.head_object(self, key)

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        """See `MultipartStore.list_parts`."""
        self._fail("list")
        return await InMemoryS3.list_parts(self, key, upload_id)

    def _fail(self, operation: str) -> None:
        if operation in self.errors:
            raise self.errors[operation]

    async def respond(self, request: web.Request) -> web.Response:
        """Take a part as a client of the URL in the path sends it."""
        if self.hangs_up and request.transport is not None:
            request.transport.close()
        if self.part_status:
            return web.Response(status=self.part_status)
        url, body = unquote(request.rel_url.raw_query_string), await request.read()
        if "x-amz-copy-source" in request.headers:
            return web.Response(body=b"<CopyPartResult/>") if self.copies else web.Response(status=403)
        try:
            etag = self.put_part(url, body[: len(b"part")] if self.takes_any_length else body)
        except RefusedError as refused:
            return web.Response(status=refused.status)
        return web.Response(headers={"ETag": f'"{etag}"'} if self.sends_etags else {})


@dataclass(frozen=True, slots=True)
class LaxPresigner:
    """A presigner of URLs that lead to the server."""

    s3: LaxS3
    server: BaseTestServer

    async def presign_put(self, key: str, expires_in: int, headers: Mapping[str, str] = NO_HEADERS) -> PresignedUrl:
        """See `Presigner.presign_put`: nothing here needs it."""
        raise NotImplementedError

    async def presign_part(self, key: str, expires_in: int, part: PartTarget) -> PresignedUrl:
        """See `Presigner.presign_part`."""
        url = await self.s3.presign_part(key, expires_in, part)
        return replace(url, url=f"{self.server.make_url('/')}?{quote(url.url, safe='')}")

    async def presign_get(self, key: str, expires_in: int, headers: Mapping[str, str] = SAVE_AS_FILE) -> PresignedUrl:
        """See `Presigner.presign_get`: nothing here needs it."""
        raise NotImplementedError


@asynccontextmanager
async def served(s3: LaxS3) -> AsyncIterator[Bucket]:
    """Serve the S3."""
    s3.store("put", CHECK_KEY, b"probe", CHECK_ATTRIBUTES)
    app = web.Application()
    app.router.add_put("/", s3.respond)
    async with TestServer(app) as server:
        presigner = LaxPresigner(s3, server)
        yield Bucket("bucket", s3, s3, InMemoryReports(), presigner, presigner)


async def test_a_right_store_has_no_problem_however_often_it_is_tried() -> None:
    """Nothing is left but one small object, and no upload that is paid for."""
    s3 = LaxS3()
    async with served(s3) as bucket:
        assert [await find_multipart_problem(bucket) for _ in range(3)] == [None] * 3
    assert set(s3.objects) == {CHECK_KEY, CHECK_MULTIPART_KEY}
    assert s3.uploads == {}


async def test_programs_that_start_together_do_not_disturb_each_other() -> None:
    """They write the same object."""
    s3 = LaxS3()
    async with served(s3) as bucket:
        problems = await asyncio.gather(*(find_multipart_problem(bucket) for _ in range(4)))
    assert problems == [None] * 4
    assert s3.uploads == {}


CONSEQUENCE = "the holder of a part URL could read any object with it"
PROBLEMS: dict[str, tuple[Callable[[], LaxS3], str]] = {
    "copies": (
        lambda: LaxS3(copies=True),
        f"this store obeys an unsigned x-amz-copy-source on a presigned part: {CONSEQUENCE}",
    ),
    "any length": (
        lambda: LaxS3(takes_any_length=True),
        "this store takes a part of another length than its URL was signed for",
    ),
    "no ETag": (lambda: LaxS3(sends_etags=False), "this store responds 200 to a part, or sends no ETag"),
    "no parts": (lambda: LaxS3(part_status=403), "this store responds 403 to a part, or sends no ETag"),
    "parts not implemented": (lambda: LaxS3(part_status=501), "this store responds 501 to a part, or sends no ETag"),
    "no condition": (
        lambda: LaxS3(ignores_if_match=True),
        "this store ignores conditions: CompleteMultipartUpload with If-Match",
    ),
    "no metadata": (lambda: LaxS3(loses_metadata=True), "this store loses the metadata of a multipart upload"),
    "no object": (lambda: LaxS3(loses_object=True), "this store loses the metadata of a multipart upload"),
    "no abort": (lambda: LaxS3(keeps_aborted=True), "this store keeps a multipart upload that was aborted"),
    "not implemented": (lambda: LaxS3(errors={"create": StoreUnsupportedError("S3 responds 501")}), "S3 responds 501"),
    "denied": (
        lambda: LaxS3(errors={"create": StoreAccessDeniedError("S3 responds 403")}),
        "the check was denied: S3 responds 403",
    ),
    "denied abort": (
        lambda: LaxS3(errors={"abort": StoreAccessDeniedError("S3 responds 403")}),
        "the check was denied: S3 responds 403",
    ),
    "lost upload": (
        lambda: LaxS3(errors={"complete": MultipartUploadLostError("NoSuchUpload")}),
        "the store loses the parts of an upload",
    ),
    "lost part": (
        lambda: LaxS3(errors={"complete": PartsRejectedError("InvalidPart")}),
        "the store loses the parts of an upload",
    ),
}


@pytest.mark.parametrize(("build", "problem"), PROBLEMS.values(), ids=PROBLEMS)
async def test_a_store_that_is_wrong_about_one_thing_is_named(build: Callable[[], LaxS3], problem: str) -> None:
    """The service refuses uploads in parts then, and logs this."""
    async with served(build()) as bucket:
        assert await find_multipart_problem(bucket) == problem


@pytest.mark.parametrize("name", ["copies", "any length", "no ETag", "no condition", "no metadata", "lost part"])
async def test_a_failed_check_leaves_no_upload(name: str) -> None:
    """The check runs at every start, and each open upload is paid for."""
    s3 = PROBLEMS[name][0]()
    async with served(s3) as bucket:
        await find_multipart_problem(bucket)
    assert s3.uploads == {}


OUTAGES: dict[str, tuple[LaxS3, str]] = {
    "parts": (LaxS3(part_status=500), "S3 responds 500 to the check of uploads in parts"),
    "throttled parts": (LaxS3(part_status=503), "S3 responds 503 to the check of uploads in parts"),
    "no response to a part": (LaxS3(hangs_up=True), "no response"),
    **{
        operation: (LaxS3(errors={operation: StoreUnavailableError("away")}), "away")
        for operation in ("create", "complete", "abort", "head", "list")
    },
}


@pytest.mark.parametrize(("s3", "reason"), OUTAGES.values(), ids=OUTAGES)
async def test_an_outage_is_no_problem_of_the_store(s3: LaxS3, reason: str) -> None:
    """Nothing is known about it: the service tries again."""
    async with served(s3) as bucket:
        with pytest.raises(StoreUnavailableError, match=reason):
            await find_multipart_problem(bucket)


async def test_a_missing_bucket_is_no_problem_of_the_store() -> None:
    """The operator must correct a setting."""
    async with served(LaxS3(errors={"create": StoreMisconfiguredError("no bucket")})) as bucket:
        with pytest.raises(StoreMisconfiguredError, match="no bucket"):
            await find_multipart_problem(bucket)


@pytest.mark.parametrize(("busy", "is_final"), [(4, True), (5, False)])
async def test_others_that_write_the_same_object_are_waited_for(busy: int, *, is_final: bool) -> None:
    """Several programs may start at this moment. In the end the service tries again."""
    async with served(LaxS3(busy=busy)) as bucket:
        if is_final:
            assert await find_multipart_problem(bucket) is None
        else:
            with pytest.raises(StoreUnavailableError, match="written by others"):
                await find_multipart_problem(bucket)


async def test_an_object_that_disappears_during_the_check_is_an_outage() -> None:
    """Somebody deleted it."""

    class VanishingS3(LaxS3):
        async def head_object(self, key: str) -> ObjectInfo | None:
            """Find nothing."""
            self.objects.pop(key)
            return None

    async with served(VanishingS3()) as bucket:
        with pytest.raises(StoreUnavailableError, match="written by others"):
            await find_multipart_problem(bucket)
