"""A call is signed, sent, repeated where that helps, translated and observed."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from assetstore.calls import Called, Ending
from assetstore.door import Said
from assetstore.errors import (
    PreconditionFailedError,
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)
from assetstore.s3.caller import ATTEMPTS
from assetstore.s3.message import Answer, NoAnswerError, Request, Send
from assetstore.s3.pace import Pace
from tests.unit.s3.rig import NOW, an_answer, rigged
from tests.unit.s3.scripted import Step, Then

NOTHING = Said({}, {})
WRITTEN = an_answer(ETag='"new"')


def an_error(status: str, code: str, **headers: str) -> bytes:
    """An answer with S3's error document."""
    return an_answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode(), **headers)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("404 Not Found", "NoSuchBucket", StoreMisconfiguredError),
        ("400 Bad Request", "InvalidBucketName", StoreMisconfiguredError),
        ("412 Precondition Failed", "PreconditionFailed", PreconditionFailedError),
        ("409 Conflict", "ConditionalRequestConflict", PreconditionFailedError),
        ("404 Not Found", "NoSuchKey", PreconditionFailedError),
        ("301 Moved Permanently", "PermanentRedirect", StoreMisconfiguredError),
        ("307 Temporary Redirect", "TemporaryRedirect", StoreMisconfiguredError),
        ("400 Bad Request", "AuthorizationHeaderMalformed", StoreMisconfiguredError),
        ("400 Bad Request", "IllegalLocationConstraintException", StoreMisconfiguredError),
        ("403 Forbidden", "AccessDenied", StoreDeniedError),
        ("403 Forbidden", "SignatureDoesNotMatch", StoreDeniedError),
        ("401 Unauthorized", "Unauthorized", StoreDeniedError),
        ("400 Bad Request", "ExpiredToken", StoreDeniedError),
        ("400 Bad Request", "InvalidArgument", StoreUnavailableError),
        ("418 I'm a teapot", "Teapot", StoreUnavailableError),
    ],
)
async def test_what_s3_refuses_for_good_is_told_at_once(status: str, code: str, error: type[Exception]) -> None:
    """Each refusal that repeating cannot cure is one request and one error of ours."""
    async with rigged(Step(an_error(status, code)), Step(WRITTEN)) as rig:
        with pytest.raises(error) as caught:
            await rig.door.put_if("k", b"", NOTHING, etag="old")
        assert type(caught.value) is error
        assert (len(rig.server.requests), rig.pauses) == (1, [])


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Step(an_error("503 Slow Down", "SlowDown")), id="SlowDown"),
        pytest.param(Step(an_error("500 Internal Server Error", "InternalError")), id="InternalError"),
        pytest.param(Step(an_error("400 Bad Request", "RequestTimeout")), id="RequestTimeout"),
        pytest.param(Step(an_error("409 Conflict", "OperationAborted")), id="OperationAborted"),
        pytest.param(Step(an_answer("502 Bad Gateway", b"<html>")), id="a proxy's word"),
        pytest.param(Step(an_answer("504 Gateway Timeout")), id="a gateway's"),
        pytest.param(Step(an_answer("429 Too Many Requests")), id="429"),
        pytest.param(Step(b"", Then.CLOSE), id="lost"),
        pytest.param(Step(b"", Then.RESET), id="reset"),
        pytest.param(Step(WRITTEN[:-3], Then.CLOSE), id="cut"),
        pytest.param(Step(b"garbage\r\n"), id="garbage"),
    ],
)
class TestWhatMayPass:
    """Trouble that may pass: asked again, a few times, with growing pauses."""

    async def test_is_asked_again(self, trouble: Step) -> None:
        """Twice in trouble, then done: three requests, two pauses, one answer, and the observer told of two retries."""
        async with rigged(trouble, trouble, Step(WRITTEN)) as rig:
            assert await rig.door.put_if("k", b"x", NOTHING, etag="old") == "new"
            assert len(rig.server.requests) == ATTEMPTS == 3
            assert rig.pauses == [0.1, 0.2]
            assert [(one.operation, one.ending, one.retries) for one in rig.called] == [("PutObject", Ending.DONE, 2)]

    async def test_ends_as_unavailable(self, trouble: Step) -> None:
        """In trouble for good: after three requests S3 is unavailable."""
        async with rigged(*[trouble] * 4) as rig:
            with pytest.raises(StoreUnavailableError):
                await rig.door.put_if("k", b"x", NOTHING, etag="old")
            assert len(rig.server.requests) == ATTEMPTS
            assert [(one.ending, one.retries) for one in rig.called] == [(Ending.UNAVAILABLE, 2)]


async def test_a_write_done_although_its_answer_was_lost_is_a_failed_precondition() -> None:
    """Repeated, such a write meets its own ETag: 412, which tells the caller to read again (docs/design.md, rule 3)."""
    taken = an_error("412 Precondition Failed", "PreconditionFailed")
    async with rigged(Step(b"", Then.CLOSE), Step(taken)) as rig:
        with pytest.raises(PreconditionFailedError):
            await rig.door.put_if("k", b"x", NOTHING, etag=None)


async def test_each_attempt_is_signed_anew_and_says_the_same() -> None:
    """A repetition is the same request: same key, conditions, metadata and body."""
    async with rigged(Step(b"", Then.CLOSE), Step(WRITTEN)) as rig:
        await rig.door.put_if("k", b"x", Said({"status": "marked"}, {}), etag="old")
        first, second = rig.server.requests
        assert first == second  # the rig's clock stands still


async def test_an_error_inside_a_200_answer_to_a_copy_is_an_error() -> None:
    """S3 may begin to answer CopyObject with 200 before it knows: the body counts. Passing trouble is asked again."""
    internal = an_answer("200 OK", b"\n\n <?xml version='1.0'?>\n<Error><Code>InternalError</Code></Error>")
    failed = an_answer("200 OK", b"<Error><Code>PreconditionFailed</Code></Error>")
    async with rigged(Step(internal), Step(failed)) as rig:
        with pytest.raises(PreconditionFailedError):
            await rig.door.copy_if("temp/a", "e", "uploaded/a", "p", NOTHING)
        assert len(rig.server.requests) == 2


async def test_a_copy_answered_with_blanks_first_is_read() -> None:
    """While S3 copies it sends blanks, to keep the connection: the document behind them is the answer."""
    done = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"<CopyObjectResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><ETag>&quot;new&quot;</ETag></CopyObjectResult>"
    pieces = [done, b"1\r\n\n\r\n", b"2\r\n  \r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)]
    async with rigged(Step(pieces)) as rig:
        assert await rig.door.copy_if("temp/a", "e", "uploaded/a", "p", NOTHING) == "new"


async def test_nothing_there_is_an_answer() -> None:
    """HEAD and GET of a key that does not exist are None, observed as missing."""
    missing = an_error("404 Not Found", "NoSuchKey")
    async with rigged(Step(an_answer("404 Not Found")), Step(missing)) as rig:
        assert await rig.door.head("k") is None
        assert await rig.door.get("k", 10) is None
        assert [one.ending for one in rig.called] == [Ending.MISSING, Ending.MISSING]


async def test_no_bucket_is_not_nothing_there() -> None:
    """Asked for an object of a bucket that does not exist, the door names the bucket."""
    async with rigged(Step(an_error("404 Not Found", "NoSuchBucket"))) as rig:
        with pytest.raises(StoreMisconfiguredError, match="bucket does not exist"):
            await rig.door.get("k", 10)


class TestAnotherClock:
    """The machine's clock is off: S3's `Date` header corrects it, once."""

    THEIRS = datetime.fromtimestamp(NOW + 3600, UTC)
    DATE = format_datetime(THEIRS, usegmt=True)

    @pytest.mark.parametrize("refusal", [an_error("403 Forbidden", "RequestTimeTooSkewed", Date=DATE)])
    async def test_is_corrected(self, refusal: bytes) -> None:
        """Refused as too skewed, the request is signed with S3's time, and so is each after it; nothing is paused."""
        async with rigged(Step(refusal), Step(WRITTEN), Step(WRITTEN)) as rig:
            await rig.door.put_if("k", b"", NOTHING, etag="old")
            await rig.door.put_if("k", b"", NOTHING, etag="old")
            dates = [request.partition(b"x-amz-date: ")[2][:16].decode() for request in rig.server.requests]
            corrected = self.THEIRS.strftime("%Y%m%dT%H%M%SZ")
            assert dates == [datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ"), corrected, corrected]
            assert rig.pauses == []

    async def test_is_seen_from_an_answer_to_head(self) -> None:
        """An answer to HEAD names no code: 403 with a date far off is the same."""
        found = an_answer(ETag='"e"', Last_Modified=self.DATE)
        async with rigged(Step(an_answer("403 Forbidden", Date=self.DATE)), Step(found)) as rig:
            assert await rig.door.head("k") is not None

    async def test_is_corrected_once(self) -> None:
        """A store that goes on refusing is not asked for ever."""
        refusal = an_error("403 Forbidden", "RequestTimeTooSkewed", Date=self.DATE)
        async with rigged(Step(refusal), Step(refusal), Step(WRITTEN)) as rig:
            with pytest.raises(StoreUnavailableError, match="clock"):
                await rig.door.put_if("k", b"", NOTHING, etag="old")
            assert len(rig.server.requests) == 2

    async def test_of_the_same_time_is_not_to_blame(self) -> None:
        """403 with the right date is a refusal like any other."""
        date = format_datetime(datetime.fromtimestamp(NOW, UTC), usegmt=True)
        async with rigged(Step(an_answer("403 Forbidden", Date=date))) as rig:
            with pytest.raises(StoreDeniedError):
                await rig.door.head("k")


async def test_slow_down_lets_fewer_in_and_success_lets_them_back() -> None:
    """SlowDown halves what was under way then; requests that go well bring the others back one by one."""
    slow = an_error("503 Slow Down", "SlowDown")
    async with rigged(*[Step(slow)] * 3, *[Step(WRITTEN)] * 12, connections=4) as rig:
        assert rig.pool.limit == 4
        await asyncio.gather(*[rig.door.put_if("k", b"", NOTHING, etag="old") for _ in range(4)])
        assert rig.pool.limit < 4
        limits = [rig.pool.limit]
        for _ in range(8):
            await rig.door.put_if("k", b"", NOTHING, etag="old")
            limits.append(rig.pool.limit)
        assert limits == sorted(limits)
        assert limits[-1] == 4


def test_a_burst_of_slow_downs_counts_once() -> None:
    """Answers to requests that were under way together halve it once; a later burst halves it again."""
    pace = Pace(64, 64.0)
    assert [pace.slow_down(at, 40) for at in (10.0, 10.1, 10.9, 11.0)] == [20, 20, 20, 10]
    assert [pace.slow_down(100.0 + at, 1) for at in range(3)] == [1, 1, 1]
    assert [pace.speed_up() for _ in range(3)] == [2, 2, 2]
    for _ in range(5000):
        pace.speed_up()
    assert pace.speed_up() == 64


async def test_retries_are_paid_for_by_successes() -> None:
    """In an outage repeating stops once what earlier successes earned is spent."""
    async with rigged(*[Step(an_answer("500 Internal Server Error"))] * 4) as rig:
        rig.door.caller.budget.left = 7
        with pytest.raises(StoreUnavailableError):
            await rig.door.head("k")
        assert len(rig.server.requests) == 2
        with pytest.raises(StoreUnavailableError):
            await rig.door.head("k")
        assert len(rig.server.requests) == 3


async def test_whoever_stops_waiting_is_let_go_at_once() -> None:
    """A call under asyncio.timeout ends with it, is observed as cancelled, and leaves no connection half used."""
    async with rigged(Step(b"", Then.HANG), Step(WRITTEN), connections=1) as rig:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rig.door.head("k")
        assert await rig.door.put_if("k", b"", NOTHING, etag="old") == "new"
        assert [one.ending for one in rig.called] == [Ending.CANCELLED, Ending.DONE]


@pytest.mark.parametrize(
    "says",
    [
        pytest.param(an_answer(), id="no ETag"),
        pytest.param(an_answer(ETag='"e"'), id="no date"),
        pytest.param(an_answer(ETag='"e"', Last_Modified="yesterday"), id="no date that is one"),
    ],
)
async def test_an_answer_that_lacks_its_parts_is_unavailable(says: bytes) -> None:
    """A 200 answer without what HeadObject promises is not made up for."""
    async with rigged(Step(says)) as rig:
        with pytest.raises(StoreUnavailableError, match="cannot be read"):
            await rig.door.head("k")


async def test_an_object_longer_than_the_limit_is_unavailable() -> None:
    """get() never brings more than it was told to, whether S3 says so or the bytes do."""
    async with rigged(Step(an_answer(body=b"12345")), Step(an_answer(body=b"x" * 100_000))) as rig:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                await rig.door.get("k", 4)


async def test_the_observer_is_told_of_each_call_once() -> None:
    """Each call, however it ends, is observed once, with how it ended and what it took."""
    failed = an_error("412 Precondition Failed", "PreconditionFailed")
    async with rigged(Step(WRITTEN), Step(failed), Step(an_answer("403 Forbidden"))) as rig:
        await rig.door.put("k", b"{}", "application/json")
        for write in (rig.door.put_if("k", b"", NOTHING, etag=None), rig.door.head("k")):
            with pytest.raises((PreconditionFailedError, StoreError)):
                await write
        assert [(one.operation, one.ending) for one in rig.called] == [
            ("PutObject", Ending.DONE),
            ("PutObject", Ending.PRECONDITION_FAILED),
            ("HeadObject", Ending.DENIED),
        ]
        assert all(isinstance(one, Called) and one.seconds > 0 for one in rig.called)


async def test_a_wrapper_can_fail_any_call_on_the_real_path() -> None:
    """What `wrap` puts in between sees each attempt, and may lose its answer before or after it was sent."""
    operations = []

    def losing_the_first_answer(send: Send) -> Send:
        async def lose(request: Request) -> Answer:
            operations.append(request.operation)
            answer = await send(request)
            if len(operations) == 1:
                raise NoAnswerError("lost by the test", was_sent=True)
            return answer

        return lose

    async with rigged(Step(WRITTEN), Step(WRITTEN), wrap=losing_the_first_answer) as rig:
        await rig.door.put_if("k", b"", NOTHING, etag="old")
        assert operations == ["PutObject", "PutObject"]
        assert len(rig.server.requests) == 2


@pytest.mark.parametrize("text", ["a\r\nx-amz-acl: public-read", "a\nb", "a\rb"])
async def test_no_value_becomes_another_header(text: str) -> None:
    """A line break in what is said never reaches the wire: not from metadata, tags, keys or headers."""
    async with rigged(Step(WRITTEN)) as rig:
        with pytest.raises(AssertionError):
            await rig.door.put_if("k", b"", Said({"status": text}, {}), etag=None)
        assert rig.server.requests == []
        await rig.door.put_if(
            text, b"", Said({}, {"status": text}, {"content-type": text}), etag=text.split(maxsplit=1)[0]
        )
        assert b"x-amz-acl: " not in rig.server.requests[0]


async def test_no_error_tells_a_signature() -> None:
    """Errors and their causes name neither the request's signature nor the keys."""
    async with rigged(*[Step(b"", Then.CLOSE)] * 3) as rig:
        with pytest.raises(StoreUnavailableError) as caught:
            await rig.door.head("k")
        error: BaseException | None = caught.value
        while error is not None:
            assert "Signature" not in f"{error!r}"
            error = error.__cause__
