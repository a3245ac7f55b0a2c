"""A connection brings one whole, believable answer or says that none came; it is used again only when all is well."""

import asyncio
from collections.abc import Sequence

import pytest

from assetstore.s3.connection import HEAD_LIMIT, StaleConnectionError
from assetstore.s3.dial import Dialer
from assetstore.s3.message import Answer, NoAnswerError, Patience
from tests.unit.s3.rig import a_request, an_answer
from tests.unit.s3.scripted import Step, Then, scripted

OK = an_answer(body=b"body", etag='"e"')


@pytest.mark.parametrize(
    ("says", "answer", "is_reusable"),
    [
        pytest.param(OK, Answer(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"), True, id="plain"),
        pytest.param(
            [bytes([byte]) for byte in OK],
            Answer(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"),
            True,
            id="a byte at a time",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nlate: 1\r\n\r\n",
            Answer(200, {b"transfer-encoding": b"chunked"}, b"body"),
            True,
            id="chunked, with an extension and a trailer",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\nx: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK,
            Answer(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"),
            True,
            id="1xx before",
        ),
        pytest.param(
            an_answer("503 Slow Down", b"busy"), Answer(503, {b"content-length": b"4"}, b"busy"), True, id="an error"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, {}, b""), True, id="no content"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nX-A:  one \r\nx-a: two\r\n\r\n",
            Answer(200, {b"content-length": b"0", b"x-a": b"two"}, b""),
            True,
            id="a header twice",
        ),
        pytest.param(
            an_answer(body=b"body", Connection="close"),
            Answer(200, {b"content-length": b"4", b"connection": b"close"}, b"body"),
            False,
            id="connection: close",
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nbody",
            Answer(200, {b"content-length": b"4"}, b"body"),
            False,
            id="HTTP/1.0",
        ),
        pytest.param(
            OK + OK,
            Answer(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"),
            False,
            id="the same twice at once",
        ),
        pytest.param(
            OK + b"\x16\x03garbage",
            Answer(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"),
            False,
            id="garbage behind it",
        ),
    ],
)
async def test_an_answer_is_read_whole(says: bytes | Sequence[bytes], answer: Answer, *, is_reusable: bool) -> None:
    """Every well-formed answer is read to its last byte, and the connection kept only if nothing else came."""
    async with scripted(Step(says)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        assert await connection.exchange(a_request()) == answer
        assert connection.is_reusable is is_reusable
        connection.abort()
        await connection.closed


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        pytest.param(Step(b"", Then.CLOSE), "closed", id="closed without a word"),
        pytest.param(Step(b"", Then.RESET), "before a whole answer", id="reset"),
        pytest.param(Step(OK[:20], Then.CLOSE), "closed", id="cut in the head"),
        pytest.param(Step(OK[:-2], Then.CLOSE), "closed", id="cut in the body"),
        pytest.param(Step(OK[:-2], Then.RESET), "before a whole answer", id="reset in the body"),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n", Then.CLOSE),
            "closed",
            id="cut before the last chunk",
        ),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\n\r\nbody", Then.CLOSE), "closed", id="no length: cannot be told from cut"
        ),
        pytest.param(Step(b"\x16\x03\x01 TLS"), "not HTTP", id="garbage"),
        pytest.param(Step(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP", id="another protocol"),
        pytest.param(Step(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), "not HTTP", id="negative length"),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"), "not HTTP", id="two lengths"
        ),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            "not HTTP",
            id="length and chunks",
        ),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), "not HTTP", id="a chunk of no size"
        ),
        pytest.param(
            Step(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
            "not HTTP",
            id="another protocol from now on",
        ),
        pytest.param(Step(an_answer(body=b"b" * 1001)), "too long", id="a body over the limit"),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nb\r\n" * 1001),
            "too long",
            id="chunks over the limit",
        ),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\nx: " + b"x" * HEAD_LIMIT), "head is too long", id="a head over the limit"
        ),
        pytest.param(
            Step(b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_LIMIT // 25 + 1)), "head is too long", id="endless 1xx"
        ),
    ],
)
async def test_what_is_no_whole_answer_is_none(step: Step, reason: str) -> None:
    """Whatever is cut, malformed or too long ends in NoAnswerError, not in half an answer, and ends the connection."""
    async with scripted(step) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        with pytest.raises(NoAnswerError, match=reason) as caught:
            await connection.exchange(a_request())
        assert caught.value.was_sent
        assert not connection.is_reusable
        await connection.closed


@pytest.mark.parametrize(
    "patience", [Patience(0.05, 3600), Patience(3600, 0.05)], ids=["silent for too long", "takes too long"]
)
@pytest.mark.parametrize("says", [b"", OK[:-1]], ids=["nothing came", "all but a byte came"])
async def test_an_answer_that_does_not_come_in_time_is_none(says: bytes, patience: Patience) -> None:
    """A server that is silent, or never ends, is given up at the deadline."""
    async with scripted(Step(says, Then.HANG)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        with pytest.raises(NoAnswerError, match="in time"):
            await connection.exchange(a_request(patience=patience))
        await connection.closed


async def test_a_slow_answer_is_waited_for_as_long_as_it_moves() -> None:
    """The deadline for silence starts anew with each byte, so a slow answer that keeps coming is taken."""
    async with scripted() as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        asked = asyncio.ensure_future(connection.exchange(a_request(patience=Patience(0.2, 60))))
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        while not asked.done():
            assert loop.time() - started_at < 10
            if loop.time() - started_at > 0.5:
                connection.data_received(OK)
            else:
                connection.data_received(b"HTTP/1.1 100 Continue\r\n\r\n")
            await asyncio.sleep(0.05)
        assert (await asked).body == b"body"
        connection.abort()
        await connection.closed


@pytest.mark.parametrize("says", [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"])
async def test_the_answer_to_head_has_no_body(says: bytes) -> None:
    """The length in an answer to HEAD is the object's: nothing more is waited for, and the connection is kept."""
    async with scripted(Step(says), Step(OK)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        assert (await connection.exchange(a_request(is_head=True))).body == b""
        assert (await connection.exchange(a_request())).body == b"body"
        connection.abort()
        await connection.closed


async def test_a_body_after_head_ends_the_connection() -> None:
    """A server that sends a body after HEAD is not used again: it would answer the next request with it."""
    async with scripted(Step(OK)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        assert (await connection.exchange(a_request(is_head=True))).status == 200
        await connection.closed
        assert not connection.is_reusable


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    """What comes while nothing is asked is never taken for the answer to the next request."""
    async with scripted(Step(OK), Step(OK)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        await connection.exchange(a_request())
        connection.data_received(OK)
        with pytest.raises(StaleConnectionError):
            await connection.exchange(a_request())
        await connection.closed


async def test_the_last_answer_come_twice_is_not_the_next_answer() -> None:
    """An answer repeated after the next request was written is known by its request id, and not believed."""
    twice = an_answer(body=b"first", x_amz_request_id="A1")
    async with scripted(Step(twice), Step(twice)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        await connection.exchange(a_request())
        with pytest.raises(NoAnswerError, match="twice"):
            await connection.exchange(a_request())
        await connection.closed


async def test_whoever_stops_waiting_leaves_no_connection_with_an_answer_on_its_way() -> None:
    """A cancelled exchange ends at once, and its connection with it."""
    async with scripted(Step(b"", Then.HANG)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        asked = asyncio.ensure_future(connection.exchange(a_request()))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not connection.is_reusable
        await connection.closed


async def test_a_kept_alive_connection_closed_by_the_other_side_is_stale() -> None:
    """Closed before a byte of the next answer came: stale, which a fresh connection cures."""
    async with scripted(Step(OK, Then.CLOSE)) as server:
        connection = await Dialer("127.0.0.1", server.port, None).dial()
        await connection.exchange(a_request())
        with pytest.raises(StaleConnectionError):
            await connection.exchange(a_request())
        await connection.closed
