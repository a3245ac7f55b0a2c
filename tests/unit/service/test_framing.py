"""Requests as bytes: limits, slow clients and broken framing."""

import re
from collections.abc import Callable

import pytest

from tests.support.in_memory_s3 import InMemoryS3
from tests.support.in_process_service import Service, serving
from tests.support.problems import problem_of
from tests.support.raw_connection import connected, parse

ID = "00000000-0000-4000-8000-000000000000"
LIMIT = 16_384
POST = b"POST /asset HTTP/1.1\r\nHost: x\r\n"
PUT = f"PUT /asset/{ID} HTTP/1.1\r\nHost: x\r\n".encode()


def _chunked(*chunks: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + framed + b"0\r\n\r\n"


def _sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("head", [POST, PUT], ids=["POST", "PUT"])
@pytest.mark.parametrize(
    "rest",
    [_sized(b" " * (LIMIT + 1)), _chunked(b" " * LIMIT, b" "), b"Content-Length: 1000000000000\r\n\r\n"],
    ids=["sized", "chunked", "announced"],
)
async def test_a_body_over_16_kb_is_too_large(service: Service, head: bytes, rest: bytes) -> None:
    """A file sent here by mistake is rejected by its Content-Length, or as soon as it is too long. S3 is not called."""
    response = await service.send(head + rest)

    assert problem_of(response) == (413, "body_too_large")
    assert service.s3.calls == []


@pytest.mark.parametrize("frame", [_sized, _chunked])
async def test_a_body_of_16_kb_is_read(service: Service, frame: Callable[[bytes], bytes]) -> None:
    """A body of exactly the limit is accepted."""
    response = await service.send(POST + frame(b" " * LIMIT))

    assert response.status_code == 201


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: +2\r\n\r\n{}",
        POST + b"Content-Length: 1_0\r\n\r\n{}",
        POST + b"Content-Length: x\r\n\r\n{}",
        POST + b"Content-Length:\r\n\r\n{}",
        POST + b"Transfer-Encoding: gzip\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        POST + b"Content-Length: 2\r\nExpect: nonsense\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\n     \r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n+5\r\n     \r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1_0\r\n     \r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5 \r\n     \r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\n     \r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\n     \n0\n\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n     XX0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n     \n\r0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n000000005\r\n     \r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0;" + b"e" * 300 + b"\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nno trailer\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"t" * 9_000 + b"\r\n\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length : 2\r\n\r\n{}",
        POST + b"Content-Length: 2\r\n , 3\r\n\r\n{}",
        POST + b"X: 1\r\n folded\r\n\r\n",
        POST + b"X: 1\nContent-Length: 2\r\n\r\n{}",
        POST + b"X: 1\rContent-Length: 2\r\n\r\n{}",
        POST + b"X: \x00\r\n\r\n",
        POST + b"Host: y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\nHost: x\n\n\r\n\r\n",
        b"POST /asset HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /asset\r\n\r\n",
        b"POST /asset HTTP/9.9\r\n\r\n",
        b"POST  /asset  HTTP/1.1\r\n\r\n",
        b"POST /asset HTTP/1.1\r\nno colon\r\n\r\n",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET /livez\xff HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[-40:]),
)
async def test_broken_framing_is_the_clients_fault(service: Service, sent: bytes) -> None:
    """A request that is not readable as HTTP gets a 4xx problem document, and the connection is closed."""
    response = await service.send(sent)

    status, code = problem_of(response)
    assert 400 <= status < 500
    assert code in {"bad_request", "headers_too_large"}
    assert service.s3.calls == []


LEGAL_CHUNKS = [
    b"2\r\n{}\r\n0\r\n\r\n",
    b"1\r\n{\r\n1\r\n}\r\n00\r\n\r\n",
    b'2;name=value;quoted="a b"\r\n{}\r\n0;last\r\n\r\n',
    b"2\r\n{}\r\n0\r\nX-Checksum: 1\r\nX-Other:\r\n\r\n",
    b"A\r\n          \r\n0\r\n\r\n",
]


@pytest.mark.parametrize("body", LEGAL_CHUNKS)
async def test_legal_chunks_are_read_to_their_end(service: Service, body: bytes) -> None:
    """Extensions and trailers are dropped, and the next request on the connection is read from its start."""
    async with connected(service.port, 15) as connection:
        await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = await connection.read()

    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"201", b"200"]


@pytest.mark.parametrize("body", LEGAL_CHUNKS)
async def test_chunks_may_arrive_byte_by_byte(service: Service, body: bytes) -> None:
    """The framing does not depend on how the bytes are cut into packets."""
    async with connected(service.port, 15) as connection:
        await connection.send(POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        response = parse(await connection.trickle(body, 0.001))

    assert response.status_code == 201


async def test_headers_of_32_kb_are_read(service: Service) -> None:
    """The cookies and tokens of an authenticating proxy fit; larger header sections get 431."""
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: "

    fits = await service.send(head + b"c" * 32_000 + b"\r\n\r\n")
    too_long = await service.send(head + b"c" * 40_000 + b"\r\n\r\n")

    assert fits.status_code == 200
    assert problem_of(too_long) == (431, "headers_too_large")


async def test_a_client_that_sends_a_file_can_read_the_response(service: Service) -> None:
    """The service reads on for a while, because closing at once would reset the connection and lose the 413."""
    for _ in range(10):
        async with connected(service.port, 15) as connection:
            await connection.send(POST + b"Content-Length: 8000000\r\n\r\n" + b"x" * 8_000_000)
            response = parse(await connection.read())
        assert problem_of(response) == (413, "body_too_large")


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: \xd9\xa2\r\n\r\n{}",
        POST + b"Content-Length: \xc2\xa02\r\n\r\n{}",
        POST + b"Content-Length: 2\xc2\xa0\r\n\r\n{}",
        POST + b"Transfer-Encoding: \xe3\x80\x80chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Host: x\r\n\r\n",
        b"POST /asset HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"POST /asset HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"POST /asset HTTP/1.1\r\nHost: a\xe9\r\n\r\n",
        b"POST /asset HTTP/1.1\r\nHost : x\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[-50:]),
)
async def test_a_field_that_decides_the_framing_or_the_host_has_no_odd_value(service: Service, sent: bytes) -> None:
    """The response is 400 and the connection ends: HTTP's spaces and digits are ASCII."""
    response = await service.send(sent + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")

    assert problem_of(response) == (400, "bad_request")
    assert b"HTTP/1.1 " not in response.content
    assert service.s3.calls == []


async def test_a_bare_line_feed_is_rejected_before_the_header_section_ends(service: Service) -> None:
    """The service does not wait for the end of a header section that other programs consider complete."""
    response = await service.send(b"GET /livez HTTP/1.1\nHost: x\n\n")

    assert problem_of(response) == (400, "bad_request")


async def test_a_client_that_expects_100_continue_is_rejected_before_it_sends(service: Service) -> None:
    """A client like curl waits before it sends a large body, and receives 413 first."""
    interim = await service.send(POST + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")

    assert interim.status_code == 100
    assert interim.content.startswith(b"HTTP/1.1 413 ")


async def test_old_clients_are_served(service: Service) -> None:
    """HTTP/1.0 needs no Host."""
    response = await service.send(b"GET /livez HTTP/1.0\r\n\r\n")

    assert response.status_code == 200


async def test_a_header_section_that_trickles_is_cut_off() -> None:
    """REQUEST_TIMEOUT counts from the first byte: a client that sends one byte at a time cannot hold a connection."""
    async with serving(InMemoryS3(), REQUEST_TIMEOUT=1) as service, connected(service.port, 15) as connection:
        await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nX: ")
        response = parse(await connection.trickle(b"a" * 80, 0.1))

    assert problem_of(response) == (408, "bad_request")


async def test_a_body_that_trickles_is_cut_off(service: Service) -> None:
    """A body must arrive within five seconds, no matter how steadily. Otherwise the response is 408, not 503."""
    async with connected(service.port, 15) as connection:
        await connection.send(POST + b"Content-Length: 1000\r\n\r\n")
        response = parse(await connection.trickle(b" " * 90, 0.1))

    assert problem_of(response) == (408, "bad_request")
    assert response.headers["connection"] == "close"
    assert service.s3.calls == []


async def test_the_unread_rest_of_a_body_is_not_waited_for_long() -> None:
    """A body that was not read before the response cannot hold the connection."""
    async with serving(InMemoryS3(), KEEP_ALIVE_TIMEOUT=1) as service, connected(service.port, 15) as connection:
        await connection.send(b"PUT /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        response = parse(await connection.trickle(b" " * 80, 0.1))

    assert problem_of(response) == (404, "not_found")


async def test_a_slow_but_honest_client_is_served(service: Service) -> None:
    """A body that arrives slowly within the limit is read completely."""
    async with connected(service.port, 15) as connection:
        await connection.send(POST + b"Content-Length: 10\r\nConnection: close\r\n\r\n")
        response = parse(await connection.trickle(b" " * 10, 0.05))

    assert response.status_code == 201


async def test_a_client_that_hangs_up_harms_nobody(service: Service) -> None:
    """After incomplete requests on closed connections the service still responds."""
    for sent in (b"POST", POST, POST + b"Content-Length: 10\r\n\r\n{"):
        async with connected(service.port, 15) as connection:
            await connection.send(sent)

    assert (await service.client.get("/livez")).status_code == 200
    assert service.s3.calls == []
