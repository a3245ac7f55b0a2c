"""A whole run: the full pass, the lingering, the stop and the budget."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from assetstore.assets import Outcome
from assetstore.door import Head, Page
from assetstore.errors import StoreUnavailableError
from assetstore.protocol import Status, temp_key, uploaded_key
from reconciler.report import Report, Tally
from reconciler.run import STOP_SECONDS, Settings, run
from tests.memory_s3 import START, MemoryS3
from tests.unit.scenes import SOON, add, assets_on, status_of

YOUNG = START - timedelta(seconds=5)


@dataclass(slots=True)
class LookedAtS3(MemoryS3):
    """Calls back at every listing, to change the world between looks."""

    at_listing: dict[int, Callable[[], None]] = field(default_factory=dict)
    listings: int = 0

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """Call back, and answer."""
        self.at_listing.get(self.listings, lambda: None)()
        self.listings += 1
        await asyncio.sleep(0)
        return await MemoryS3.list_page(self, prefix, start_after)


class Clock:
    """A monotonic clock that moves when it is looked at."""

    def __init__(self, step_seconds: float = 0.0) -> None:
        self.now = 0.0
        self.step_seconds = step_seconds

    def __call__(self) -> float:
        """The time."""
        self.now += self.step_seconds
        return self.now


async def _run(
    s3: MemoryS3, settings: Settings, clock: Callable[[], float] | None = None, stop: asyncio.Event | None = None
) -> Report:
    return await run(assets_on(s3), settings, Tally(), stop or asyncio.Event(), clock or Clock())


async def test_without_lingering_a_run_is_one_pass() -> None:
    """RUN_SECONDS=0 lists once and ends."""
    s3 = LookedAtS3()
    add(s3, 1)

    report = await _run(s3, Settings(run_seconds=0))

    assert (s3.listings, report.is_complete, report.outcomes) == (1, True, {Outcome.FINALIZED: 1})


async def test_a_lingering_run_finds_what_is_uploaded_while_it_lingers() -> None:
    """A mark between two polls is acted upon at the next, old uploads are left to the next full pass."""
    s3 = LookedAtS3()
    old = add(s3, 1, Status.PENDING, expires_at=SOON)
    clock = Clock()

    def mark_both() -> None:
        add(s3, 1, pin=b"bytes 1", expires_at=SOON)
        add(s3, 2, pin=b"bytes 2", expires_at=SOON, uploaded_at=YOUNG)

    def end() -> None:
        clock.now = 60.0

    s3.at_listing = {1: mark_both, 3: end}
    report = await _run(s3, Settings(run_seconds=50, poll_seconds=0.001), clock)

    assert s3.listings == 4
    assert status_of(s3, old) == "marked"
    assert report.outcomes == {Outcome.WAITING: 1, Outcome.FINALIZED: 1}
    assert sum(key == uploaded_key(old) for _, key in s3.calls) == 1


async def test_a_poll_that_fails_is_not_the_end() -> None:
    """S3 away for one look: the full pass is done, and the next look may succeed."""
    s3 = LookedAtS3()
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
        report = await _run(s3, Settings(run_seconds=50, poll_seconds=0.001), clock)

    assert (report.is_complete, report.outcomes) == (True, {Outcome.FINALIZED: 1})
    assert [line["reason"] for line in logs if line["event"] == "look_failed"] == ["away"]


async def test_a_full_pass_that_fails_is_the_end() -> None:
    """S3 away at the first listing: the run ends with the reason, for exit code 75."""
    with pytest.raises(StoreUnavailableError, match="away"):
        await _run(MemoryS3(fails_with=StoreUnavailableError("away")), Settings(run_seconds=50))


async def test_a_stop_while_lingering_ends_the_run_at_once() -> None:
    """No poll's pause is waited out; the run was complete."""
    s3 = LookedAtS3()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)

    async with asyncio.timeout(5):
        report = await _run(s3, Settings(run_seconds=3_000, poll_seconds=1_000), stop=stop)

    assert (s3.listings, report.is_complete) == (1, True)


async def test_a_stop_before_the_pass_is_over_leaves_it_incomplete() -> None:
    """The report says that not everything was looked at."""
    s3 = LookedAtS3(page_size=10)
    stop = asyncio.Event()
    for number in range(100):
        add(s3, number)
    s3.at_listing = {2: stop.set}

    report = await _run(s3, Settings(run_seconds=50), stop=stop)

    assert (report.is_complete, report.failed) == (False, 0)
    assert report.outcomes[Outcome.FINALIZED] < 100
    assert sum(key.startswith("temp/") for key in s3.objects) == 100 - report.outcomes[Outcome.FINALIZED]


async def test_a_stop_waits_no_longer_than_it_may_for_what_is_in_hand() -> None:
    """An S3 that never answers cannot hold a run that was told to stop."""
    assert STOP_SECONDS < 10  # of the 30 that Kubernetes gives by default, its report's and its Event's being others

    class Hanging(MemoryS3):
        async def head(self, key: str) -> Head | None:
            """Never."""
            self.calls.append(("head", key))
            await asyncio.Event().wait()
            return None

    s3 = Hanging()
    stop = asyncio.Event()
    add(s3, 1)
    asyncio.get_running_loop().call_later(0.05, stop.set)

    async with asyncio.timeout(5):
        report = await _run(s3, Settings(stop_seconds=0.1), stop=stop)

    assert (report.is_complete, report.outcomes) == (False, {})


async def test_a_spent_budget_ends_the_run_in_order() -> None:
    """A backlog too large for one run is not a failure: what was done is done, the next run continues."""
    s3 = MemoryS3()
    for number in range(200):
        add(s3, number)

    report = await _run(s3, Settings(budget_seconds=250), Clock(step_seconds=1))

    assert (report.is_complete, report.failed) == (False, 0)
    assert 0 < report.outcomes[Outcome.FINALIZED] < 200
    assert sum(key.startswith("temp/") for key in s3.objects) == 200 - report.outcomes[Outcome.FINALIZED]


async def test_a_budget_shorter_than_the_lingering_ends_it() -> None:
    """However long it would linger, a run ends within its budget."""
    s3 = LookedAtS3()
    clock = Clock()
    s3.at_listing = {1: lambda: setattr(clock, "now", 31.0)}

    report = await _run(s3, Settings(run_seconds=1_000, poll_seconds=0.001, budget_seconds=30), clock)

    assert (s3.listings, report.is_complete) == (2, True)


async def test_now_is_the_stores_clock() -> None:
    """An asset is due by the `Date` of the listing, whatever this machine's clock says."""
    s3 = MemoryS3()
    name = add(s3, 1, expires_at=START)
    s3.now = START + timedelta(seconds=59)
    before = (await _run(s3, Settings())).outcomes
    s3.now += timedelta(seconds=1)
    after = (await _run(s3, Settings())).outcomes

    assert (before, after) == ({Outcome.WAITING: 1}, {Outcome.FINALIZED: 1})
    assert (status_of(s3, name), temp_key(name) in s3.objects) == ("uploaded", False)
