"""Marks of one asset take turns."""

import asyncio
from contextlib import suppress

import pytest

from assetuploader.errors import AssetBusyError, StoreUnavailableError, UploadMismatchError
from service.mark_queue import MAX_WAITING, MarkQueue
from tests.support.in_process_service import Service
from tests.support.problems import problem_of


async def _hold(queue: MarkQueue, asset_id: str, order: list[int], number: int, release: asyncio.Event) -> None:
    async with queue.turn(asset_id):
        order.append(number)
        await release.wait()


async def test_marks_of_one_asset_take_turns_in_their_order() -> None:
    """Marks of one asset run one at a time, other assets do not wait, and a queue is removed when it is empty."""
    queue, order, release = MarkQueue(), list[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(_hold(queue, "a", order, number, release))
        group.create_task(_hold(queue, "b", order, 3, release))
        await asyncio.sleep(0)  # each task runs until it waits
        assert sorted(order) == [0, 3]
        release.set()
    assert [number for number in order if number != 3] == [0, 1, 2]
    assert queue.queues == {}


async def test_a_full_queue_rejects_the_next_mark() -> None:
    """The number of marks that wait is bounded, and those that wait complete."""
    queue, order, release = MarkQueue(), list[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(MAX_WAITING + 1):
            group.create_task(_hold(queue, "a", order, number, release))
        await asyncio.sleep(0)  # each task runs until it waits
        with pytest.raises(AssetBusyError):
            async with queue.turn("a"):
                pass
        release.set()
    assert len(order) == MAX_WAITING + 1
    assert queue.queues == {}


async def test_a_mark_does_not_wait_long() -> None:
    """While S3 does not respond to one mark, the others fail as unavailable; a cancelled one leaves the queue."""
    queue, order, release = MarkQueue(max_wait_seconds=0), list[int](), asyncio.Event()
    first = asyncio.create_task(_hold(queue, "a", order, 0, release))
    await asyncio.sleep(0)  # each task runs until it waits
    with pytest.raises(StoreUnavailableError):
        async with queue.turn("a"):
            pass
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert queue.queues == {}


@pytest.mark.parametrize("ends_with", [None, UploadMismatchError()])
async def test_a_mark_that_waits_too_long_while_others_get_their_turn_is_not_an_outage(
    ends_with: Exception | None,
) -> None:
    """S3 responds, so it is the number of clients that makes the wait too long."""
    queue, releases = MarkQueue(max_wait_seconds=60), [asyncio.Event(), asyncio.Event()]
    impatient = MarkQueue(0.2, queue.queues)

    async def mark(number: int) -> None:
        with suppress(UploadMismatchError):
            async with queue.turn("a"):
                await releases[number].wait()
                if ends_with is not None:
                    raise ends_with

    async with asyncio.TaskGroup() as group:
        group.create_task(mark(0))
        group.create_task(mark(1))
        await asyncio.sleep(0)

        async def third() -> None:
            with pytest.raises(AssetBusyError):
                async with impatient.turn("a"):
                    pass
            releases[1].set()

        group.create_task(third())
        await asyncio.sleep(0)
        releases[0].set()


async def test_a_mark_that_cannot_get_its_turn_is_429_with_retry_after(service: Service) -> None:
    """The client may try again: this is neither its mistake nor an outage of S3."""
    asset_id, _ = await service.create()
    queue = service.app.ctx.context.marks
    release, order = asyncio.Event(), list[int]()
    async with asyncio.TaskGroup() as group:
        for number in range(MAX_WAITING + 1):
            group.create_task(_hold(queue, asset_id, order, number, release))
        await asyncio.sleep(0)  # each task runs until it waits
        response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})
        release.set()
    assert problem_of(response) == (429, "asset_busy")
    assert response.headers["retry-after"] == "2"
    assert (await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})).status_code == 202
