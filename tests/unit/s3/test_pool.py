"""The pool bounds connections, serves in the order of asking, and replaces what has gone stale."""

import asyncio

import pytest

from assetstore.s3.connection import Connection
from assetstore.s3.dial import Dialer
from assetstore.s3.message import NoAnswerError
from assetstore.s3.pool import AGE_SECONDS, IDLE_SECONDS, Pool
from tests.unit.s3.rig import a_request, an_answer
from tests.unit.s3.scripted import Server, Step, Then, scripted, settled

OK = an_answer(body=b"body")


def pool_of(server: Server, size: int) -> Pool:
    """A pool of real connections to it."""
    return Pool(Dialer("127.0.0.1", server.port, None).dial, size)


async def test_one_connection_serves_one_after_the_other() -> None:
    """A connection is kept and used again: three requests, one connection."""
    async with scripted(Step(OK), Step(OK), Step(OK)) as server:
        pool = pool_of(server, 4)
        for _ in range(3):
            await pool.send(a_request())
        assert (server.connections, pool.open_connections) == (1, 1)
        await pool.close()
        assert pool.open_connections == 0


async def test_there_are_never_more_connections_than_allowed() -> None:
    """Twenty requests at once over a pool of three: three connections, and never more than three requests at once."""
    async with scripted(*[Step(OK)] * 20) as server:
        pool = pool_of(server, 3)
        answers = await asyncio.gather(*[pool.send(a_request()) for _ in range(20)])
        assert [answer.body for answer in answers] == [b"body"] * 20
        assert server.connections == 3
        assert server.most_at_once <= 3
        await pool.close()


async def test_who_comes_first_is_served_first() -> None:
    """With one connection, requests go out in the order in which they were asked."""
    async with scripted(*[Step(OK)] * 5) as server:
        pool = pool_of(server, 1)
        data = [b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(5)]
        await asyncio.gather(*[pool.send(a_request(one)) for one in data])
        assert server.requests == data
        await pool.close()


async def test_who_leaves_the_queue_does_not_hold_it_up() -> None:
    """Cancelled while waiting, or just when its turn came, a request leaves its place to the next."""
    async with scripted(Step(b"", Then.HANG), Step(OK)) as server:
        pool = pool_of(server, 1)
        first, second, third = [asyncio.ensure_future(pool.send(a_request())) for _ in range(3)]
        await settled(lambda: bool(server.requests))
        second.cancel()
        first.cancel()
        assert (await asyncio.wait_for(third, 10)).body == b"body"
        assert first.cancelled()
        assert second.cancelled()
        await pool.close()


async def test_a_place_given_to_one_who_left_goes_to_the_next() -> None:
    """Cancelled in the very moment in which its turn came, a request passes its place on."""
    async with scripted(Step(OK), Step(OK)) as server:
        pool = pool_of(server, 1)
        pool.limit = 0
        first, second = [asyncio.ensure_future(pool.send(a_request())) for _ in range(2)]
        await asyncio.sleep(0)
        pool.limit = 1
        pool.admit()
        first.cancel()
        assert (await asyncio.wait_for(second, 10)).body == b"body"
        assert first.cancelled()
        await pool.close()


@pytest.mark.parametrize("ending", [Then.CLOSE, Then.RESET])
async def test_a_stale_connection_is_replaced_without_a_word(ending: Then) -> None:
    """A kept-alive connection that S3 closed meanwhile costs a new connection, not a failed request."""
    async with scripted(Step(OK, ending), Step(OK)) as server:
        pool = pool_of(server, 1)
        await pool.send(a_request())
        assert (await pool.send(a_request())).body == b"body"
        assert server.connections == 2
        await pool.close()


@pytest.mark.parametrize("clock", ["opened_at", "quiet_since"])
async def test_an_old_or_long_quiet_connection_is_replaced(clock: str) -> None:
    """After a while a connection is not used again: DNS may have changed, or a gateway forgotten it."""
    async with scripted(Step(OK), Step(OK)) as server:
        dialer, made = Dialer("127.0.0.1", server.port, None), []

        async def dial() -> Connection:
            made.append(await dialer.dial())
            return made[-1]

        pool = Pool(dial, 1)
        await pool.send(a_request())
        setattr(made[0], clock, getattr(made[0], clock) - max(AGE_SECONDS, IDLE_SECONDS))
        assert (await pool.send(a_request())).body == b"body"
        assert len(made) == 2
        await made[0].closed
        await pool.close()


async def test_a_connection_closed_while_idle_is_forgotten() -> None:
    """S3 closes an idle connection: it counts as open no more, and the next request takes a new one."""
    async with scripted(Step(OK, Then.CLOSE), Step(OK)) as server:
        pool = pool_of(server, 1)
        await pool.send(a_request())
        await server.gone.wait()
        await settled(lambda: not pool.open_connections)
        await pool.send(a_request())
        assert server.connections == 2
        await pool.close()


async def test_a_fresh_connection_that_fails_is_not_tried_again_here() -> None:
    """Only staleness is cured in the pool: whether to repeat anything else is decided above it."""
    async with scripted(Step(b"", Then.CLOSE), Step(OK)) as server:
        pool = pool_of(server, 1)
        with pytest.raises(NoAnswerError):
            await pool.send(a_request())
        assert len(server.requests) == 1
        await pool.close()


async def test_nobody_there_is_said_without_having_sent_anything() -> None:
    """A refused connection is told apart from a lost answer: nothing was sent."""
    async with scripted() as server:
        port = server.port
    pool = Pool(Dialer("127.0.0.1", port, None).dial, 1)
    with pytest.raises(NoAnswerError, match="no connection") as caught:
        await pool.send(a_request())
    assert not caught.value.was_sent
    await pool.close()


async def test_a_name_that_nobody_knows_is_said() -> None:
    """A host name without an address is NoAnswerError, which names the trouble."""
    with pytest.raises(NoAnswerError, match="host name is not known"):
        await Dialer("no-such-host.invalid", 80, None).dial()


async def test_a_closed_pool_sends_nothing() -> None:
    """After close() every request fails at once, and no connection is opened."""
    async with scripted(Step(OK)) as server:
        pool = pool_of(server, 1)
        await pool.close()
        with pytest.raises(NoAnswerError, match="stopping") as caught:
            await pool.send(a_request())
        assert caught.value.is_final
        assert server.connections == 0


async def test_a_request_under_way_when_the_pool_closes_is_answered() -> None:
    """close() lets what was asked come to its end, and its connection ends then."""
    async with scripted(Step(OK)) as server:
        pool = pool_of(server, 1)
        asked = asyncio.ensure_future(pool.send(a_request()))
        await settled(lambda: bool(pool.open_connections))
        await pool.close()
        assert (await asked).body == b"body"
        await settled(lambda: not pool.open_connections)


async def test_ipv6_is_spoken() -> None:
    """An endpoint that has only an IPv6 address is reached."""
    said = Server(steps=[Step(OK)])
    async with await asyncio.start_server(said.serve, "::1", 0) as listening:
        pool = Pool(Dialer("::1", listening.sockets[0].getsockname()[1], None).dial, 1)
        assert (await pool.send(a_request())).body == b"body"
        await pool.close()


async def test_a_dead_address_does_not_hide_a_living_one() -> None:
    """`localhost` may mean ::1 and 127.0.0.1, and one of them may refuse: the other is used."""
    async with scripted(Step(OK)) as server:
        pool = Pool(Dialer("localhost", server.port, None).dial, 1)
        assert (await pool.send(a_request())).body == b"body"
        await pool.close()
