"""The asset service, call by call, on an S3 in memory. `tests/protocol` tests interleavings."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any, Final
from uuid import UUID

import pytest

from assetuploader.asset_cache import AssetCache
from assetuploader.asset_reconciler import AssetReconciler, ReconcileResult
from assetuploader.asset_service import (
    MAX_CAS_ATTEMPTS,
    MIN_RETRY_AFTER_SECONDS,
    AssetService,
)
from assetuploader.declaration import Declaration
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetBusyError,
    AssetError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotPendingError,
    AssetNotUploadedError,
    DeletesDisabledError,
    StoreAccessDeniedError,
    StoreError,
    StoreUnavailableError,
    UploadMismatchError,
)
from assetuploader.outcome import Outcome
from assetuploader.placeholders import read_placeholder
from assetuploader.state_machine import LifecyclePolicy, Status
from assetuploader.store import ObjectAttributes, ObjectInfo
from tests.support.in_memory_s3 import START, InMemoryS3, RefusedError, etag_of

POLICY: Final = LifecyclePolicy(
    upload_url_ttl_seconds=900, grace_seconds=60, expire_after_seconds=3600, finalize_at_once_bytes=0
)
ID: Final = "11111111-1111-4111-8111-111111111111"
TEMP, UPLOADED = f"temp/{ID}", f"uploaded/{ID}"
A: Final = etag_of(b"A")
EXPIRY: Final = START + timedelta(seconds=900)
DUE: Final = EXPIRY + timedelta(seconds=60)
EXPIRED: Final = EXPIRY + timedelta(seconds=3600)


@dataclass(slots=True)
class ScriptedS3(InMemoryS3):
    """An S3 that lets a test act before some calls, as another client would."""

    before: dict[tuple[str, str], list[Callable[[], None]]] = field(default_factory=dict)
    """What to do before the next calls of an operation on a key."""

    def _enter(self, operation: str, key: str) -> None:
        InMemoryS3._enter(self, operation, key)  # noqa: SLF001 -- `super()` fails in a class with slots
        if actions := self.before.get((operation, key)):
            actions.pop(0)()

    def lose_races(self, operation: str, times: int) -> None:
        """Let this many writes of the placeholder meet another version."""
        self.before[operation, UPLOADED] = [self.touch] * times

    def touch(self) -> None:
        """Write the placeholder again, as a mark of another client does."""
        found = self.objects[UPLOADED]
        body = b"touched %d" % len(self.writes)
        self.store("put_object", UPLOADED, body, ObjectAttributes(found.metadata, found.tags))

    def finish(self) -> None:
        """Finalize the asset and delete its upload, as another run does."""
        found, upload = self.objects[UPLOADED], self.objects.pop(TEMP)
        state = {**found.metadata, "status": "uploaded"}
        self.store("copy_object", UPLOADED, upload.body, ObjectAttributes(state, state))


@dataclass(frozen=True, slots=True)
class System:
    """One asset service on one bucket."""

    s3: ScriptedS3
    service: AssetService
    reconciler: AssetReconciler

    @property
    def status(self) -> str:
        """The status in the bucket."""
        return self.s3.objects[UPLOADED].metadata["status"]

    async def begin(self, body: bytes | None = b"A", *pins: str | None) -> str:
        """Create the asset, upload and mark; return the upload URL."""
        created = await self.service.create()
        if body is not None:
            self.s3.put(created.upload.url, body, {"content-type": "text/x-test"})
        for pin in pins:
            await self.service.mark(ID, pin, self.s3.now)
        self.s3.calls.clear()
        self.s3.writes.clear()
        return created.upload.url

    def set_status(self, status: str | None) -> None:
        """Give the asset this status, whatever it was; None removes its placeholder."""
        found = self.s3.objects.pop(UPLOADED)
        if status is not None:
            state = {**found.metadata, "status": status}
            self.s3.objects[UPLOADED] = replace(found, metadata=state)

    async def reconcile(self, now: datetime, *, dry_run: bool = False) -> ReconcileResult:
        """Reconcile the asset."""
        return await self.reconciler.reconcile(ID, now, dry_run=dry_run)


@pytest.fixture
def system() -> System:
    """Return a system without assets."""
    s3 = ScriptedS3()
    nonces = (b"nonce %d" % number for number in count())
    return System(
        s3,
        AssetService(s3, s3, POLICY, lambda: UUID(ID), lambda: next(nonces)),
        AssetReconciler(s3, s3, POLICY, lambda: next(nonces)),
    )


# --- create -----------------------------------------------------------------------------------------------------------


async def test_create_writes_a_placeholder_with_a_body_of_its_own(system: System) -> None:
    """The first write of an asset has the state as metadata and tags, and a random body."""
    created = await system.service.create()
    assert (created.asset_id, created.state.upload_expires_at) == (ID, EXPIRY)
    assert (created.upload.expires_at, system.s3.allowed("PUT", created.upload.url)) == (EXPIRY, TEMP)
    state = {"status": "pending", "expires-at": "2026-01-01T12:15:00Z"}
    written = system.s3.objects[UPLOADED]
    assert (written.metadata, written.tags) == ({**state, "schema": "2"}, state)
    assert written.body == b"assetuploader placeholder " + b"nonce 0".hex().encode()


async def test_create_recognizes_its_own_placeholder(system: System) -> None:
    """A 412 is a success when our own write succeeded and its response was lost."""
    written = b"assetuploader placeholder " + b"nonce 0".hex().encode()
    system.s3.store("put_object", UPLOADED, written, ObjectAttributes())
    assert (await system.service.create()).asset_id == ID


@pytest.mark.parametrize("body", [b"", b"assetuploader placeholder " + b"nonce 1".hex().encode(), b"x" * 1000])
async def test_create_never_takes_over_an_id(system: System, body: bytes) -> None:
    """A 412 is a failure when the id belongs to somebody else, whatever its object is."""
    system.s3.store("put_object", UPLOADED, body, ObjectAttributes())
    with pytest.raises(StoreError):
        await system.service.create()
    assert system.s3.objects[UPLOADED].body == body


async def test_create_fails_when_the_placeholder_is_gone(system: System) -> None:
    """A 412 for an object that is missing afterwards does not show who wrote it."""
    system.s3.store("put_object", UPLOADED, b"x", ObjectAttributes())
    system.s3.before["get_object", UPLOADED] = [system.s3.objects.clear]
    with pytest.raises(StoreUnavailableError, match="the id of the new asset is taken; try again"):
        await system.service.create()


# --- mark -------------------------------------------------------------------------------------------------------------


async def test_a_mark_costs_two_calls_and_a_pinned_one_three(system: System) -> None:
    """The placeholder is read before `temp/`, and `temp/` only when the decision depends on it."""
    await system.begin()
    head, temp, put = ("head_object", UPLOADED), ("head_object", TEMP), ("put_object", UPLOADED)
    await system.service.mark(ID, None, START)
    assert system.s3.calls == [head, put]
    system.s3.calls.clear()
    await system.service.mark(ID, A, START)
    assert system.s3.calls == [head, temp, put]
    assert system.s3.objects[UPLOADED].metadata["pin"] == A
    await system.service.mark(ID, None, EXPIRY)
    assert system.s3.calls[3:] == [head, temp, put]
    assert "pin" not in system.s3.objects[UPLOADED].metadata
    assert system.status == "marked"


@pytest.mark.parametrize("pin", [None, A])
async def test_a_mark_survives_lost_races_up_to_a_bound(system: System, pin: str | None) -> None:
    """Each lost race is a new attempt; the last one tells the client to try again."""
    await system.begin()
    system.s3.lose_races("put_object", MAX_CAS_ATTEMPTS - 1)
    await system.service.mark(ID, pin, START)
    assert system.status == "marked"
    system.s3.lose_races("put_object", MAX_CAS_ATTEMPTS)
    with pytest.raises(AssetBusyError):
        await system.service.mark(ID, pin, START)


async def test_an_unknown_id_is_not_found(system: System) -> None:
    """An id without a placeholder, or with an object of somebody else, is not an asset."""
    for _ in range(2):
        with pytest.raises(AssetNotFoundError):
            await system.service.mark(ID, None, START)
        with pytest.raises(AssetNotFoundError):
            await system.service.resolve(ID, 60, START)
        assert (await system.reconcile(START)).outcome is Outcome.ORPHANED
        assert await read_placeholder(system.s3, ID) is None
        system.s3.store("put", UPLOADED, b"somebody else's", ObjectAttributes({"status": "x"}))


SWEPT = START + timedelta(days=7, seconds=POLICY.expire_after_seconds)


async def test_bytes_without_an_asset_are_swept_when_no_url_can_be_alive(system: System) -> None:
    """Every upload URL of their time is dead, and an asset of their time would have expired. Not a second earlier."""

    async def reconcile(now: datetime, uploaded_at: datetime | None) -> Outcome:
        return (await system.reconciler.reconcile(ID, now, uploaded_at=uploaded_at)).outcome

    assert await reconcile(SWEPT - timedelta(seconds=1), START) is Outcome.ORPHANED
    assert await reconcile(SWEPT, None) is Outcome.ORPHANED
    assert await reconcile(SWEPT, START) is Outcome.SWEPT


@pytest.mark.parametrize("metadata", [{}, {"status": "pending", "expires-at": "2026-01-01T12:15:00Z", "schema": "4"}])
async def test_bytes_beside_any_object_are_never_swept(system: System, metadata: dict[str, str]) -> None:
    """It may be somebody else's, or the placeholder of a newer version: nothing is known about the bytes."""
    system.s3.store("put", UPLOADED, b"an object", ObjectAttributes(metadata))
    result = await system.reconciler.reconcile(ID, SWEPT + timedelta(days=365), uploaded_at=START)
    assert result.outcome is Outcome.ORPHANED


async def test_bytes_are_kept_when_an_asset_appears_before_they_are_swept() -> None:
    """The key is read again before the bytes are given up."""

    class LateS3(InMemoryS3):
        async def head_object(self, key: str) -> ObjectInfo | None:
            """Return nothing the first time."""
            is_first = ("head_object", key) not in self.calls
            found = await InMemoryS3.head_object(self, key)
            return None if is_first else found

    s3 = LateS3()
    s3.store("put", UPLOADED, b"an object", ObjectAttributes({}))
    reconciler = AssetReconciler(s3, s3, POLICY, lambda: b"nonce")
    assert (await reconciler.reconcile(ID, SWEPT, uploaded_at=START)).outcome is Outcome.ORPHANED


async def test_a_final_asset_is_marked_again_only_with_its_own_pin(system: System) -> None:
    """A retry whose first response was lost succeeds without a write; every other mark is too late."""
    await system.begin(b"A", A)
    system.s3.finish()
    before = dict(system.s3.objects)
    await system.service.mark(ID, A, START)
    for pin in (None, etag_of(b"B")):
        with pytest.raises(AlreadyUploadedError):
            await system.service.mark(ID, pin, START)
    assert system.s3.objects == before


async def test_an_expired_asset_accepts_no_mark(system: System) -> None:
    """An expired asset stays expired."""
    await system.begin()
    assert (await system.reconcile(EXPIRED)).outcome is Outcome.EXPIRED
    with pytest.raises(AssetExpiredError):
        await system.service.mark(ID, None, START)
    with pytest.raises(AssetExpiredError):
        await system.service.resolve(ID, 60, START)


@pytest.mark.parametrize("body", [None, b"B"])
async def test_a_pin_of_other_bytes_is_a_mismatch(system: System, body: bytes | None) -> None:
    """Nothing is written when `temp/` holds other bytes, or none."""
    await system.begin(body)
    with pytest.raises(UploadMismatchError):
        await system.service.mark(ID, A, START)
    assert system.s3.writes == []


async def test_a_mismatch_is_read_again_when_the_placeholder_changed(system: System) -> None:
    """A run may finalize the pinned bytes between the two reads: then the mark is a success."""
    await system.begin(b"A", A)
    system.s3.before["head_object", TEMP] = [system.s3.finish]
    await system.service.mark(ID, A, START)
    assert system.status == "uploaded"


async def test_a_placeholder_is_not_accepted_as_an_upload(system: System) -> None:
    """The body of a placeholder cannot be pinned, and is never finalized."""
    url = await system.begin(None)
    copied = system.s3.objects[UPLOADED].body
    system.s3.put(url, copied)
    with pytest.raises(UploadMismatchError):
        await system.service.mark(ID, etag_of(copied), START)
    await system.service.mark(ID, None, START)
    assert (await system.reconcile(DUE)).outcome is Outcome.ETAG_MISMATCH
    assert (await system.reconcile(EXPIRED)).outcome is Outcome.EXPIRED


@pytest.mark.parametrize("size", [27, 128])
async def test_an_upload_of_the_size_of_a_placeholder_is_an_upload_like_any_other(system: System, size: int) -> None:
    """Only its first bytes show a placeholder; the bytes that are read are those that are finalized."""
    body = b"x" * size
    url = await system.begin(body, etag_of(body))

    def swap() -> None:
        system.s3.put(url, b"y" * size)

    system.s3.before["get_object", TEMP] = [swap]
    assert (await system.reconcile(START)).outcome is Outcome.WAITING
    assert (await system.reconcile(START)).outcome is Outcome.ETAG_MISMATCH
    system.s3.put(url, body)
    assert (await system.reconcile(START)).outcome is Outcome.FINALIZED


async def test_an_upload_that_vanishes_while_it_is_read_is_not_a_placeholder(system: System) -> None:
    """The copy finds out that it is gone."""
    body = b"x" * 30
    await system.begin(body, etag_of(body))
    system.s3.before["get_object", TEMP] = [system.s3.finish]
    assert (await system.reconcile(START)).outcome is Outcome.SWEPT


@pytest.mark.parametrize("pin", [None, A])
async def test_a_mark_without_an_upload_expires_the_asset_when_grace_is_over(system: System, pin: str | None) -> None:
    """Before that, the mark is rejected and the asset does not change."""
    await system.begin(None)
    with pytest.raises(UploadMismatchError):
        await system.service.mark(ID, pin, DUE - timedelta(seconds=1))
    assert system.status == "pending"
    with pytest.raises(AssetExpiredError):
        await system.service.mark(ID, pin, DUE)
    assert system.status == "expired"


async def test_a_mark_that_loses_a_race_to_the_end_of_an_asset_reads_again(system: System) -> None:
    """An asset that a run finalized meanwhile does not expire."""
    await system.begin(b"A", None)
    system.s3.before["head_object", TEMP] = [system.s3.finish]
    with pytest.raises(AlreadyUploadedError):
        await system.service.mark(ID, None, DUE)
    assert system.status == "uploaded"


async def test_a_get_that_loses_a_race_to_the_end_of_an_asset_reads_again(system: System) -> None:
    """An asset that a run finalized meanwhile does not expire."""
    await system.begin(b"A", None)
    system.s3.before["head_object", TEMP] = [system.s3.finish]
    found = await system.service.resolve(ID, 60, DUE)
    assert system.s3.get(found.url).body == b"A"


# --- resolve ----------------------------------------------------------------------------------------------------------


async def test_only_a_final_asset_has_a_download_url(system: System) -> None:
    """The URL costs one call, leads to the bytes, and is valid as long as requested."""
    await system.begin(b"A", A)
    system.s3.finish()
    system.s3.calls.clear()
    found = await system.service.resolve(ID, 7, START)
    assert system.s3.calls == [("head_object", UPLOADED)]
    assert (system.s3.get(found.url).body, found.expires_at) == (b"A", START + timedelta(seconds=7))


@pytest.mark.parametrize(
    ("pins", "now", "seconds"),
    [
        ((), START, 5),
        ((), EXPIRED, 5),
        ((A,), START, 5),
        ((None,), START, 960),
        ((None,), DUE - timedelta(seconds=6, milliseconds=500), 6),
        ((None,), DUE - timedelta(seconds=4), 5),
        ((None,), EXPIRED, 5),
        ((A,), START + timedelta(seconds=10), 5),
        ((A,), START + timedelta(seconds=11), 49),
        ((A,), START + timedelta(seconds=59), 5),
        ((None,), DUE + timedelta(seconds=20), 40),
    ],
)
async def test_retry_after_lasts_until_the_asset_is_due(
    system: System, pins: tuple[str | None, ...], now: datetime, seconds: int
) -> None:
    """It is the time until the asset is due, or until the next full scan if no poll finalized it by then."""
    await system.begin(b"A", *pins)
    with pytest.raises(AssetNotUploadedError) as error:
        await system.service.resolve(ID, 60, now)
    assert error.value.retry_after_seconds == seconds
    assert MIN_RETRY_AFTER_SECONDS == 5
    assert system.s3.writes == []


@pytest.mark.parametrize(
    ("marked_after", "waited", "seconds"),
    [(1200, 10, 5), (1200, 11, 140), (2400, 11, 290), (9000, 11, 589), (9000, 598, 5)],
)
async def test_retry_after_of_a_late_mark_lasts_until_its_upload_is_read(
    system: System, marked_after: int, waited: int, seconds: int
) -> None:
    """Scans read an old upload at intervals of an eighth of its age, every ten minutes at most."""
    await system.begin(b"A")
    system.s3.now = START + timedelta(seconds=marked_after)
    await system.service.mark(ID, A, system.s3.now)
    with pytest.raises(AssetNotUploadedError) as error:
        await system.service.resolve(ID, 60, system.s3.now + timedelta(seconds=waited))
    assert error.value.retry_after_seconds == seconds


async def test_a_marked_asset_without_an_upload_expires_with_a_get(system: System) -> None:
    """A GET expires it once grace is over. A pending asset may still be marked, so a GET does not change it."""
    await system.begin(None)
    with pytest.raises(AssetNotUploadedError):
        await system.service.resolve(ID, 60, EXPIRED)
    await system.service.mark(ID, None, START)
    with pytest.raises(AssetNotUploadedError):
        await system.service.resolve(ID, 60, DUE - timedelta(seconds=1))
    with pytest.raises(AssetExpiredError):
        await system.service.resolve(ID, 60, DUE)
    assert system.status == "expired"


async def test_a_get_survives_lost_races_up_to_a_bound(system: System) -> None:
    """After a lost race a GET tries again, as a mark does."""
    await system.begin(None, None)
    system.s3.lose_races("put_object", MAX_CAS_ATTEMPTS)
    with pytest.raises(AssetBusyError):
        await system.service.resolve(ID, 60, DUE)
    system.s3.lose_races("put_object", MAX_CAS_ATTEMPTS - 1)
    with pytest.raises(AssetExpiredError):
        await system.service.resolve(ID, 60, DUE)


# --- reconcile --------------------------------------------------------------------------------------------------------


async def test_a_pinned_asset_is_finalized_with_three_calls(system: System) -> None:
    """The final asset has the bytes and headers of the upload, and the pin of the placeholder."""
    await system.begin(b"A", A)
    result = await system.reconcile(START)
    assert result == ReconcileResult(Outcome.FINALIZED, marked_at=START, due_at=START, is_pinned=True)
    assert result.can_delete_upload
    assert [operation for operation, _ in system.s3.calls] == ["head_object", "head_object", "copy_object"]
    final = system.s3.objects[UPLOADED]
    state = {"status": "uploaded", "expires-at": "2026-01-01T12:15:00Z"}
    assert (final.body, final.metadata, final.tags) == (b"A", {**state, "schema": "2", "pin": A}, state)
    assert final.headers == {"content-type": "text/x-test"}
    assert await system.reconcile(START) == ReconcileResult(Outcome.SWEPT, is_pinned=True)


async def test_an_unpinned_asset_waits_until_it_is_due(system: System) -> None:
    """A waiting asset costs one call, and the result has the time when it is due."""
    await system.begin(b"A", None)
    waiting = await system.reconcile(DUE - timedelta(seconds=1))
    assert waiting == ReconcileResult(Outcome.WAITING, marked_at=START, due_at=DUE)
    assert not waiting.can_delete_upload
    assert system.s3.calls == [("head_object", UPLOADED)]
    assert (await system.reconcile(DUE)).outcome is Outcome.FINALIZED


async def test_an_unmarked_asset_expires(system: System) -> None:
    """It was never marked, so it was never due."""
    await system.begin(b"A")
    assert await system.reconcile(EXPIRED - timedelta(seconds=1)) == ReconcileResult(Outcome.WAITING)
    expired = await system.reconcile(EXPIRED)
    assert expired == ReconcileResult(Outcome.EXPIRED)
    assert expired.can_delete_upload
    assert system.status == "expired"
    assert await system.reconcile(EXPIRED) == ReconcileResult(Outcome.SWEPT)


async def test_an_asset_without_an_upload_is_not_changed(system: System) -> None:
    """Another run may have finished the asset."""
    await system.begin(None, None)
    assert await system.reconcile(DUE) == ReconcileResult(Outcome.UPLOAD_MISSING, marked_at=START, due_at=DUE)


@pytest.mark.parametrize(("pin", "now", "outcome"), [(A, START, Outcome.FINALIZED), (None, EXPIRED, Outcome.EXPIRED)])
async def test_a_dry_run_only_reads(system: System, pin: str | None, now: datetime, outcome: Outcome) -> None:
    """It returns what a run would do, and a run without the flag does it."""
    await system.begin(b"A", *([pin] if pin else []))
    assert (await system.reconcile(now, dry_run=True)).outcome is outcome
    assert system.s3.writes == []
    assert (await system.reconciler.reconcile(ID, now)).outcome is outcome
    assert len(system.s3.writes) == 1


async def test_a_lost_race_leaves_the_asset_to_the_next_scan(system: System) -> None:
    """A client that marks meanwhile is not a failure. An asset that another run finalized is swept."""
    await system.begin(b"A", A)
    system.s3.lose_races("copy_object", 1)
    assert await system.reconcile(START) == ReconcileResult(Outcome.WAITING, START, START, is_pinned=True)
    system.s3.before["copy_object", UPLOADED] = [system.s3.finish]
    assert await system.reconcile(START) == ReconcileResult(Outcome.SWEPT, is_pinned=True)


async def test_an_asset_whose_placeholder_vanishes_is_left_to_the_next_scan(system: System) -> None:
    """The state of the asset is unknown then."""
    await system.begin(b"A", A)
    system.s3.before["copy_object", UPLOADED] = [system.s3.objects.clear]
    assert await system.reconcile(START) == ReconcileResult(Outcome.WAITING)


async def test_a_copy_that_is_too_large_is_left_to_the_caller(system: System) -> None:
    """A dry run copies nothing, so the limit does not apply to it."""
    await system.begin(b"AB", etag_of(b"AB"))
    result = await system.reconciler.reconcile(ID, START, max_copy_bytes=1)
    assert result == ReconcileResult(Outcome.WAITING, START, START, is_pinned=True, is_too_large=True)
    assert (await system.reconciler.reconcile(ID, START, max_copy_bytes=1, dry_run=True)).outcome is Outcome.FINALIZED
    assert (await system.reconciler.reconcile(ID, START, max_copy_bytes=2)).outcome is Outcome.FINALIZED


async def test_a_failure_of_s3_is_an_outcome(system: System) -> None:
    """One asset's failure does not end the run."""
    await system.begin(b"A", A)
    system.s3.fails_with = error = StoreUnavailableError("away")
    assert await system.reconcile(START) == ReconcileResult(Outcome.FAILED, error=error)


async def test_values_are_immutable(system: System) -> None:
    """The service and its results are frozen, and accept no further attributes."""
    for value in (system.service, system.reconciler, await system.service.create(), await system.reconcile(START)):
        for name in type(value).__annotations__:
            with pytest.raises(AttributeError):
                setattr(value, name, None)
        assert not hasattr(value, "__dict__")


async def test_the_bound_of_attempts_is_documented() -> None:
    """Eight lost races mean eight others that made progress."""
    assert MAX_CAS_ATTEMPTS == 8


async def test_a_placeholder_is_read_with_its_version() -> None:
    """ETag, state and time come from one response."""
    s3 = InMemoryS3()
    service = AssetService(s3, s3, POLICY, lambda: UUID(ID), lambda: b"x")
    await service.create()
    placeholder = await read_placeholder(s3, ID)
    info = await s3.head_object(UPLOADED)
    assert info is not None
    assert placeholder is not None
    assert (placeholder.etag, placeholder.last_modified) == (info.etag, START)


# --- final at once ----------------------------------------------------------------------------------------------------


@pytest.fixture
def at_once(system: System) -> System:
    """Return a system whose marks finalize uploads of one byte."""
    return replace(system, service=replace(system.service, policy=replace(POLICY, finalize_at_once_bytes=1)))


async def test_a_pinned_mark_finalizes_a_short_upload_with_three_calls(at_once: System) -> None:
    """HEAD, HEAD and a copy. The asset keeps the headers of its upload, and the reconciler only sweeps."""
    await at_once.begin(b"A")
    asset = await at_once.service.mark(ID, A, START)
    assert (asset.is_final, asset.placeholder.etag, asset.placeholder.size) == (True, A, 1)
    assert at_once.s3.calls == [("head_object", UPLOADED), ("head_object", TEMP), ("copy_object", UPLOADED)]
    final = at_once.s3.objects[UPLOADED]
    assert (final.body, final.metadata["status"], final.metadata["pin"]) == (b"A", "uploaded", A)
    assert final.headers == {"content-type": "text/x-test"}
    assert (await at_once.reconcile(START)).outcome is Outcome.SWEPT


@pytest.mark.parametrize(("body", "pin"), [(b"AA", etag_of(b"AA")), (b"A", None)])
async def test_a_long_or_unpinned_upload_is_left_to_the_reconciler(
    at_once: System, body: bytes, pin: str | None
) -> None:
    """Its mark is written, as without finalizing at once."""
    await at_once.begin(body)
    asset = await at_once.service.mark(ID, pin, START)
    assert (asset.is_final, at_once.status, asset.retry_after_seconds is None) == (False, "marked", False)


@pytest.mark.parametrize("error", [StoreUnavailableError("slow"), StoreAccessDeniedError("an old policy")])
async def test_a_copy_that_fails_leaves_a_mark(
    at_once: System, monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    """Whatever the reason, the client gets its promise, the copy is not repeated, and the reconciler finalizes."""
    await at_once.begin(b"A")
    copies = 0

    async def fail(*_arguments: object, **_conditions: object) -> str:
        nonlocal copies
        copies += 1
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(ScriptedS3, "copy_object", fail)
        assert not (await at_once.service.mark(ID, A, START)).is_final
    assert (copies, at_once.status) == (1, "marked")
    assert (await at_once.reconcile(START)).outcome is Outcome.FINALIZED


async def test_a_copy_whose_answer_is_lost_is_recognized(at_once: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy took effect, so nothing more is written."""
    await at_once.begin(b"A")
    copy = ScriptedS3.copy_object

    async def lose_answer(s3: ScriptedS3, *arguments: Any, **conditions: Any) -> str:  # noqa: ANN401 -- passed on
        await copy(s3, *arguments, **conditions)
        raise StoreUnavailableError("lost")

    monkeypatch.setattr(ScriptedS3, "copy_object", lose_answer)
    assert (await at_once.service.mark(ID, A, START)).is_final
    assert [operation for operation, _ in at_once.s3.writes] == ["copy_object"]


async def test_a_copy_that_loses_twice_leaves_a_mark(at_once: System) -> None:
    """After two lost races the mark is written."""
    await at_once.begin(b"A")
    at_once.s3.lose_races("copy_object", 2)
    assert not (await at_once.service.mark(ID, A, START)).is_final
    assert at_once.status == "marked"


async def test_a_copy_in_doubt_costs_one_more_call(at_once: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is written against the placeholder that was read: a slow store has no time for another look."""
    await at_once.begin(b"A")

    async def fail(*_arguments: object, **_conditions: object) -> str:
        raise StoreUnavailableError("slow")

    monkeypatch.setattr(ScriptedS3, "copy_object", fail)
    assert not (await at_once.service.mark(ID, A, START)).is_final
    assert at_once.s3.calls == [("head_object", UPLOADED), ("head_object", TEMP), ("put_object", UPLOADED)]


# --- declarations -----------------------------------------------------------------------------------------------------

DECLARED: Final = Declaration("a.txt", "text/x-test", 1, sha256(b"A").hexdigest(), write_once=True)


async def test_an_upload_url_enforces_the_declaration(system: System) -> None:
    """The declared headers are signed, and the declaration is stored with the time of creation."""
    created = await system.service.create(DECLARED, START)
    with pytest.raises(RefusedError):
        system.s3.put(created.upload.url, b"A")
    system.s3.put(created.upload.url, b"A", DECLARED.upload_headers)
    with pytest.raises(RefusedError, match="PreconditionFailed"):
        system.s3.put(created.upload.url, b"A", DECLARED.upload_headers)
    state = (await system.service.get(ID, START)).placeholder.state
    assert (state.declaration, state.created_at) == (DECLARED, START)


@pytest.mark.parametrize("pin", [None, etag_of(b"B")])
async def test_bytes_that_are_not_declared_are_never_final(system: System, pin: str | None) -> None:
    """They did not come through the upload URL. A mark with their pin is refused, and the asset expires."""
    await system.service.create(DECLARED)
    system.s3.store("put", TEMP, b"B", ObjectAttributes(headers={"content-type": "text/x-test"}))
    if pin is None:
        await system.service.mark(ID, pin, START)
    else:
        with pytest.raises(UploadMismatchError):
            await system.service.mark(ID, pin, START)
    assert (await system.reconcile(DUE)).outcome in {Outcome.ETAG_MISMATCH, Outcome.WAITING}
    assert (await system.reconcile(EXPIRED)).outcome is Outcome.EXPIRED


# --- refresh ----------------------------------------------------------------------------------------------------------


async def test_a_refreshed_upload_url_lives_longer(system: System) -> None:
    """The new URL is signed for the same declaration, and the asset expires with it."""
    await system.service.create(DECLARED, START)
    system.s3.now += timedelta(minutes=10)
    refreshed = await system.service.refresh_upload_url(ID)
    assert refreshed.upload.expires_at == EXPIRY + timedelta(minutes=10) == refreshed.state.upload_expires_at
    state = (await system.service.get(ID, START)).placeholder.state
    assert state == refreshed.state
    assert (state.declaration, state.created_at, state.status) == (DECLARED, START, Status.PENDING)
    system.s3.put(refreshed.upload.url, b"A", DECLARED.upload_headers)


async def test_a_refresh_never_shortens_the_life_of_an_upload_url(system: System) -> None:
    """When the new URL ends before an older one, the asset waits for the older one."""
    await system.begin()
    system.s3.signer_is_ahead = timedelta(minutes=-5)
    assert (await system.service.refresh_upload_url(ID)).state.upload_expires_at == EXPIRY


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("marked", AssetNotPendingError),
        ("uploaded", AlreadyUploadedError),
        ("expired", AssetExpiredError),
        (None, AssetNotFoundError),
    ],
)
async def test_only_a_pending_asset_is_refreshed(system: System, status: str | None, error: type[AssetError]) -> None:
    """Every other state has an error of its own, and nothing is written."""
    await system.begin()
    system.set_status(status)
    with pytest.raises(error):
        await system.service.refresh_upload_url(ID)
    assert system.s3.writes == []


async def test_a_refresh_that_loses_every_race_gives_up(system: System) -> None:
    """Other clients made progress each time."""
    await system.begin()
    system.s3.lose_races("put_object", MAX_CAS_ATTEMPTS)
    with pytest.raises(AssetBusyError):
        await system.service.refresh_upload_url(ID)


# --- delete -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "marked"])
async def test_an_asset_that_is_not_final_is_cancelled(system: System, status: str) -> None:
    """Its placeholder says `expired`, and the reconciler sweeps the upload."""
    await system.begin()
    system.set_status(status)
    await system.service.delete(ID, may_delete_promised=True)
    assert system.status == "expired"
    assert (await system.reconcile(START)).outcome is Outcome.SWEPT
    await system.service.delete(ID, may_delete_promised=True)  # again


async def test_a_final_asset_is_deleted_with_its_late_upload(system: System) -> None:
    """Nothing is left, a repeated request succeeds, and the id never comes back."""
    await system.begin()
    system.set_status("uploaded")
    for _ in range(2):
        await system.service.delete(ID, may_delete_promised=True)
        assert system.s3.objects == {}
    with pytest.raises(AssetNotFoundError):
        await system.service.get(ID, START)
    with pytest.raises(AssetNotFoundError):
        await system.service.mark(ID, A, START)


@pytest.mark.parametrize("status", ["marked", "uploaded"])
async def test_a_promised_asset_is_kept_while_deletes_are_off(system: System, status: str) -> None:
    """Nothing is written."""
    await system.begin()
    system.set_status(status)
    with pytest.raises(DeletesDisabledError):
        await system.service.delete(ID, may_delete_promised=False)
    assert system.s3.writes == []


@pytest.mark.parametrize("status", ["pending", "expired", None])
async def test_an_unpromised_asset_is_deleted_although_deletes_are_off(system: System, status: str | None) -> None:
    """It ends as expired, or it was so or was nothing before."""
    await system.begin()
    system.set_status(status)
    await system.service.delete(ID, may_delete_promised=False)
    assert UPLOADED not in system.s3.objects or system.status == "expired"


async def test_an_upload_that_cannot_be_deleted_keeps_the_asset(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client learns that the deletion failed, and can repeat it."""
    await system.begin()
    system.set_status("uploaded")

    async def fail(*_: object) -> dict[str, str]:
        return {TEMP: "AccessDenied"}

    monkeypatch.setattr(ScriptedS3, "delete_objects", fail)
    with pytest.raises(StoreAccessDeniedError):
        await system.service.delete(ID, may_delete_promised=True)
    assert UPLOADED in system.s3.objects


async def test_a_delete_that_loses_every_race_gives_up(system: System) -> None:
    """Other clients made progress each time."""
    await system.begin()
    system.s3.lose_races("put_object", MAX_CAS_ATTEMPTS)
    with pytest.raises(AssetBusyError):
        await system.service.delete(ID, may_delete_promised=True)


# --- the cache --------------------------------------------------------------------------------------------------------


@pytest.fixture
def cached(at_once: System) -> System:
    """Return a system with a cache."""
    return replace(at_once, service=replace(at_once.service, cache=AssetCache()))


async def test_a_final_asset_is_read_once(cached: System) -> None:
    """After that its download URLs need no call, and lead to the same bytes."""
    await cached.begin(b"A", A)
    for _ in range(3):
        url = await cached.service.resolve(ID, 60, START)
        assert cached.s3.get(url.url).body == b"A"
    assert cached.s3.calls == [("head_object", UPLOADED)]


async def test_no_other_state_is_cached(cached: System) -> None:
    """It is read again each time, so that a change is seen at once."""
    await cached.begin(b"AA", etag_of(b"AA"))
    for _ in range(2):
        assert not (await cached.service.get(ID, START)).is_final
    cached.s3.finish()
    assert (await cached.service.get(ID, START)).is_final
    assert cached.s3.calls == [("head_object", UPLOADED)] * 3


async def test_a_deleted_asset_is_forgotten(cached: System) -> None:
    """In this process, at once, even if a GET read it while it was deleted, or if another process deleted it."""
    await cached.begin(b"A", A)
    await cached.service.get(ID, START)
    final = await read_placeholder(cached.s3, ID)
    assert final is not None
    cache = cached.service.cache
    assert cache is not None
    cached.s3.before["delete_object", UPLOADED] = [lambda: cache.put(ID, final)]
    for _ in range(2):
        await cached.service.delete(ID, may_delete_promised=True)
        with pytest.raises(AssetNotFoundError):
            await cached.service.get(ID, START)
        cache.put(ID, final)
