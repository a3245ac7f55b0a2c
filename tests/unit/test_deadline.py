"""One deadline for many waits: what `asyncio.timeout` promises."""

import asyncio

import pytest

from service.deadline import Deadline


async def _never() -> None:
    await asyncio.Event().wait()


async def test_what_comes_in_time_is_handed_on() -> None:
    """The result, or the error."""
    deadline = Deadline(60)

    async def fail() -> None:
        raise LookupError

    assert await deadline.wait_for(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(LookupError):
        await deadline.wait_for(fail())


async def test_what_does_not_come_is_cancelled_and_late() -> None:
    """All that wait, each from its own beginning on, in whatever order others end; and the task may go on."""
    deadline = Deadline(0.05)
    loop = asyncio.get_running_loop()
    ended = []

    async def late() -> float:
        began = loop.time()
        cancelled = False

        async def asked() -> None:
            nonlocal cancelled
            try:
                await _never()
            finally:
                cancelled = True

        with pytest.raises(TimeoutError):
            await deadline.wait_for(asked())
        task = asyncio.current_task()
        assert cancelled
        assert task is not None
        assert task.cancelling() == 0
        ended.append(began)
        return loop.time() - began

    first = asyncio.create_task(late())
    await deadline.wait_for(asyncio.sleep(0.01))
    second = asyncio.create_task(late())
    took = await asyncio.gather(first, second)
    again = await late()  # also when the last timer has rung and nobody waits

    assert ended == sorted(ended)
    assert len(ended) == 3
    assert [0.04 < seconds < 5 for seconds in (*took, again)] == [True] * 3


async def test_who_is_cancelled_by_another_is_not_late() -> None:
    """A client that goes cancels its request: that is no deadline, even when both come at once."""
    deadline = Deadline(0.02)
    cancelled = asyncio.create_task(deadline.wait_for(_never()))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    async def cancel_myself() -> None:
        try:
            await _never()
        finally:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    both = asyncio.create_task(deadline.wait_for(cancel_myself()))
    with pytest.raises(asyncio.CancelledError):
        await both


async def test_a_wait_that_makes_an_error_of_its_end_leaves_no_cancellation_behind() -> None:
    """The connection's task serves the next request."""
    deadline = Deadline(0.02)

    async def translate() -> None:
        try:
            await _never()
        except asyncio.CancelledError:
            raise LookupError from None

    with pytest.raises(LookupError):
        await deadline.wait_for(translate())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0

    task.cancel()  # as one that was cancelled and went on
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await deadline.wait_for(_never())
    assert task.cancelling() == 1
    task.uncancel()
    assert await deadline.wait_for(asyncio.sleep(0, "next")) == "next"
