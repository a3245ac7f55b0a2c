"""Requests as bytes: limits, slow clients and broken framing."""

from collections.abc import Callable

import pytest

from tests.http.answers import problem_of
from tests.http.serving import Service, serving
from tests.http.wire import connected, parse
from tests.memory_s3 import MemoryS3

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
    """A file sent here by mistake is refused by its announced size, or as soon as it is over, and S3 hears nothing."""
    answer = await service.send(head + rest)

    assert problem_of(answer) == (413, "body_too_large")
    assert service.s3.calls == []


@pytest.mark.parametrize("frame", [_sized, _chunked])
async def test_a_body_of_16_kb_is_read(service: Service, frame: Callable[[bytes], bytes]) -> None:
    """The limit is the limit, not a byte less."""
    answer = await service.send(POST + frame(b" " * LIMIT))

    assert answer.status_code == 201


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
    """What cannot be read as HTTP gets a problem document of 4xx, and the connection ends."""
    answer = await service.send(sent)

    status, code = problem_of(answer)
    assert 400 <= status < 500
    assert code in {"bad_request", "body_too_large"}
    assert service.s3.calls == []


async def test_a_client_that_expects_100_continue_is_refused_before_it_sends(service: Service) -> None:
    """A client like curl waits before it sends a large body, and hears 413 first."""
    interim = await service.send(POST + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")

    assert interim.status_code == 100
    assert interim.content.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("head", [b"GET /livez HTTP/1.0\r\n\r\n", b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"])
async def test_old_clients_are_answered(service: Service, head: bytes) -> None:
    """HTTP/1.0 and a missing Host are no reason to refuse."""
    answer = await service.send(head)

    assert answer.status_code == 200


async def test_a_head_that_trickles_is_cut_off() -> None:
    """REQUEST_TIMEOUT counts from the first byte: a client that sends one now and then cannot hold a connection."""
    async with serving(MemoryS3(), REQUEST_TIMEOUT=1) as service, connected(service.port, 15) as wire:
        await wire.send(b"GET /livez HTTP/1.1\r\nX: ")
        answer = parse(await wire.trickle(b"a" * 80, 0.1))

    assert problem_of(answer) == (408, "bad_request")


async def test_a_body_that_trickles_is_cut_off(service: Service) -> None:
    """A body has five seconds, however steadily its bytes come; the answer is the client's fault, not a 503."""
    async with connected(service.port, 15) as wire:
        await wire.send(POST + b"Content-Length: 1000\r\n\r\n")
        answer = parse(await wire.trickle(b" " * 90, 0.1))

    assert problem_of(answer) == (408, "bad_request")
    assert answer.headers["connection"] == "close"
    assert service.s3.calls == []


async def test_the_unread_rest_of_a_body_is_not_waited_for_long() -> None:
    """A request that was answered by its head alone cannot hold its connection by a body that trickles on."""
    async with serving(MemoryS3(), KEEP_ALIVE_TIMEOUT=1) as service, connected(service.port, 15) as wire:
        await wire.send(b"PUT /nowhere HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
        answer = parse(await wire.trickle(b" " * 80, 0.1))

    assert problem_of(answer) == (404, "not_found")


async def test_a_slow_but_honest_client_is_served(service: Service) -> None:
    """A body that takes its time within the limit is read to its end."""
    async with connected(service.port, 15) as wire:
        await wire.send(POST + b"Content-Length: 10\r\nConnection: close\r\n\r\n")
        answer = parse(await wire.trickle(b" " * 10, 0.05))

    assert answer.status_code == 201


async def test_a_client_that_hangs_up_harms_nobody(service: Service) -> None:
    """Half a request and a closed connection leave the service answering."""
    for sent in (b"POST", POST, POST + b"Content-Length: 10\r\n\r\n{"):
        async with connected(service.port, 15) as wire:
            await wire.send(sent)

    assert (await service.client.get("/livez")).status_code == 200
    assert service.s3.calls == []
