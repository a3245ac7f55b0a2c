"""The limiter bounds requests in flight and serves waiters in order; retries are paid for by successes."""

import asyncio

import pytest

from assetuploader.s3.limits import AimdLimiter, RetryQuota


async def test_waiters_are_served_in_order() -> None:
    """With one slot, requests enter one by one in the order in which they came."""
    limiter, order = AimdLimiter(1), []

    async def enter(number: int) -> None:
        async with limiter:
            order.append(number)
            assert limiter.in_flight == 1
            await asyncio.sleep(0)

    await asyncio.gather(*[enter(number) for number in range(5)])
    assert (order, limiter.in_flight) == ([0, 1, 2, 3, 4], 0)


@pytest.mark.parametrize("moment", ["while it waits", "as it is admitted", "as another request ends"])
async def test_a_cancelled_waiter_holds_no_slot(moment: str) -> None:
    """A waiter that is cancelled, at any moment, ends as cancelled and leaves its slot to the next."""
    limiter = AimdLimiter(1)

    async def enter() -> None:
        async with limiter:
            pass

    await limiter.__aenter__()
    first, second = asyncio.ensure_future(enter()), asyncio.ensure_future(enter())
    await asyncio.sleep(0)
    if moment == "as it is admitted":
        await limiter.__aexit__(None, None, None)
        first.cancel()
    else:
        first.cancel()
        if moment == "while it waits":
            await asyncio.sleep(0)
        await limiter.__aexit__(None, None, None)
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert limiter.in_flight == 0


async def test_a_burst_of_throttling_counts_once() -> None:
    """Throttling responses within a second halve the limit once; a later burst halves it again, down to one."""
    limiter = AimdLimiter(64)
    limiter.in_flight = 40
    limits = []
    for at in (10.0, 10.1, 10.9, 11.0):
        limiter.on_throttle(at)
        limits.append(limiter.limit)
    assert limits == [20, 20, 20, 10]
    limiter.in_flight = 1
    for at in range(3):
        limiter.on_throttle(100.0 + at)
    assert limiter.limit == 1


async def test_successes_raise_the_limit_up_to_the_maximum() -> None:
    """The limit grows by one for as many successes as it allows at once."""
    limiter = AimdLimiter(4)
    limiter.in_flight = 2
    limiter.on_throttle(10.0)
    limits = []
    for _ in range(8):
        limiter.on_success()
        limits.append(limiter.limit)
    assert limits == sorted(limits)
    assert (limits[0], limits[-1]) == (2, 4)


def test_the_retry_quota_is_used_up_and_refilled() -> None:
    """A retry costs five successes."""
    quota = RetryQuota(available=7)
    assert [quota.acquire(), quota.acquire()] == [True, False]
    for _ in range(3):
        quota.release()
    assert quota.acquire()
