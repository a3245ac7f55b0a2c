"""One scan of `temp/`: which assets are reconciled, how many at once, and what failures do."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from assetuploader.errors import PreconditionFailedError, StoreAccessDeniedError, StoreUnavailableError
from assetuploader.keys import CHECK_UPLOAD_KEY, temp_key, uploaded_key
from assetuploader.outcome import Outcome
from assetuploader.state_machine import Status
from assetuploader.store import ListPage, ObjectAttributes, ObjectInfo
from reconciler.run_log import RunLog
from reconciler.scan import BATCH_SIZE, CONCURRENCY, LARGE_CONCURRENCY, MAX_CONSECUTIVE_FAILURES
from reconciler.shards import Shard
from reconciler.summary import RunCounters
from tests.support.builders import SOON, add_asset, asset_id, build_scan, status_of
from tests.support.in_memory_s3 import START, InMemoryS3, Stored, etag_of


@dataclass(slots=True)
class WatchedS3(InMemoryS3):
    """An S3 that counts concurrent calls and batches, and fails for the keys that a test chooses."""

    in_flight: int = 0
    most_in_flight: int = 0
    batches: list[int] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    undeletable: dict[str, str] = field(default_factory=dict)

    async def head_object(self, key: str) -> ObjectInfo | None:
        """Wait for a moment, then fail if the test chose the key."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for _ in range(3):
            await asyncio.sleep(0)
        self.in_flight -= 1
        if key in self.failing:
            self.calls.append(("head_object", key))
            raise self.failing[key]
        return await InMemoryS3.head_object(self, key)

    async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Count the batch, and fail for the keys that the test chose."""
        self.batches.append(len(keys))
        await asyncio.sleep(0)
        await InMemoryS3.delete_objects(self, [key for key in keys if key not in self.undeletable])
        return {key: reason for key, reason in self.undeletable.items() if key in keys}


async def test_a_scan_does_what_is_due_for_every_asset() -> None:
    """Each state of docs/design.md's table gets the outcome of the table, and the summary counts it."""
    s3 = InMemoryS3()
    due = add_asset(s3, 1)
    pinned = add_asset(s3, 2, pin=b"bytes 2", expires_at=SOON)
    early = add_asset(s3, 3, expires_at=SOON)
    other_bytes = add_asset(s3, 4, pin=b"other", expires_at=SOON)
    pending = add_asset(s3, 5, Status.PENDING, expires_at=SOON)
    unmarked = add_asset(s3, 6, Status.PENDING)
    overwritten = add_asset(s3, 7, pin=b"other")
    late_upload = add_asset(s3, 8, Status.UPLOADED)
    expired = add_asset(s3, 9, Status.EXPIRED)
    orphan = asset_id(10)
    s3.objects[temp_key(orphan)] = Stored(b"orphan", etag_of(b"orphan"), START)
    s3.objects["temp/no-asset"] = Stored(b"foreign", etag_of(b"foreign"), START)
    counters = RunCounters()

    await build_scan(s3, listeners=[counters]).run()

    assert {name: status_of(s3, name) for name in (due, pinned, late_upload)} == dict.fromkeys(
        (due, pinned, late_upload), "uploaded"
    )
    assert {name: status_of(s3, name) for name in (unmarked, overwritten, expired)} == dict.fromkeys(
        (unmarked, overwritten, expired), "expired"
    )
    assert [status_of(s3, name) for name in (early, other_bytes, pending)] == ["marked", "marked", "pending"]
    left = {temp_key(name) for name in (early, other_bytes, pending, orphan)} | {"temp/no-asset"}
    assert {key for key in s3.objects if key.startswith("temp/")} == left
    assert counters.outcomes == {
        Outcome.FINALIZED: 2,
        Outcome.EXPIRED: 2,
        Outcome.SWEPT: 2,
        Outcome.WAITING: 2,
        Outcome.ETAG_MISMATCH: 1,
        Outcome.ORPHANED: 1,
        Outcome.UNRECOGNIZED_KEY: 1,
    }


@pytest.mark.parametrize("page_size", [1, 7, 1_000])
async def test_every_page_is_read_and_every_asset_once(page_size: int) -> None:
    """However the listing is cut into pages, each asset is finalized, and by one copy."""
    s3 = InMemoryS3(page_size=page_size)
    names = [add_asset(s3, number) for number in range(50)]

    await build_scan(s3).run()

    assert {status_of(s3, name) for name in names} == {"uploaded"}
    copies = Counter(key for operation, key in s3.writes if operation == "copy_object")
    assert copies == Counter({uploaded_key(name): 1 for name in names})


async def test_shards_partition_the_assets() -> None:
    """Each shard's scan touches only its own range; together they touch all."""
    s3 = InMemoryS3(page_size=10)
    names = {add_asset(s3, number) for number in range(60)}
    done: list[set[str]] = []
    for index in range(4):
        s3.writes.clear()
        await build_scan(s3, shard=Shard(index, 4)).run()
        done.append({key.removeprefix("uploaded/") for operation, key in s3.writes if operation == "copy_object"})

    assert set().union(*done) == names
    assert sum(len(part) for part in done) == len(names)
    assert min(len(part) for part in done) > 5


async def test_a_shard_reads_no_further_than_its_end() -> None:
    """The listing begins at the shard and stops after it: other shards' pages are not requested."""
    s3 = InMemoryS3(page_size=10)
    for number in range(100):
        add_asset(s3, number)

    await build_scan(s3, shard=Shard(1, 10)).run()

    assert sum(operation == "list_objects" for operation, _ in s3.calls) <= 3


async def test_concurrency_is_bounded() -> None:
    """Assets are reconciled concurrently, up to the bound."""
    s3 = WatchedS3()
    for number in range(300):
        add_asset(s3, number)

    await build_scan(s3).run()

    assert s3.most_in_flight == CONCURRENCY


async def test_small_assets_do_not_wait_for_large_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large copies are reconciled apart from small ones, with their own bound; each deletes its upload at once."""
    monkeypatch.setattr("reconciler.scan.LARGE_COPY_BYTES", 9)
    go_on, under_way = asyncio.Event(), 0

    class SlowCopyS3(WatchedS3):
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
            """Wait before a large copy."""
            nonlocal under_way
            if len(self.objects[source].body) > 9:
                under_way += 1
                await go_on.wait()
            return await InMemoryS3.copy_object(
                self,
                source,
                target,
                attributes,
                source_if_match=source_if_match,
                if_match=if_match,
                max_seconds=max_seconds,
            )

    s3 = SlowCopyS3()
    large = [add_asset(s3, 1000 + number) for number in range(CONCURRENCY + 10)]
    small = [add_asset(s3, number) for number in range(100)]
    counters = RunCounters()
    scanning = asyncio.create_task(build_scan(s3, listeners=[counters]).run())
    async with asyncio.timeout(10):
        while any(temp_key(name) in s3.objects for name in small):  # noqa: ASYNC110 -- until they are deleted
            await asyncio.sleep(0)
    assert (under_way, {status_of(s3, name) for name in large}) == (LARGE_CONCURRENCY, {"marked"})
    go_on.set()
    await scanning
    assert counters.outcomes == {Outcome.FINALIZED: len(large) + len(small)}
    assert [key for key in s3.objects if key.startswith("temp/")] == []


async def test_uploads_are_deleted_a_thousand_at_a_time() -> None:
    """The uploads of a thousand finalized assets are deleted by one call, and the rest by one more."""
    s3 = WatchedS3()
    for number in range(2_500):
        add_asset(s3, number, Status.UPLOADED)

    await build_scan(s3).run()

    assert s3.batches == [BATCH_SIZE, BATCH_SIZE, 500]
    assert [key for key in s3.objects if key.startswith("temp/")] == []


@pytest.mark.parametrize(
    "error",
    [StoreUnavailableError("slow"), StoreAccessDeniedError("403"), ValueError("a bug"), TimeoutError()],
    ids=lambda error: type(error).__name__,
)
async def test_one_assets_failure_never_stops_the_others(error: Exception) -> None:
    """Whatever goes wrong with one asset is counted and logged, and all others become final."""
    s3 = WatchedS3()
    names = [add_asset(s3, number) for number in range(100)]
    s3.failing = {uploaded_key(name): error for name in names[::10]}
    counters = RunCounters()

    with capture_logs(processors=[merge_contextvars]) as logs:
        await build_scan(s3, listeners=[counters, RunLog()]).run()

    assert counters.outcomes == {Outcome.FAILED: 10, Outcome.FINALIZED: 90}
    assert [status_of(s3, name) for name in names] == [
        "marked" if number % 10 == 0 else "uploaded" for number in range(100)
    ]
    failures = [line for line in logs if line["event"] == "asset_failed"]
    assert {line["asset_id"] for line in failures} == set(names[::10])
    assert {line["reason"] for line in failures} == {str(error)}


async def test_a_failed_overdue_asset_is_reported() -> None:
    """If S3 fails after the placeholder was read, the asset counts as due, and the earliest one is reported."""
    s3 = WatchedS3()
    names = [add_asset(s3, number, expires_at=START - timedelta(hours=number + 1)) for number in range(3)]
    s3.failing = {temp_key(name): StoreUnavailableError("slow") for name in names}
    counters = RunCounters()

    await build_scan(s3, listeners=[counters]).run()

    overdue = counters.summarize(is_complete=True).oldest_overdue
    assert overdue is not None
    assert (overdue.asset_id, overdue.due_at) == (names[2], START - timedelta(hours=3) + timedelta(seconds=60))


async def test_an_unavailable_store_ends_the_scan() -> None:
    """After too many failures in a row the scan ends; the next run continues."""
    s3 = WatchedS3()
    names = [add_asset(s3, number) for number in range(500)]
    s3.failing = {uploaded_key(name): StoreUnavailableError("away") for name in names}
    counters = RunCounters()

    with pytest.raises(
        StoreUnavailableError, match=f"S3 was unavailable for {MAX_CONSECUTIVE_FAILURES} assets in a row"
    ):
        await build_scan(s3, listeners=[counters]).run()

    assert MAX_CONSECUTIVE_FAILURES <= counters.outcomes[Outcome.FAILED] <= MAX_CONSECUTIVE_FAILURES + CONCURRENCY
    assert s3.writes == []


async def test_only_consecutive_failures_end_the_scan() -> None:
    """Each asset that succeeds restarts the count of failures."""
    s3 = WatchedS3()
    names = [add_asset(s3, number) for number in range(500)]
    s3.failing = {
        uploaded_key(name): StoreUnavailableError("slow") for index, name in enumerate(sorted(names)) if index % 50
    }
    counters = RunCounters()

    await build_scan(s3, listeners=[counters]).run()

    assert counters.outcomes == {Outcome.FAILED: 490, Outcome.FINALIZED: 10}


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), StoreAccessDeniedError("403")])
async def test_a_failed_listing_ends_the_scan_with_its_reason(error: Exception) -> None:
    """Without a listing there is nothing to do; the error is raised as it is, not in an ExceptionGroup."""
    s3 = InMemoryS3(fails_with=error)

    with pytest.raises(type(error)) as raised:
        await build_scan(s3).run()

    assert raised.value is error


async def test_a_listing_that_fails_midway_deletes_the_finished_uploads() -> None:
    """Uploads that were finalized before the failure are still deleted."""

    class BrokenListingS3(WatchedS3):
        async def list_objects(self, prefix: str, start_after: str) -> ListPage:
            """Return one page, then fail."""
            if start_after != Shard().start_after:
                for _ in range(100):
                    await asyncio.sleep(0)
                raise StoreUnavailableError("away")
            return await InMemoryS3.list_objects(self, prefix, start_after)

    s3 = BrokenListingS3(page_size=10)
    for number in range(20):
        add_asset(s3, number)

    with pytest.raises(StoreUnavailableError, match="away"):
        await build_scan(s3).run()

    assert (s3.batches, sum(operation == "copy_object" for operation, _ in s3.writes)) == ([10], 10)


async def test_failed_deletions_are_counted() -> None:
    """S3 may reject single keys of a batch, or the whole batch: the next run sweeps them."""
    s3 = WatchedS3()
    names = [add_asset(s3, number) for number in range(10)]
    s3.undeletable = {temp_key(names[0]): "AccessDenied"}
    counters = RunCounters()

    with capture_logs() as logs:
        await build_scan(s3, listeners=[counters, RunLog()]).run()

    assert counters.outcomes == {Outcome.DELETE_FAILED: 1, Outcome.FINALIZED: 10}
    assert [(line["count"], line["reason"]) for line in logs if line["event"] == "upload_delete_failed"] == [
        (1, "AccessDenied")
    ]


async def test_a_log_line_about_a_batch_names_no_asset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log line of a failed batch does not name the asset that its worker handled last."""
    monkeypatch.setattr("reconciler.scan.BATCH_SIZE", 3)
    s3 = WatchedS3()
    s3.undeletable = {temp_key(add_asset(s3, number)): "AccessDenied" for number in range(7)}

    with capture_logs(processors=[merge_contextvars]) as logs:
        await build_scan(s3, listeners=[RunLog()]).run()

    assert ["asset_id" in line for line in logs if line["event"] == "asset_reconciled"] == [True] * 7
    others = [line for line in logs if line["event"] != "asset_reconciled"]
    assert len(others) >= 2
    assert {(line["event"], "asset_id" in line) for line in others} == {("upload_delete_failed", False)}


async def test_a_failed_batch_does_not_end_the_scan() -> None:
    """Uploads that could not be deleted are left to the next run."""

    class UndeletableS3(WatchedS3):
        async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
            """Fail for the whole batch."""
            raise StoreUnavailableError(f"{len(keys)} not deleted")

    s3 = UndeletableS3()
    for number in range(10):
        add_asset(s3, number)
    counters = RunCounters()

    await build_scan(s3, listeners=[counters]).run()

    assert counters.outcomes == {Outcome.DELETE_FAILED: 10, Outcome.FINALIZED: 10}


async def test_a_dry_run_reports_the_same_and_writes_nothing() -> None:
    """The outcomes are counted and logged as in a real run, and the bucket does not change."""
    s3 = InMemoryS3()
    for number, status in enumerate([Status.MARKED, Status.PENDING, Status.UPLOADED, Status.EXPIRED] * 5):
        add_asset(s3, number, status)
    before = dict(s3.objects)
    counters = RunCounters()

    with capture_logs() as logs:
        await build_scan(s3, listeners=[counters, RunLog(dry_run=True)], dry_run=True).run()

    assert (s3.objects, s3.writes) == (before, [])
    assert counters.outcomes == {Outcome.FINALIZED: 5, Outcome.EXPIRED: 5, Outcome.SWEPT: 10}
    assert [line["dry_run"] for line in logs if line["event"] == "asset_reconciled"] == [True] * 20


async def test_a_stop_starts_no_further_asset() -> None:
    """After a stop no further asset is started; those in progress are finished and their uploads deleted."""
    s3 = WatchedS3()
    names = [add_asset(s3, number) for number in range(300)]

    def count_finalized() -> int:
        return sum(operation == "copy_object" for operation, _ in s3.writes)

    await build_scan(s3, should_stop=lambda: count_finalized() >= 50).run()

    done = [name for name in names if status_of(s3, name) == "uploaded"]
    assert 50 <= len(done) <= 50 + CONCURRENCY
    assert {key for key in s3.objects if key.startswith("temp/")} == {temp_key(name) for name in set(names) - set(done)}


async def test_a_scan_reads_old_uploads_only_when_it_is_their_turn() -> None:
    """The others are counted from the listing, and cost no request. The scan after takes its own."""
    s3 = InMemoryS3()
    names = {
        add_asset(s3, number, expires_at=SOON, uploaded_at=START - timedelta(days=1, seconds=number))
        for number in range(1_500)
    }
    read: list[set[str]] = []
    for minute in range(10):
        s3.calls.clear()
        counters = RunCounters()
        s3.now = START + timedelta(minutes=minute)
        await build_scan(s3, listeners=[counters], previous_at=s3.now - timedelta(minutes=1)).run()
        heads = [key.removeprefix("uploaded/") for operation, key in s3.calls if operation == "head_object"]
        assert counters.outcomes == Counter(waiting=len(heads), postponed=len(names) - len(heads))
        read.append(set(heads))
    assert sum(map(len, read)) == len(names)
    assert set().union(*read) == names


async def test_a_scan_reads_young_uploads_and_those_that_became_due() -> None:
    """Whatever is due at the usual time is finalized by the next scan, however long ago the scan before was."""
    s3 = InMemoryS3()
    for number, minutes in enumerate((1, 10, 17, 20, 60, 200)):
        uploaded_at = START - timedelta(minutes=minutes)
        add_asset(s3, number, expires_at=uploaded_at + timedelta(minutes=15), uploaded_at=uploaded_at)

    await build_scan(s3, previous_at=START - timedelta(minutes=185)).run()

    assert [status_of(s3, asset_id(number)) for number in range(6)] == ["marked", "marked", *["uploaded"] * 4]


@pytest.mark.parametrize("failing", ["placeholder", "copy", "deletion", None])
async def test_a_scan_says_whether_it_left_work(failing: str | None) -> None:
    """Something failed, or lost a race although it is due: the next scan reads again what this one read."""

    class BusyS3(WatchedS3):
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
            """Lose the race."""
            if failing == "copy":
                raise PreconditionFailedError(target)
            return await InMemoryS3.copy_object(
                self,
                source,
                target,
                attributes,
                source_if_match=source_if_match,
                if_match=if_match,
                max_seconds=max_seconds,
            )

    s3 = BusyS3()
    name = add_asset(s3, 1)
    add_asset(s3, 2, expires_at=SOON)
    if failing == "placeholder":
        s3.failing = {uploaded_key(name): StoreUnavailableError("slow")}
    if failing == "deletion":
        s3.undeletable = {temp_key(name): "AccessDenied"}
    scan = build_scan(s3)
    await scan.run()
    assert scan.has_unfinished_work is (failing is not None)


async def test_a_scan_of_recent_uploads_reads_no_others() -> None:
    """A scan of recent uploads costs the listing and two HEADs for each recent upload, and nothing for old ones."""
    s3 = InMemoryS3()
    for number in range(50):
        add_asset(s3, number, expires_at=SOON)
    recent = add_asset(s3, 99, pin=b"bytes 99", expires_at=SOON, uploaded_at=START - timedelta(seconds=30))
    s3.objects["temp/no-asset"] = replace(s3.objects[temp_key(recent)])
    counters = RunCounters()

    await build_scan(s3, listeners=[counters], max_age=timedelta(minutes=1)).run()

    assert status_of(s3, recent) == "uploaded"
    assert counters.outcomes == {Outcome.FINALIZED: 1}
    assert {key for _, key in s3.calls} == {"temp/", temp_key(recent), uploaded_key(recent)}


async def test_the_upload_of_the_conformance_check_is_not_an_unknown_key() -> None:
    """Each start of the service writes it. It is no finding, and stays."""
    s3, counters = InMemoryS3(), RunCounters()
    s3.store("put", CHECK_UPLOAD_KEY, b"probe", ObjectAttributes())
    await build_scan(s3, listeners=[counters]).run()
    assert counters.outcomes == {}
    assert list(s3.objects) == [CHECK_UPLOAD_KEY]
