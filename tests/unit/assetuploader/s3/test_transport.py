"""The transport returns complete responses or none, and reuses a connection only if nothing else arrived on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from assetuploader.http_settings import HttpSettings
from assetuploader.s3.http import Response, Timeouts, TransportError
from assetuploader.s3.transport import MAX_HEADER_BYTES, AiohttpTransport
from tests.support.fake_server import AfterResponse, Server, Step, fake_server, wait_until
from tests.support.s3_harness import build_request, http_response

OK = http_response(body=b"body", etag='"e"')


@contextlib.asynccontextmanager
async def connected(*steps: Step, connections: int = 1) -> AsyncIterator[tuple[Server, AiohttpTransport, str]]:
    """Run a fake server and a transport to it."""
    async with fake_server(*steps) as server:
        origin = f"http://127.0.0.1:{server.port}"
        transport = AiohttpTransport(origin, HttpSettings(), connections)
        try:
            yield server, transport, origin
        finally:
            await transport.aclose()


@pytest.mark.parametrize(
    ("sent", "response"),
    [
        pytest.param(OK, Response(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"), id="plain"),
        pytest.param(
            [bytes([byte]) for byte in OK],
            Response(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"),
            id="a byte at a time",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n",
            Response(200, {b"transfer-encoding": b"chunked"}, b"body"),
            id="chunked, with an extension",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\nx: 1\r\n\r\n" + OK,
            Response(200, {b"content-length": b"4", b"etag": b'"e"'}, b"body"),
            id="100 Continue before it",
        ),
        pytest.param(
            http_response("503 Slow Down", b"busy"), Response(503, {b"content-length": b"4"}, b"busy"), id="an error"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", Response(204, {}, b""), id="no content"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nX-A:  one \r\nx-a: two\r\n\r\n",
            Response(200, {b"content-length": b"0", b"x-a": b"two"}, b""),
            id="a repeated header",
        ),
        pytest.param(
            http_response("301 Moved", Location="http://127.0.0.1:1/"),
            Response(301, {b"content-length": b"0", b"location": b"http://127.0.0.1:1/"}, b""),
            id="a redirect, which is not followed",
        ),
    ],
)
async def test_a_complete_response_is_returned(sent: bytes | Sequence[bytes], response: Response) -> None:
    """Every well-formed response is read to its last byte, and the next request uses the same connection."""
    async with connected(Step(sent), Step(OK)) as (server, transport, origin):
        assert await transport.send(build_request(origin)) == response
        assert (await transport.send(build_request(origin))).body == b"body"
        assert server.connections == 1


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(Step(b"", AfterResponse.CLOSE), id="closed without a response"),
        pytest.param(Step(b"", AfterResponse.RESET), id="reset"),
        pytest.param(Step(OK[:20], AfterResponse.CLOSE), id="cut in the header section"),
        pytest.param(Step(OK[:-2], AfterResponse.CLOSE), id="cut in the body"),
        pytest.param(Step(OK[:-2], AfterResponse.RESET), id="reset in the body"),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n", AfterResponse.CLOSE),
            id="cut before the last chunk",
        ),
        pytest.param(Step(b"HTTP/1.1 200 OK\r\n\r\nbody", AfterResponse.CLOSE), id="no length"),
        pytest.param(Step(b"\x16\x03\x01 TLS"), id="garbage"),
        pytest.param(Step(b"SSH-2.0-OpenSSH_9.2\r\n"), id="another protocol"),
        pytest.param(Step(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), id="negative length"),
        pytest.param(
            Step(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", AfterResponse.CLOSE),
            id="two lengths",
        ),
        pytest.param(Step(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), id="a chunk without a size"),
        pytest.param(Step(b"HTTP/1.1 200 OK\r\nx: " + b"x" * (MAX_HEADER_BYTES + 1)), id="a header over the limit"),
    ],
)
async def test_an_incomplete_response_is_an_error(step: Step) -> None:
    """Whatever is cut, malformed or too long ends in TransportError, and its connection is not used again."""
    async with connected(step, Step(OK)) as (server, transport, origin):
        with pytest.raises(TransportError) as caught:
            await transport.send(build_request(origin))
        assert caught.value.is_retryable
        assert (await transport.send(build_request(origin))).body == b"body"
        assert server.connections == 2


@pytest.mark.parametrize(
    "sent",
    [
        http_response(body=b"b" * 1001),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nb\r\n" * 1001 + b"0\r\n\r\n",
        http_response(body=b"b" * 1_000_000),
    ],
    ids=["one byte too long", "chunks that are too long", "much too long"],
)
async def test_a_response_over_the_limit_is_an_error(sent: bytes) -> None:
    """No more than the limit is kept in memory, and the next request gets its own response."""
    async with connected(Step(sent), Step(OK)) as (_, transport, origin):
        with pytest.raises(TransportError):
            await transport.send(build_request(origin))
        assert (await transport.send(build_request(origin))).body == b"body"


@pytest.mark.parametrize(
    "timeouts", [Timeouts(0.05, 3600), Timeouts(3600, 0.05)], ids=["silent for too long", "takes too long"]
)
@pytest.mark.parametrize("sent", [b"", OK[:-1]], ids=["nothing came", "all but one byte came"])
async def test_a_response_that_is_late_is_an_error(sent: bytes, timeouts: Timeouts) -> None:
    """A request to a server that stays silent, or never finishes its response, ends at the deadline."""
    async with connected(Step(sent, AfterResponse.HANG)) as (_, transport, origin):
        with pytest.raises(TransportError, match="in time"):
            await transport.send(build_request(origin, timeouts=timeouts))


@pytest.mark.parametrize(
    "sent",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n"],
)
async def test_a_response_to_head_has_no_body(sent: bytes) -> None:
    """The length in a response to HEAD is the object's: no body is awaited, and the connection is kept."""
    async with connected(Step(sent), Step(OK)) as (server, transport, origin):
        assert (await transport.send(build_request(origin, method="HEAD"))).body == b""
        assert (await transport.send(build_request(origin))).body == b"body"
        assert server.connections == 1


@pytest.mark.parametrize("surplus", [OK, b"\x16\x03garbage"], ids=["a second response", "garbage"])
async def test_surplus_bytes_are_not_the_next_response(surplus: bytes) -> None:
    """A connection on which more than the response arrived is closed."""
    async with connected(Step(OK + surplus), Step(http_response(body=b"next"))) as (server, transport, origin):
        with contextlib.suppress(TransportError):
            assert (await transport.send(build_request(origin))).body == b"body"
        assert (await transport.send(build_request(origin))).body == b"next"
        assert server.connections == 2


async def test_a_response_that_nobody_requested_is_not_the_next_response() -> None:
    """What arrives on an idle connection is never taken for the response to the next request."""
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await release.wait()
        writer.write(http_response(body=b"stray"))
        await writer.drain()
        stray_sent.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        closed.set()

    stray_sent, closed = asyncio.Event(), asyncio.Event()
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        transport = AiohttpTransport(origin, HttpSettings(), 1)
        assert (await transport.send(build_request(origin))).body == b"body"
        release.set()
        await stray_sent.wait()
        for _ in range(10):  # let the event loop read what was sent
            await asyncio.sleep(0)
        with pytest.raises(TransportError):
            await transport.send(build_request(origin))
        await transport.aclose()
        await closed.wait()


async def test_a_connection_closed_while_idle_is_replaced() -> None:
    """A kept-alive connection that the server closed costs at most one retryable failure."""
    async with connected(Step(OK, AfterResponse.CLOSE), Step(OK)) as (server, transport, origin):
        await transport.send(build_request(origin))
        await wait_until(server.disconnected.is_set)
        try:
            response = await transport.send(build_request(origin))
        except TransportError as error:
            assert error.is_retryable  # noqa: PT017 -- it may or may not fail
            response = await transport.send(build_request(origin))
        assert response.body == b"body"
        assert server.connections == 2


async def test_a_cancelled_request_closes_its_connection() -> None:
    """Its response, which may still arrive, cannot reach another request."""
    async with connected(Step(b"", AfterResponse.HANG), Step(OK)) as (server, transport, origin):
        pending = asyncio.ensure_future(transport.send(build_request(origin)))
        await wait_until(lambda: len(server.requests) == 1)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        assert (await transport.send(build_request(origin))).body == b"body"
        assert server.connections == 2


async def test_an_unreachable_host_is_an_error() -> None:
    """A closed port and an unknown name raise a TransportError that does not contain the URL."""
    for origin in ("http://127.0.0.1:1", "http://no-such-host.invalid:1"):
        transport = AiohttpTransport(origin, HttpSettings(), 1)
        with pytest.raises(TransportError, match="cannot connect") as caught:
            await transport.send(build_request(origin))
        assert "http" not in str(caught.value)
        await transport.aclose()


async def test_a_closed_transport_sends_nothing() -> None:
    """After aclose() every request fails and is not retryable."""
    async with connected(Step(OK)) as (server, transport, origin):
        await transport.aclose()
        with pytest.raises(TransportError, match="closed") as caught:
            await transport.send(build_request(origin))
        assert not caught.value.is_retryable
        assert server.requests == []
