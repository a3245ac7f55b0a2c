"""An operation is signed and sent, retried if a retry can help, and observed; its response is parsed."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from assetuploader.errors import (
    ConflictError,
    ObjectUnreadableError,
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)
from assetuploader.instrumentation import CallOutcome
from assetuploader.s3.client import MAX_ATTEMPTS
from assetuploader.s3.http import Request, Response, Transport, TransportError
from assetuploader.store import ObjectAttributes
from tests.support.fake_server import AfterResponse, Step
from tests.support.s3_harness import NOW, http_response, s3_harness

NO_ATTRIBUTES = ObjectAttributes({}, {})
PUT_OK = http_response(ETag='"new"')
HEAD_OK = http_response(ETag='"e"', Last_Modified="Thu, 01 Jan 2026 12:00:00 GMT")


def error_response(status: str, code: str, **headers: str) -> bytes:
    """Return a response with S3's error document."""
    return http_response(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode(), **headers)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("404 Not Found", "NoSuchBucket", StoreMisconfiguredError),
        ("400 Bad Request", "InvalidBucketName", StoreMisconfiguredError),
        ("412 Precondition Failed", "PreconditionFailed", PreconditionFailedError),
        ("409 Conflict", "ConditionalRequestConflict", ConflictError),
        ("404 Not Found", "NoSuchKey", PreconditionFailedError),
        ("301 Moved Permanently", "PermanentRedirect", StoreMisconfiguredError),
        ("307 Temporary Redirect", "TemporaryRedirect", StoreMisconfiguredError),
        ("400 Bad Request", "AuthorizationHeaderMalformed", StoreMisconfiguredError),
        ("400 Bad Request", "IllegalLocationConstraintException", StoreMisconfiguredError),
        ("403 Forbidden", "AccessDenied", StoreAccessDeniedError),
        ("403 Forbidden", "SignatureDoesNotMatch", StoreAccessDeniedError),
        ("401 Unauthorized", "Unauthorized", StoreAccessDeniedError),
        ("400 Bad Request", "ExpiredToken", StoreAccessDeniedError),
        ("400 Bad Request", "InvalidArgument", StoreUnavailableError),
        ("418 I'm a teapot", "Teapot", StoreUnavailableError),
    ],
)
async def test_a_permanent_error_is_raised_at_once(status: str, code: str, error: type[Exception]) -> None:
    """An error that a retry cannot cure is raised after one request."""
    async with s3_harness(Step(error_response(status, code)), Step(PUT_OK)) as harness:
        with pytest.raises(error) as caught:
            await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old")
        assert type(caught.value) is error
        assert (len(harness.server.requests), harness.pauses) == (1, [])


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(Step(error_response("503 Slow Down", "SlowDown")), id="SlowDown"),
        pytest.param(Step(error_response("500 Internal Server Error", "InternalError")), id="InternalError"),
        pytest.param(Step(error_response("400 Bad Request", "RequestTimeout")), id="RequestTimeout"),
        pytest.param(Step(error_response("409 Conflict", "OperationAborted")), id="OperationAborted"),
        pytest.param(Step(http_response("502 Bad Gateway", b"<html>")), id="a proxy's 502"),
        pytest.param(Step(http_response("504 Gateway Timeout")), id="a gateway's 504"),
        pytest.param(Step(http_response("429 Too Many Requests")), id="429"),
        pytest.param(Step(b"", AfterResponse.CLOSE), id="connection closed"),
        pytest.param(Step(b"", AfterResponse.RESET), id="connection reset"),
        pytest.param(Step(PUT_OK[:-3], AfterResponse.CLOSE), id="response cut off"),
        pytest.param(Step(b"garbage\r\n"), id="garbage"),
    ],
)
class TestTransientErrors:
    """A transient error is retried a few times, with growing pauses."""

    async def test_is_retried(self, failure: Step) -> None:
        """Two failures and a success take three requests and two pauses; the observer sees two retries."""
        async with s3_harness(failure, failure, Step(PUT_OK)) as harness:
            assert await harness.store.put_object("k", b"x", NO_ATTRIBUTES, if_match="old") == "new"
            assert len(harness.server.requests) == MAX_ATTEMPTS == 3
            assert harness.pauses == [0.1, 0.2]
            assert [(call.operation, call.outcome, call.retries) for call in harness.calls] == [
                ("PutObject", CallOutcome.SUCCESS, 2)
            ]

    async def test_ends_as_unavailable(self, failure: Step) -> None:
        """After three failures S3 is unavailable."""
        async with s3_harness(*[failure] * 4) as harness:
            with pytest.raises(StoreUnavailableError):
                await harness.store.put_object("k", b"x", NO_ATTRIBUTES, if_match="old")
            assert len(harness.server.requests) == MAX_ATTEMPTS
            assert [(call.outcome, call.retries) for call in harness.calls] == [(CallOutcome.UNAVAILABLE, 2)]


async def test_a_retry_of_a_write_that_succeeded_fails_its_precondition() -> None:
    """The retry meets the ETag of its own first attempt: 412, so that the caller reads again (docs/design.md)."""
    precondition_failed = error_response("412 Precondition Failed", "PreconditionFailed")
    async with s3_harness(Step(b"", AfterResponse.CLOSE), Step(precondition_failed)) as harness:
        with pytest.raises(PreconditionFailedError):
            await harness.store.put_object("k", b"x", NO_ATTRIBUTES, if_none_match="*")


async def test_a_retry_sends_the_same_request() -> None:
    """Key, conditions, metadata and body are the same in each attempt."""
    async with s3_harness(Step(b"", AfterResponse.CLOSE), Step(PUT_OK)) as harness:
        await harness.store.put_object("k", b"x", ObjectAttributes({"status": "marked"}, {}), if_match="old")
        first, second = harness.server.requests
        assert first == second  # the harness's clock is stopped


async def test_an_error_inside_a_200_response_to_a_copy_is_an_error() -> None:
    """S3 may respond 200 to CopyObject before the copy ends: the body decides. Transient errors are retried."""
    internal = http_response("200 OK", b"\n\n <?xml version='1.0'?>\n<Error><Code>InternalError</Code></Error>")
    failed = http_response("200 OK", b"<Error><Code>PreconditionFailed</Code></Error>")
    async with s3_harness(Step(internal), Step(failed)) as harness:
        with pytest.raises(PreconditionFailedError):
            await harness.store.copy_object("temp/a", "uploaded/a", NO_ATTRIBUTES, source_if_match="e", if_match="p")
        assert len(harness.server.requests) == 2


async def test_white_space_before_the_copy_result_is_skipped() -> None:
    """While S3 copies it sends white space to keep the connection open; the document after it is the response."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"<CopyObjectResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><ETag>&quot;new&quot;</ETag></CopyObjectResult>"
    pieces = [head, b"1\r\n\n\r\n", b"2\r\n  \r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)]
    async with s3_harness(Step(pieces)) as harness:
        assert (
            await harness.store.copy_object("temp/a", "uploaded/a", NO_ATTRIBUTES, source_if_match="e", if_match="p")
            == "new"
        )


async def test_a_missing_object_is_none() -> None:
    """HEAD and GET of a key that does not exist return None, and are observed as NOT_FOUND."""
    missing = error_response("404 Not Found", "NoSuchKey")
    async with s3_harness(Step(http_response("404 Not Found")), Step(HEAD_OK), Step(missing)) as harness:
        assert await harness.store.head_object("k") is None
        assert await harness.store.get_object("k", 10) is None
        outcomes = [call.outcome for call in harness.calls]
        assert outcomes == [CallOutcome.NOT_FOUND, CallOutcome.SUCCESS, CallOutcome.NOT_FOUND]


async def test_a_missing_object_counts_only_while_the_conformance_object_exists() -> None:
    """The 404 to HEAD has no code: a deleted bucket or an ingress without a route gives the same response."""
    missing = http_response("404 Not Found")
    async with s3_harness(Step(missing), Step(missing)) as harness:
        with pytest.raises(StoreUnavailableError, match="conformance object uploaded/_probe"):
            await harness.store.head_object("k")


async def test_a_400_to_head_is_an_unreadable_object_or_an_expired_token() -> None:
    """If HEAD of the conformance object is 400, too, the token has expired; else only this object is unreadable."""
    bad = http_response("400 Bad Request")
    async with s3_harness(Step(bad), Step(HEAD_OK), Step(bad), Step(bad)) as harness:
        with pytest.raises(ObjectUnreadableError):
            await harness.store.head_object("k")
        with pytest.raises(StoreUnavailableError, match="AWS_SESSION_TOKEN"):
            await harness.store.head_object("k")


@pytest.mark.parametrize(
    "response",
    [
        error_response("400 Bad Request", "InvalidRequest"),
        error_response("403 Forbidden", "InvalidObjectState"),
        error_response("416 Range Not Satisfiable", "InvalidRange"),
        http_response("206 Partial Content", b"x" * 11),
    ],
)
async def test_an_object_that_get_cannot_return_is_not_an_outage(response: bytes) -> None:
    """An encrypted, archived, empty or long object at a report's key does not look like an outage."""
    async with s3_harness(Step(response)) as harness:
        with pytest.raises(ObjectUnreadableError):
            await harness.store.get_object("k", 10)
        assert b"range: bytes=0-10\r\n" in harness.server.requests[0]


async def test_the_body_of_an_object_is_not_an_error_of_s3() -> None:
    """Only CopyObject has errors in a response of 200."""
    body = b"<Error><Code>SlowDown</Code></Error>"
    async with s3_harness(Step(http_response("206 Partial Content", body))) as harness:
        assert await harness.store.get_object("k", 100) == body


class TestListing:
    """Unusual listings that a server or a proxy may return."""

    PAGE = (
        "<ListBucketResult><IsTruncated>{}</IsTruncated>{}<NextContinuationToken>{}</NextContinuationToken>"
        "</ListBucketResult>"
    )
    KEY = "<Contents><Key>temp/a</Key><LastModified>2026-01-01T12:00:00Z</LastModified></Contents>"
    DATE = "Thu, 01 Jan 2026 12:00:00 GMT"

    def build_page(self, truncated: str, contents: str, token: str, date: str = DATE) -> bytes:
        """Return a response to ListObjectsV2."""
        return http_response(body=self.PAGE.format(truncated, contents, token).encode(), Date=date)

    async def test_a_truncated_page_without_keys_is_not_the_end(self) -> None:
        """The listing goes on with S3's token."""
        pages = [
            self.build_page("true", "", "one"),
            self.build_page("true", "", "two"),
            self.build_page("false", self.KEY, ""),
        ]
        async with s3_harness(*map(Step, pages)) as harness:
            page = await harness.store.list_objects("temp/", "")
            assert [listed.key for listed in page.objects] == ["temp/a"]
            assert b"continuation-token=two" in harness.server.requests[2]

    async def test_a_listing_that_does_not_advance_ends(self) -> None:
        """The same token again would be an endless loop."""
        async with s3_harness(*[Step(self.build_page("true", "", "one"))] * 2) as harness:
            with pytest.raises(StoreUnavailableError, match="advance"):
                await harness.store.list_objects("temp/", "")

    @pytest.mark.parametrize("date", ["yesterday", ""])
    async def test_without_a_date_the_corrected_clock_counts(self, date: str) -> None:
        """A proxy that breaks the date does not stop the reconciler."""
        async with s3_harness(Step(self.build_page("false", self.KEY, "", date))) as harness:
            page = await harness.store.list_objects("temp/", "")
            assert page.server_time == datetime.fromtimestamp(NOW, UTC)


@pytest.mark.parametrize(
    "response",
    [
        http_response("404 Not Found", b"<html>default backend - 404</html>"),
        http_response("404 Not Found", b"404 page not found"),
        error_response("404 Not Found", "NoSuchUpload"),
    ],
)
async def test_only_a_404_from_s3_is_a_missing_object(response: bytes) -> None:
    """Only S3's code NoSuchKey means that an object does not exist."""
    async with s3_harness(Step(response)) as harness:
        with pytest.raises(StoreUnavailableError, match="404"):
            await harness.store.get_object("k", 10)


async def test_a_missing_bucket_is_not_a_missing_object() -> None:
    """A bucket that does not exist is reported as such, not as a missing object."""
    async with s3_harness(Step(error_response("404 Not Found", "NoSuchBucket"))) as harness:
        with pytest.raises(StoreMisconfiguredError, match="bucket does not exist"):
            await harness.store.get_object("k", 10)


class TestClockSkew:
    """The machine's clock is off: S3's `Date` header corrects it, once."""

    SERVER_TIME = datetime.fromtimestamp(NOW + 3600, UTC)
    DATE = format_datetime(SERVER_TIME, usegmt=True)

    async def test_is_corrected(self) -> None:
        """A request that S3 rejects as too skewed is signed again at once with S3's time, as is each later one."""
        skewed = error_response("403 Forbidden", "RequestTimeTooSkewed", Date=self.DATE)
        async with s3_harness(Step(skewed), Step(PUT_OK), Step(PUT_OK)) as harness:
            await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old")
            await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old")
            dates = [request.partition(b"x-amz-date: ")[2][:16].decode() for request in harness.server.requests]
            corrected = self.SERVER_TIME.strftime("%Y%m%dT%H%M%SZ")
            assert dates == [datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ"), corrected, corrected]
            assert harness.pauses == []

    async def test_is_recognized_in_a_response_to_head(self) -> None:
        """The response to HEAD has no code: 403 with a distant date means the same."""
        found = http_response(ETag='"e"', Last_Modified=self.DATE)
        async with s3_harness(Step(http_response("403 Forbidden", Date=self.DATE)), Step(found)) as harness:
            assert await harness.store.head_object("k") is not None

    async def test_is_corrected_once(self) -> None:
        """A store that rejects the corrected time, too, is not retried again."""
        skewed = error_response("403 Forbidden", "RequestTimeTooSkewed", Date=self.DATE)
        async with s3_harness(Step(skewed), Step(skewed), Step(PUT_OK)) as harness:
            with pytest.raises(StoreUnavailableError, match="clock"):
                await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old")
            assert len(harness.server.requests) == 2

    @pytest.mark.parametrize("date", ["yesterday", "Fri, 31 Dec 9999 23:59:59 -2359", ""])
    async def test_is_not_corrected_without_a_date(self, date: str) -> None:
        """A `Date` header that is not a date leaves an ordinary error."""
        skewed = error_response("403 Forbidden", "RequestTimeTooSkewed", Date=date)
        async with s3_harness(Step(skewed)) as harness:
            with pytest.raises(StoreUnavailableError, match="clock"):
                await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old")

    async def test_is_not_assumed_for_the_same_time(self) -> None:
        """403 with the right date is an ordinary rejection."""
        date = format_datetime(datetime.fromtimestamp(NOW, UTC), usegmt=True)
        async with s3_harness(Step(http_response("403 Forbidden", Date=date))) as harness:
            with pytest.raises(StoreAccessDeniedError):
                await harness.store.head_object("k")


async def test_throttling_lowers_the_limit_and_successes_raise_it() -> None:
    """SlowDown halves the requests in flight; each success raises the limit again, up to the maximum."""
    slow = error_response("503 Slow Down", "SlowDown")
    async with s3_harness(*[Step(slow)] * 3, *[Step(PUT_OK)] * 12, connections=4) as harness:
        assert harness.limiter.limit == 4
        await asyncio.gather(*[harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old") for _ in range(4)])
        assert harness.limiter.limit < 4
        limits = [harness.limiter.limit]
        for _ in range(8):
            await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old")
            limits.append(harness.limiter.limit)
        assert limits == sorted(limits)
        assert limits[-1] == 4


async def test_retries_are_paid_for_by_successes() -> None:
    """During an outage, retries stop when they have used up the quota that earlier successes filled."""
    async with s3_harness(*[Step(http_response("500 Internal Server Error"))] * 4) as harness:
        harness.store.client.retry_quota.available = 7  # one retry costs 5
        with pytest.raises(StoreUnavailableError):
            await harness.store.head_object("k")
        assert len(harness.server.requests) == 2
        with pytest.raises(StoreUnavailableError):
            await harness.store.head_object("k")
        assert len(harness.server.requests) == 3


async def test_a_cancelled_call_ends_at_once() -> None:
    """A call inside asyncio.timeout is cancelled by it, is observed as cancelled, and its connection is closed."""
    async with s3_harness(Step(b"", AfterResponse.HANG), Step(PUT_OK), connections=1) as harness:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await harness.store.head_object("k")
        assert await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old") == "new"
        assert [call.outcome for call in harness.calls] == [CallOutcome.CANCELLED, CallOutcome.SUCCESS]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(http_response(), id="no ETag"),
        pytest.param(http_response(ETag='"e"'), id="no date"),
        pytest.param(http_response(ETag='"e"', Last_Modified="yesterday"), id="not a date"),
    ],
)
async def test_an_incomplete_response_is_unavailable(message: bytes) -> None:
    """A 200 response without the headers that HeadObject promises means that S3 is unavailable."""
    async with s3_harness(Step(message)) as harness:
        with pytest.raises(StoreUnavailableError, match="cannot be parsed"):
            await harness.store.head_object("k")


async def test_an_object_longer_than_the_limit_is_not_returned() -> None:
    """get_object() never returns more than its limit, even from a server that ignores ranges."""
    async with s3_harness(Step(http_response(body=b"12345")), Step(http_response(body=b"x" * 100_000))) as harness:
        for _ in range(2):
            with pytest.raises(StoreError):
                await harness.store.get_object("k", 4)


async def test_each_call_is_observed_once() -> None:
    """Each call is observed once, with its outcome and duration."""
    failed = error_response("412 Precondition Failed", "PreconditionFailed")
    async with s3_harness(Step(PUT_OK), Step(failed), Step(http_response("403 Forbidden"))) as harness:
        await harness.store.put_object("k", b"{}", NO_ATTRIBUTES)
        for request in (
            harness.store.put_object("k", b"", NO_ATTRIBUTES, if_none_match="*"),
            harness.store.head_object("k"),
        ):
            with pytest.raises((PreconditionFailedError, StoreError)):
                await request
        assert [(call.operation, call.outcome) for call in harness.calls] == [
            ("PutObject", CallOutcome.SUCCESS),
            ("PutObject", CallOutcome.PRECONDITION_FAILED),
            ("HeadObject", CallOutcome.ACCESS_DENIED),
        ]
        assert all(call.seconds > 0 for call in harness.calls)


async def test_a_wrapper_can_fail_any_call_on_the_real_path() -> None:
    """A wrapper of the transport sees each attempt, and can lose its response."""
    operations = []

    def lose_first_response(transport: Transport) -> Transport:
        async def send(request: Request) -> Response:
            operations.append(request.operation)
            response = await transport(request)
            if len(operations) == 1:
                raise TransportError("lost by the test")
            return response

        return send

    async with s3_harness(Step(PUT_OK), Step(PUT_OK), wrap_transport=lose_first_response) as harness:
        await harness.store.put_object("k", b"", NO_ATTRIBUTES, if_match="old")
        assert operations == ["PutObject", "PutObject"]
        assert len(harness.server.requests) == 2


@pytest.mark.parametrize("text", ["a\r\nx-amz-acl: public-read", "a\nb", "a\rb"])
async def test_no_value_becomes_another_header(text: str) -> None:
    """A line break in metadata, tags, keys or headers never reaches the wire."""
    async with s3_harness(Step(PUT_OK)) as harness:
        with pytest.raises(ValueError, match="line break"):
            await harness.store.put_object("k", b"", ObjectAttributes({"status": text}, {}), if_none_match="*")
        assert harness.server.requests == []
        await harness.store.put_object(
            text,
            b"",
            ObjectAttributes({}, {"status": text}, {"content-type": text}),
            if_match="old",
        )
        assert b"x-amz-acl: " not in harness.server.requests[0]


async def test_no_error_contains_a_signature() -> None:
    """Errors and their causes name neither the request's signature nor the keys."""
    async with s3_harness(*[Step(b"", AfterResponse.CLOSE)] * 3) as harness:
        with pytest.raises(StoreUnavailableError) as caught:
            await harness.store.head_object("k")
        error: BaseException | None = caught.value
        while error is not None:
            assert "Signature" not in f"{error!r}"
            error = error.__cause__
