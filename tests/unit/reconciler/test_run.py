"""A whole run: the full scan, watching, the stop and the time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from assetuploader.asset_service import AssetService
from assetuploader.errors import StoreAccessDeniedError, StoreUnavailableError
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.outcome import Outcome
from assetuploader.shard_reports import OpenUploads
from assetuploader.state_machine import Status
from assetuploader.store import ListPage, ObjectAttributes
from reconciler.run import SHUTDOWN_TIMEOUT_SECONDS, Run, RunOptions, check_nothing
from reconciler.shards import Shard
from reconciler.summary import RunCounters, RunSummary
from tests.support.builders import POLICY, SOON, add_asset, build_reconciler, status_of
from tests.support.in_memory_s3 import START, HangingS3, InMemoryS3, etag_of

RECENT = START - timedelta(seconds=5)
POLL_INTERVAL_SECONDS = 0.1
"""Long beside a scan of a few assets in memory, so that a scan ends before the next poll."""


@dataclass(slots=True)
class ObservedS3(InMemoryS3):
    """An S3 that calls back at each listing, so that a test can change the bucket between scans."""

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
        """Return the time after one more step."""
        self.now += self.step_seconds
        return self.now


async def _run(
    s3: InMemoryS3, run_options: RunOptions, clock: Callable[[], float] | None = None, stop: asyncio.Event | None = None
) -> RunSummary:
    counters = RunCounters()
    is_complete = await Run(
        build_reconciler(s3), run_options, [counters], check_nothing, stop or asyncio.Event(), clock or Clock()
    ).run()
    return counters.summarize(is_complete=is_complete)


def build_options(**changes: Any) -> RunOptions:  # noqa: ANN401 -- as RunOptions has them
    """Return options for one scan without watching, with some of them changed."""
    return replace(RunOptions(Shard(), watch_seconds=0, poll_interval_seconds=5, max_run_seconds=3000), **changes)


async def test_without_watching_a_run_is_one_scan() -> None:
    """Without watching a run lists once and ends."""
    s3 = ObservedS3()
    add_asset(s3, 1)

    summary = await _run(s3, build_options(watch_seconds=0))

    assert (s3.listings, summary.is_complete, summary.outcomes) == (1, True, {Outcome.FINALIZED: 1})


async def test_a_watching_run_finds_recent_uploads() -> None:
    """An asset that is marked between two polls is finalized at the next one; old uploads wait for a full scan.

    The last poll is at the end of the watch, so that the time until the next run is short.
    """
    s3 = ObservedS3()
    old = add_asset(s3, 1, Status.PENDING, expires_at=SOON)
    clock = Clock()

    def mark_both() -> None:
        add_asset(s3, 1, pin=b"bytes 1", expires_at=SOON)
        add_asset(s3, 2, pin=b"bytes 2", expires_at=SOON, uploaded_at=RECENT)

    def end() -> None:
        clock.now = 55.0

    s3.at_listing = {1: mark_both, 3: end}
    summary = await _run(s3, build_options(watch_seconds=50, poll_interval_seconds=POLL_INTERVAL_SECONDS), clock)

    assert s3.listings == 5
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
        add_asset(s3, 1, pin=b"bytes 1", uploaded_at=RECENT)

    def end() -> None:
        clock.now = 60.0

    s3.at_listing = {1: fail, 2: recover, 3: end}
    with capture_logs() as logs:
        summary = await _run(s3, build_options(watch_seconds=50, poll_interval_seconds=POLL_INTERVAL_SECONDS), clock)

    assert (summary.is_complete, summary.outcomes) == (True, {Outcome.FINALIZED: 1})
    assert [line["reason"] for line in logs if line["event"] == "poll_failed"] == ["away"]


async def test_without_watching_a_failed_scan_ends_the_run() -> None:
    """S3 is unavailable at the first listing: the run ends with the reason, for exit code 75."""
    with pytest.raises(StoreUnavailableError, match="away"):
        await _run(InMemoryS3(fails_with=StoreUnavailableError("away")), build_options(watch_seconds=0))


async def test_an_error_that_no_retry_cures_ends_the_run_at_once() -> None:
    """The run ends with S3's error, and does not wait for the next poll."""
    s3 = ObservedS3(fails_with=StoreAccessDeniedError("403"))
    async with asyncio.timeout(5):
        with pytest.raises(StoreAccessDeniedError):
            await _run(s3, build_options(watch_seconds=50, poll_interval_seconds=1_000))


async def test_a_run_waits_for_a_store_that_is_unavailable_at_its_start() -> None:
    """The check of the store and the full scan are tried again as long as the run watches."""
    s3, clock = ObservedS3(), Clock()
    add_asset(s3, 1)
    failures = iter([StoreUnavailableError("no check"), None])
    s3.at_listing = {
        0: lambda: setattr(s3, "fails_with", StoreUnavailableError("no listing")),
        1: lambda: setattr(s3, "fails_with", None),
        2: lambda: setattr(clock, "now", 60.0),
    }

    async def check_store() -> None:
        assert s3.calls == []
        if (failure := next(failures)) is not None:
            raise failure

    with capture_logs() as logs:
        run_options = build_options(watch_seconds=50, poll_interval_seconds=POLL_INTERVAL_SECONDS)
        counters = RunCounters()
        reconciler = build_reconciler(s3)
        is_complete = await Run(reconciler, run_options, [counters], check_store, asyncio.Event(), clock).run()

    assert (is_complete, counters.outcomes) == (True, {Outcome.FINALIZED: 1})
    assert [line["reason"] for line in logs if line["event"] == "scan_failed"] == ["no check", "no listing"]


async def test_a_store_that_stays_unavailable_fails_the_run() -> None:
    """When the run has watched to its end without a full scan, it ends with the reason, for exit code 75."""
    s3, clock = ObservedS3(fails_with=StoreUnavailableError("away")), Clock()
    s3.at_listing = {3: lambda: setattr(clock, "now", 60.0)}
    with pytest.raises(StoreUnavailableError, match="away"):
        await _run(s3, build_options(watch_seconds=50, poll_interval_seconds=POLL_INTERVAL_SECONDS), clock)
    assert s3.listings == 4


async def _continue(_target: str) -> None:
    """Do nothing before a copy."""


@dataclass(slots=True)
class CopyingS3(ObservedS3):
    """An S3 that calls back before each copy, with the key that it writes."""

    before_copy: Callable[[str], Awaitable[None]] = _continue
    copies: list[str] = field(default_factory=list)

    async def copy_object(  # noqa: PLR0913 -- the interface's
        self,
        source: str,
        target: str,
        attributes: ObjectAttributes,
        *,
        source_if_match: str,
        if_match: str,
        max_seconds: float | None = None,
    ) -> str:
        """Call back, and copy."""
        self.copies.append(target)
        await self.before_copy(target)
        return await InMemoryS3.copy_object(
            self,
            source,
            target,
            attributes,
            source_if_match=source_if_match,
            if_match=if_match,
            max_seconds=max_seconds,
        )


async def test_no_asset_waits_for_the_copy_of_another_one() -> None:
    """While a copy takes its time, polls go on, and assets that are marked meanwhile become final."""
    s3, clock, go_on = CopyingS3(), Clock(), asyncio.Event()
    slow = add_asset(s3, 1)
    marked: list[str] = []

    async def wait(target: str) -> None:
        if target == uploaded_key(slow):
            await go_on.wait()

    def mark() -> None:
        marked.extend(add_asset(s3, number, pin=b"bytes %d" % number, uploaded_at=RECENT) for number in (2, 3, 4))

    def end() -> None:
        assert ({status_of(s3, name) for name in marked}, status_of(s3, slow)) == ({"uploaded"}, "marked")
        clock.now = 55.0  # the run does not watch any more, and its copy is still under way
        go_on.set()

    s3.before_copy = wait
    s3.at_listing = {2: mark, 5: end}
    summary = await _run(s3, build_options(watch_seconds=50, poll_interval_seconds=POLL_INTERVAL_SECONDS), clock)

    assert (summary.is_complete, summary.outcomes) == (True, {Outcome.FINALIZED: 4})
    assert sorted(s3.copies) == sorted(uploaded_key(name) for name in (slow, *marked))


async def test_a_run_that_outlasts_its_minute_scans_everything_again() -> None:
    """Kubernetes starts no other run beside it: the run itself finds what becomes due."""
    s3, clock, go_on = CopyingS3(), Clock(), asyncio.Event()
    slow = add_asset(s3, 1)
    due: list[str] = []

    async def wait(target: str) -> None:
        if target == uploaded_key(slow):
            await go_on.wait()
        else:
            go_on.set()

    def outlast() -> None:
        due.append(add_asset(s3, 2))
        clock.now = 61.0

    s3.before_copy = wait
    s3.at_listing = {1: outlast}
    summary = await _run(s3, build_options(watch_seconds=50, poll_interval_seconds=POLL_INTERVAL_SECONDS), clock)

    assert (status_of(s3, due[0]), summary.outcomes) == ("uploaded", {Outcome.FINALIZED: 2})


async def test_a_client_that_marks_during_the_copy_fails_nothing() -> None:
    """A lost race is left to the next scan: no failure, and no copy at once."""
    s3, clock = CopyingS3(), Clock()
    name = add_asset(s3, 1, pin=b"bytes 1", uploaded_at=RECENT)
    client = AssetService(s3, s3, POLICY, uuid4, lambda: uuid4().bytes)

    async def mark(_target: str) -> None:
        if len(s3.copies) < 3:
            await client.mark(name, None, s3.now)
            await client.mark(name, etag_of(b"bytes 1"), s3.now)

    s3.before_copy = mark
    s3.at_listing = {4: lambda: setattr(clock, "now", 60.0)}
    summary = await _run(s3, build_options(watch_seconds=50, poll_interval_seconds=POLL_INTERVAL_SECONDS), clock)

    assert (len(s3.copies), status_of(s3, name)) == (3, "uploaded")
    assert (summary.outcomes[Outcome.FINALIZED], summary.has_failures) == (1, False)


async def test_a_stop_while_watching_ends_the_run_at_once() -> None:
    """The run does not wait for the next poll; it is complete."""
    s3 = ObservedS3()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)

    async with asyncio.timeout(5):
        summary = await _run(s3, build_options(watch_seconds=3_000, poll_interval_seconds=1_000), stop=stop)

    assert (s3.listings, summary.is_complete) == (1, True)


async def test_a_stop_during_the_full_scan_leaves_it_incomplete() -> None:
    """The summary says that the scan is incomplete."""
    s3 = ObservedS3(page_size=10)
    stop = asyncio.Event()
    for number in range(100):
        add_asset(s3, number)
    s3.at_listing = {2: stop.set}

    summary = await _run(s3, build_options(watch_seconds=50), stop=stop)

    assert (summary.is_complete, summary.has_failures) == (False, False)
    assert summary.outcomes[Outcome.FINALIZED] < 100
    assert sum(key.startswith("temp/") for key in s3.objects) == 100 - summary.outcomes[Outcome.FINALIZED]


async def test_a_stop_waits_only_for_the_shutdown_timeout() -> None:
    """An S3 that never responds cannot delay a run that was stopped."""
    assert SHUTDOWN_TIMEOUT_SECONDS < 10  # of Kubernetes' 30 s; the rest is for report and Event

    s3 = HangingS3()
    stop = asyncio.Event()
    add_asset(s3, 1)
    asyncio.get_running_loop().call_later(0.05, stop.set)

    async with asyncio.timeout(5):
        summary = await _run(s3, build_options(shutdown_timeout_seconds=0.1), stop=stop)

    assert (summary.is_complete, summary.outcomes) == (False, {})


async def test_the_time_limit_ends_a_run_in_order() -> None:
    """A backlog too large for one run is not a failure: what was done is done, the next run continues."""
    s3 = InMemoryS3()
    for number in range(200):
        add_asset(s3, number)

    summary = await _run(s3, build_options(max_run_seconds=250), Clock(step_seconds=1))

    assert (summary.is_complete, summary.has_failures) == (False, False)
    assert 0 < summary.outcomes[Outcome.FINALIZED] < 200
    assert sum(key.startswith("temp/") for key in s3.objects) == 200 - summary.outcomes[Outcome.FINALIZED]


async def test_the_time_limit_ends_watching() -> None:
    """However long it would watch, a run ends within its maximum time."""
    s3 = ObservedS3()
    clock = Clock()
    s3.at_listing = {1: lambda: setattr(clock, "now", 31.0)}

    summary = await _run(
        s3, build_options(watch_seconds=1_000, poll_interval_seconds=POLL_INTERVAL_SECONDS, max_run_seconds=30), clock
    )

    assert (s3.listings, summary.is_complete) == (2, True)


async def _run_after(s3: InMemoryS3, full_scan_at: datetime | None, **changes: Any) -> Run:  # noqa: ANN401
    async def find() -> datetime | None:
        return full_scan_at

    run = Run(build_reconciler(s3), build_options(**changes), [], check_nothing, asyncio.Event(), Clock(), find)
    await run.run()
    return run


async def test_a_run_continues_the_looks_of_the_run_before() -> None:
    """It reads the uploads whose looks lie between the two scans, and passes on the time of its own scan."""
    s3 = InMemoryS3()
    for number in range(20):
        add_asset(s3, number, Status.PENDING, expires_at=SOON)
    run = await _run_after(s3, START - timedelta(minutes=10))
    assert (run.full_scan_at, sum(operation == "head_object" for operation, _ in s3.calls)) == (START, 20)
    run = await _run_after(s3, START)
    assert (run.full_scan_at, sum(operation == "head_object" for operation, _ in s3.calls)) == (START, 20)


async def test_open_uploads_are_listed_once_an_hour() -> None:
    """The first full scan of an hour lists them, and the run passes on what it found."""
    s3 = InMemoryS3()
    assert (await _run_after(s3, START - timedelta(hours=1))).open_uploads == OpenUploads(pending=0, ended=0)
    assert (await _run_after(s3, START)).open_uploads is None


async def test_a_run_that_left_work_does_not_pass_on_its_time() -> None:
    """The next run reads again what this one read: no look is lost by a failure, and none by the time limit."""
    s3 = CopyingS3()
    add_asset(s3, 1)

    async def fail(_target: str) -> None:
        raise StoreUnavailableError("slow")

    s3.before_copy = fail
    before = START - timedelta(minutes=10)
    assert (await _run_after(s3, before)).full_scan_at == before
    s3.before_copy = _continue
    assert (await _run_after(s3, before, max_run_seconds=0)).full_scan_at == before
    assert (await _run_after(s3, before)).full_scan_at == START


async def test_now_is_the_stores_clock() -> None:
    """Whether an asset is due depends on the `Date` of the listing, not on this machine's clock."""
    s3 = InMemoryS3()
    name = add_asset(s3, 1, expires_at=START)
    s3.now = START + timedelta(seconds=59)
    before = (await _run(s3, build_options())).outcomes
    s3.now += timedelta(seconds=1)
    after = (await _run(s3, build_options())).outcomes

    assert (before, after) == ({Outcome.WAITING: 1}, {Outcome.FINALIZED: 1})
    assert (status_of(s3, name), temp_key(name) in s3.objects) == ("uploaded", False)
