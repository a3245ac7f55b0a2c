"""One pass over `temp/`: what is looked at, how much at once, and what failures do."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from assetstore.assets import Outcome
from assetstore.door import Head, Page
from assetstore.errors import StoreDeniedError, StoreUnavailableError
from assetstore.protocol import Status, temp_key, uploaded_key
from reconciler.passes import BATCH, CONCURRENCY, LOST_AFTER
from reconciler.report import Tally
from reconciler.shards import Shard
from tests.memory_s3 import START, MemoryS3, Stored, etag_of
from tests.unit.scenes import SOON, add, asset_id, pass_over, status_of


@dataclass(slots=True)
class WatchedS3(MemoryS3):
    """Counts what is on its way at the same time, and fails where it is told to."""

    in_flight: int = 0
    most_in_flight: int = 0
    batches: list[int] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    undeletable: dict[str, str] = field(default_factory=dict)

    async def head(self, key: str) -> Head | None:
        """Take a moment, and fail if told to."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for _ in range(3):
            await asyncio.sleep(0)
        self.in_flight -= 1
        if key in self.failing:
            self.calls.append(("head", key))
            raise self.failing[key]
        return await MemoryS3.head(self, key)

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Count the batch, and leave what cannot be deleted."""
        self.batches.append(len(keys))
        await asyncio.sleep(0)
        await MemoryS3.delete_many(self, [key for key in keys if key not in self.undeletable])
        return {key: reason for key, reason in self.undeletable.items() if key in keys}


async def test_a_pass_brings_every_asset_as_far_as_it_is_due() -> None:
    """Each state of docs/design.md's table gets what the table says, and the tally counts it."""
    s3 = MemoryS3()
    due = add(s3, 1)
    pinned = add(s3, 2, pin=b"bytes 2", expires_at=SOON)
    early = add(s3, 3, expires_at=SOON)
    other_bytes = add(s3, 4, pin=b"other", expires_at=SOON)
    pending = add(s3, 5, Status.PENDING, expires_at=SOON)
    unmarked = add(s3, 6, Status.PENDING)
    overwritten = add(s3, 7, pin=b"other")
    late_upload = add(s3, 8, Status.UPLOADED)
    given_up = add(s3, 9, Status.EXPIRED)
    orphan = asset_id(10)
    s3.objects[temp_key(orphan)] = Stored(b"orphan", etag_of(b"orphan"), START)
    s3.objects["temp/no-asset"] = Stored(b"foreign", etag_of(b"foreign"), START)
    tally = Tally()

    await pass_over(s3, tally=tally).run()

    assert {name: status_of(s3, name) for name in (due, pinned, late_upload)} == dict.fromkeys(
        (due, pinned, late_upload), "uploaded"
    )
    assert {name: status_of(s3, name) for name in (unmarked, overwritten, given_up)} == dict.fromkeys(
        (unmarked, overwritten, given_up), "expired"
    )
    assert [status_of(s3, name) for name in (early, other_bytes, pending)] == ["marked", "marked", "pending"]
    left = {temp_key(name) for name in (early, other_bytes, pending, orphan)} | {"temp/no-asset"}
    assert {key for key in s3.objects if key.startswith("temp/")} == left
    assert tally.outcomes == {
        Outcome.FINALIZED: 2,
        Outcome.EXPIRED: 2,
        Outcome.SWEPT: 2,
        Outcome.WAITING: 2,
        Outcome.MISMATCHED: 1,
        Outcome.ORPHANED: 1,
    }
    assert (tally.failed, tally.undeleted, tally.foreign) == (0, 0, 1)


@pytest.mark.parametrize("page_size", [1, 7, 1_000])
async def test_every_page_is_read_and_every_asset_once(page_size: int) -> None:
    """However the listing is cut into pages, each asset is finalized, and by one copy."""
    s3 = MemoryS3(page_size=page_size)
    names = [add(s3, number) for number in range(50)]

    await pass_over(s3).run()

    assert {status_of(s3, name) for name in names} == {"uploaded"}
    copies = Counter(key for operation, key in s3.writes if operation == "copy_if")
    assert copies == Counter({uploaded_key(name): 1 for name in names})


async def test_shards_share_the_assets_out() -> None:
    """Each shard's pass touches its own range only; together they touch all."""
    s3 = MemoryS3(page_size=10)
    names = {add(s3, number) for number in range(60)}
    done: list[set[str]] = []
    for index in range(4):
        s3.writes.clear()
        await pass_over(s3, shard=Shard(index, 4)).run()
        done.append({key.removeprefix("uploaded/") for operation, key in s3.writes if operation == "copy_if"})

    assert set().union(*done) == names
    assert sum(len(part) for part in done) == len(names)
    assert min(len(part) for part in done) > 5


async def test_a_shard_reads_no_further_than_its_end() -> None:
    """The listing begins at the shard and stops behind it: other shards' pages are not paid for."""
    s3 = MemoryS3(page_size=10)
    for number in range(100):
        add(s3, number)

    await pass_over(s3, shard=Shard(1, 10)).run()

    assert sum(operation == "list_page" for operation, _ in s3.calls) <= 3


async def test_no_more_than_the_bound_is_in_hand_at_once() -> None:
    """Concurrency is used, and bounded, whatever is due."""
    s3 = WatchedS3()
    for number in range(300):
        add(s3, number)

    await pass_over(s3).run()

    assert s3.most_in_flight == CONCURRENCY


async def test_garbage_is_deleted_a_thousand_at_a_time() -> None:
    """A thousand finalized assets cost one call to clean up after, and the rest one more."""
    s3 = WatchedS3()
    for number in range(2_500):
        add(s3, number, Status.UPLOADED)

    await pass_over(s3).run()

    assert s3.batches == [BATCH, BATCH, 500]
    assert [key for key in s3.objects if key.startswith("temp/")] == []


@pytest.mark.parametrize(
    "error",
    [StoreUnavailableError("slow"), StoreDeniedError("403"), ValueError("a mistake of ours"), TimeoutError()],
    ids=lambda error: type(error).__name__,
)
async def test_one_assets_failure_never_stops_the_others(error: Exception) -> None:
    """Whatever goes wrong with one asset is counted and logged, and all others become final."""
    s3 = WatchedS3()
    names = [add(s3, number) for number in range(100)]
    s3.failing = {uploaded_key(name): error for name in names[::10]}
    tally = Tally()

    with capture_logs(processors=[merge_contextvars]) as logs:
        await pass_over(s3, tally=tally).run()

    assert (tally.failed, tally.outcomes) == (10, {Outcome.FINALIZED: 90})
    assert [status_of(s3, name) for name in names] == [
        "marked" if number % 10 == 0 else "uploaded" for number in range(100)
    ]
    failures = [line for line in logs if line["event"] == "asset_failed"]
    assert {line["asset_id"] for line in failures} == set(names[::10])
    assert {line["reason"] for line in failures} == {str(error)}


async def test_a_failure_that_is_known_to_be_overdue_is_reported() -> None:
    """S3 failed behind the placeholder: the asset was due, is not final, and the oldest such is named."""
    s3 = WatchedS3()
    names = [add(s3, number, expires_at=START - timedelta(hours=number + 1)) for number in range(3)]
    s3.failing = {temp_key(name): StoreUnavailableError("slow") for name in names}
    tally = Tally()

    await pass_over(s3, tally=tally).run()

    overdue = tally.report().oldest_overdue
    assert overdue is not None
    assert (overdue.asset_id, overdue.due_at) == (names[2], START - timedelta(hours=3) + timedelta(seconds=60))


async def test_a_store_that_is_away_ends_the_pass() -> None:
    """After so many assets in a row without an answer no more are tried: the next run will."""
    s3 = WatchedS3()
    names = [add(s3, number) for number in range(500)]
    s3.failing = {uploaded_key(name): StoreUnavailableError("away") for name in names}
    tally = Tally()

    with pytest.raises(StoreUnavailableError, match=f"S3 did not answer for {LOST_AFTER} assets in a row"):
        await pass_over(s3, tally=tally).run()

    assert LOST_AFTER <= tally.failed <= LOST_AFTER + CONCURRENCY
    assert s3.writes == []


async def test_a_store_that_answers_now_and_then_is_not_away() -> None:
    """Only an unbroken row of failures counts."""
    s3 = WatchedS3()
    names = [add(s3, number) for number in range(500)]
    in_order = sorted(names)
    s3.failing = {uploaded_key(name): StoreUnavailableError("slow") for name in in_order if in_order.index(name) % 50}
    tally = Tally()

    await pass_over(s3, tally=tally).run()

    assert (tally.failed, tally.outcomes) == (490, {Outcome.FINALIZED: 10})


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), StoreDeniedError("403")])
async def test_a_listing_that_fails_ends_the_pass_with_its_reason(error: Exception) -> None:
    """Without a listing there is nothing to do; the error comes as it is, not in a group."""
    s3 = MemoryS3(fails_with=error)

    with pytest.raises(type(error)) as raised:
        await pass_over(s3).run()

    assert raised.value is error


async def test_a_listing_that_fails_midway_cleans_up_what_was_done() -> None:
    """What was finalized before the failure is deleted from `temp/` all the same."""

    class Breaking(WatchedS3):
        async def list_page(self, prefix: str, start_after: str) -> Page:
            """Answer one page."""
            if start_after != Shard().start_after:
                for _ in range(100):
                    await asyncio.sleep(0)
                raise StoreUnavailableError("away")
            return await MemoryS3.list_page(self, prefix, start_after)

    s3 = Breaking(page_size=10)
    for number in range(20):
        add(s3, number)

    with pytest.raises(StoreUnavailableError, match="away"):
        await pass_over(s3).run()

    assert (s3.batches, sum(operation == "copy_if" for operation, _ in s3.writes)) == ([10], 10)


async def test_garbage_that_cannot_be_deleted_is_counted() -> None:
    """S3 may refuse single keys of a batch, or the batch: the next run sweeps them."""
    s3 = WatchedS3()
    names = [add(s3, number) for number in range(10)]
    s3.undeletable = {temp_key(names[0]): "AccessDenied"}
    tally = Tally()

    with capture_logs() as logs:
        await pass_over(s3, tally=tally).run()

    assert (tally.undeleted, tally.outcomes) == (1, {Outcome.FINALIZED: 10})
    assert [(line["count"], line["reason"]) for line in logs if line["event"] == "garbage_not_deleted"] == [
        (1, "AccessDenied")
    ]


async def test_what_is_said_of_a_batch_names_no_asset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that happens to delete a full batch had an asset in hand: the line is not about that one."""
    monkeypatch.setattr("reconciler.passes.BATCH", 3)
    s3 = WatchedS3()
    s3.undeletable = {temp_key(add(s3, number)): "AccessDenied" for number in range(7)}

    with capture_logs(processors=[merge_contextvars]) as logs:
        await pass_over(s3).run()

    about = [(line["event"], "asset_id" in line) for line in logs]
    assert about.count(("asset_reconciled", True)) == 7
    assert about.count(("garbage_not_deleted", False)) == len(about) - 7 >= 2


async def test_a_batch_that_fails_is_counted_and_ends_nothing() -> None:
    """Deleting garbage is the least of a run's duties."""

    class Undeleting(WatchedS3):
        async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
            """Fail."""
            raise StoreUnavailableError(f"{len(keys)} not deleted")

    s3 = Undeleting()
    for number in range(10):
        add(s3, number)
    tally = Tally()

    await pass_over(s3, tally=tally).run()

    assert (tally.undeleted, tally.outcomes) == (10, {Outcome.FINALIZED: 10})


async def test_a_dry_run_says_the_same_and_writes_nothing() -> None:
    """What would be done is counted and logged as if it were, and the bucket stays as it is."""
    s3 = MemoryS3()
    for number, status in enumerate([Status.MARKED, Status.PENDING, Status.UPLOADED, Status.EXPIRED] * 5):
        add(s3, number, status)
    before = dict(s3.objects)
    tally = Tally()

    with capture_logs() as logs:
        await pass_over(s3, tally=tally, dry_run=True).run()

    assert (s3.objects, s3.writes) == (before, [])
    assert tally.outcomes == {Outcome.FINALIZED: 5, Outcome.EXPIRED: 5, Outcome.SWEPT: 10}
    assert [line["dry_run"] for line in logs if line["event"] == "asset_reconciled"] == [True] * 20


async def test_a_halt_leaves_what_was_not_begun() -> None:
    """Once told to halt no further asset is taken up; those in hand are finished and cleaned up after."""
    s3 = WatchedS3()
    names = [add(s3, number) for number in range(300)]

    def finalized() -> int:
        return sum(operation == "copy_if" for operation, _ in s3.writes)

    await pass_over(s3, should_halt=lambda: finalized() >= 50).run()

    done = [name for name in names if status_of(s3, name) == "uploaded"]
    assert 50 <= len(done) <= 50 + CONCURRENCY
    assert {key for key in s3.objects if key.startswith("temp/")} == {temp_key(name) for name in set(names) - set(done)}


async def test_a_look_at_the_young_asks_nothing_about_the_old() -> None:
    """A lingering run's look costs the listing and two HEADs for each new upload, however many old ones wait."""
    s3 = MemoryS3()
    for number in range(50):
        add(s3, number, expires_at=SOON)
    young = add(s3, 99, pin=b"bytes 99", expires_at=SOON, uploaded_at=START - timedelta(seconds=30))
    s3.objects["temp/no-asset"] = replace(s3.objects[temp_key(young)])
    tally = Tally()

    await pass_over(s3, tally=tally, younger_than=timedelta(minutes=1)).run()

    assert status_of(s3, young) == "uploaded"
    assert (tally.outcomes, tally.foreign) == ({Outcome.FINALIZED: 1}, 0)
    assert {key for _, key in s3.calls} == {"temp/", temp_key(young), uploaded_key(young)}
