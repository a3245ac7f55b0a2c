"""A whole run: the full scan, watching, the stop and the time limit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from assetuploader.errors import StoreUnavailableError
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.outcome import Outcome
from assetuploader.state_machine import Status
from assetuploader.store import ListPage, ObjectInfo
from reconciler.run import SHUTDOWN_TIMEOUT_SECONDS, RunOptions, run
from reconciler.shards import Shard
from reconciler.summary import RunCounters, RunSummary
from tests.support.builders import SOON, add, service_on, status_of
from tests.support.in_memory_s3 import START, InMemoryS3

YOUNG = START - timedelta(seconds=5)


@dataclass(slots=True)
class ObservedS3(InMemoryS3):
    """A store that calls back at every listing, to change the bucket between scans."""

    at_listing: dict[int, Callable[[], None]] = field(default_factory=dict)
    listings: int = 0

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """Call back, and list."""
        self.at_listing.get(self.listings, lambda: None)()
        self.listings += 1
        await asyncio.sleep(0)
        return await InMemoryS3.list_objects(self, prefix, start_after)


class Clock:
    """A monotonic clock that advances when it is read."""

    def __init__(self, step_seconds: float = 0.0) -> None:
        self.now = 0.0
        self.step_seconds = step_seconds

    def __call__(self) -> float:
        """Return the time."""
        self.now += self.step_seconds
        return self.now


async def _run(
    s3: InMemoryS3, options: RunOptions, clock: Callable[[], float] | None = None, stop: asyncio.Event | None = None
) -> RunSummary:
    counters = RunCounters()
    is_complete = await run(service_on(s3), options, [counters], stop or asyncio.Event(), clock or Clock())
    return counters.summarize(is_complete=is_complete)


def options(**changes: Any) -> RunOptions:  # noqa: ANN401 -- as RunOptions has them
    """Return options for one scan without watching, with some of them changed."""
    return replace(RunOptions(Shard(), watch_seconds=0, poll_interval_seconds=5, max_run_seconds=3000), **changes)


async def test_without_watching_a_run_is_one_scan() -> None:
    """Without watching a run lists once and ends."""
    s3 = ObservedS3()
    add(s3, 1)

    summary = await _run(s3, options(watch_seconds=0))

    assert (s3.listings, summary.is_complete, summary.outcomes) == (1, True, {Outcome.FINALIZED: 1})


async def test_a_watching_run_finds_recent_uploads() -> None:
    """A mark between two polls is handled at the next one; old uploads are left to the next full scan."""
    s3 = ObservedS3()
    old = add(s3, 1, Status.PENDING, expires_at=SOON)
    clock = Clock()

    def mark_both() -> None:
        add(s3, 1, pin=b"bytes 1", expires_at=SOON)
        add(s3, 2, pin=b"bytes 2", expires_at=SOON, uploaded_at=YOUNG)

    def end() -> None:
        clock.now = 60.0

    s3.at_listing = {1: mark_both, 3: end}
    summary = await _run(s3, options(watch_seconds=50, poll_interval_seconds=0.001), clock)

    assert s3.listings == 4
    assert status_of(s3, old) == "marked"
    assert summary.outcomes == {Outcome.WAITING: 1, Outcome.FINALIZED: 1}
    assert sum(key == uploaded_key(old) for _, key in s3.calls) == 1


async def test_a_failed_poll_does_not_end_the_run() -> None:
    """S3 is unavailable for one poll: the full scan is complete, and the next poll may succeed."""
    s3 = ObservedS3()
    clock = Clock()

    def fail() -> None:
        s3.fails_with = StoreUnavailableError("away")

    def recover() -> None:
        s3.fails_with = None
        add(s3, 1, pin=b"bytes 1", uploaded_at=YOUNG)

    def end() -> None:
        clock.now = 60.0

    s3.at_listing = {1: fail, 2: recover, 3: end}
    with capture_logs() as logs:
        summary = await _run(s3, options(watch_seconds=50, poll_interval_seconds=0.001), clock)

    assert (summary.is_complete, summary.outcomes) == (True, {Outcome.FINALIZED: 1})
    assert [line["reason"] for line in logs if line["event"] == "poll_failed"] == ["away"]


async def test_a_failed_full_scan_ends_the_run() -> None:
    """S3 is unavailable at the first listing: the run ends with the reason, for exit code 75."""
    with pytest.raises(StoreUnavailableError, match="away"):
        await _run(InMemoryS3(fails_with=StoreUnavailableError("away")), options(watch_seconds=50))


async def test_a_stop_while_watching_ends_the_run_at_once() -> None:
    """The run does not wait for the next poll; it is complete."""
    s3 = ObservedS3()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)

    async with asyncio.timeout(5):
        summary = await _run(s3, options(watch_seconds=3_000, poll_interval_seconds=1_000), stop=stop)

    assert (s3.listings, summary.is_complete) == (1, True)


async def test_a_stop_during_the_full_scan_leaves_it_incomplete() -> None:
    """The summary says that the scan is incomplete."""
    s3 = ObservedS3(page_size=10)
    stop = asyncio.Event()
    for number in range(100):
        add(s3, number)
    s3.at_listing = {2: stop.set}

    summary = await _run(s3, options(watch_seconds=50), stop=stop)

    assert (summary.is_complete, summary.has_failures) == (False, False)
    assert summary.outcomes[Outcome.FINALIZED] < 100
    assert sum(key.startswith("temp/") for key in s3.objects) == 100 - summary.outcomes[Outcome.FINALIZED]


async def test_a_stop_waits_only_for_the_shutdown_timeout() -> None:
    """An S3 that never responds cannot delay a run that was stopped."""
    assert SHUTDOWN_TIMEOUT_SECONDS < 10  # of Kubernetes' 30 s; the rest is for report and Event

    class Hanging(InMemoryS3):
        async def head_object(self, key: str) -> ObjectInfo | None:
            """Never."""
            self.calls.append(("head_object", key))
            await asyncio.Event().wait()
            return None

    s3 = Hanging()
    stop = asyncio.Event()
    add(s3, 1)
    asyncio.get_running_loop().call_later(0.05, stop.set)

    async with asyncio.timeout(5):
        summary = await _run(s3, options(shutdown_timeout_seconds=0.1), stop=stop)

    assert (summary.is_complete, summary.outcomes) == (False, {})


async def test_the_time_limit_ends_a_run_in_order() -> None:
    """A backlog too large for one run is not a failure: what was done is done, the next run continues."""
    s3 = InMemoryS3()
    for number in range(200):
        add(s3, number)

    summary = await _run(s3, options(max_run_seconds=250), Clock(step_seconds=1))

    assert (summary.is_complete, summary.has_failures) == (False, False)
    assert 0 < summary.outcomes[Outcome.FINALIZED] < 200
    assert sum(key.startswith("temp/") for key in s3.objects) == 200 - summary.outcomes[Outcome.FINALIZED]


async def test_the_time_limit_ends_watching() -> None:
    """However long it would watch, a run ends within its maximum time."""
    s3 = ObservedS3()
    clock = Clock()
    s3.at_listing = {1: lambda: setattr(clock, "now", 31.0)}

    summary = await _run(s3, options(watch_seconds=1_000, poll_interval_seconds=0.001, max_run_seconds=30), clock)

    assert (s3.listings, summary.is_complete) == (2, True)


async def test_now_is_the_stores_clock() -> None:
    """Whether an asset is due depends on the `Date` of the listing, not on this machine's clock."""
    s3 = InMemoryS3()
    name = add(s3, 1, expires_at=START)
    s3.now = START + timedelta(seconds=59)
    before = (await _run(s3, options())).outcomes
    s3.now += timedelta(seconds=1)
    after = (await _run(s3, options())).outcomes

    assert (before, after) == ({Outcome.WAITING: 1}, {Outcome.FINALIZED: 1})
    assert (status_of(s3, name), temp_key(name) in s3.objects) == ("uploaded", False)
