"""One bucket with one asset, and the processes that act on it: scripts that call the real coroutines."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Final
from uuid import UUID

from assetuploader.asset_cache import AssetCache
from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.declaration import Declaration
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotPendingError,
    AssetNotUploadedError,
    DeletesDisabledError,
    StoreError,
    UploadMismatchError,
    WrongUploadMethodError,
)
from assetuploader.multipart_service import MultipartService
from assetuploader.state_machine import NOTHING_DECLARED, LifecyclePolicy
from assetuploader.store import (
    NO_HEADERS,
    SAVE_AS_FILE,
    CompletedPart,
    ObjectAttributes,
    PartTarget,
    PresignedUrl,
)
from tests.protocol.code_under_test import Code
from tests.protocol.invariants import AssetRecord, InvariantChecker, ViolationError
from tests.protocol.steps import Call, SteppedStore, perform, run_now
from tests.support.in_memory_s3 import InMemoryS3, RefusedError, Stored, etag_of

POLICY: Final = LifecyclePolicy(
    upload_url_ttl_seconds=900, grace_seconds=60, expire_after_seconds=86_400, finalize_at_once_bytes=0
)
AT_ONCE: Final = replace(POLICY, finalize_at_once_bytes=1)
ASSET: Final = "11111111-1111-4111-8111-111111111111"
BYSTANDER: Final = "22222222-2222-4222-8222-222222222222"
"""A final asset that no process may touch."""


@dataclass(slots=True)
class System:
    """The bucket, the records of its assets, and the code under test."""

    code: Code
    s3: InMemoryS3
    checker: InvariantChecker
    policy: LifecyclePolicy
    upload_url: str = ""
    upload_id: str = ""
    """What a client knows of the asset's multipart upload."""

    def copy(self) -> "System":
        """Return an independent copy."""
        s3 = self.code.store()
        s3.signer_is_ahead, s3.completes_plainly = self.s3.signer_is_ahead, self.s3.completes_plainly
        s3.repeats_completions, s3.completed = self.s3.repeats_completions, dict(self.s3.completed)
        s3.now, s3.objects, s3.writes = self.s3.now, dict(self.s3.objects), list(self.s3.writes)
        s3.uploads, s3.deleted, s3.order = dict(self.s3.uploads), dict(self.s3.deleted), self.s3.order
        return System(self.code, s3, self.checker.copy(s3), self.policy, self.upload_url, self.upload_id)

    def service(self, actor: "Actor") -> AssetService:
        """Return the asset service of one actor: stepped, with nonces of its own."""
        return self._service(SteppedStore(self.s3), actor)

    def direct_service(self) -> AssetService:
        """Return an asset service on the bucket itself, unstepped, which builds the initial state."""
        return self._service(self.s3, Actor("initial state"))

    def _service(self, store: "SteppedStore | InMemoryS3", actor: "Actor") -> AssetService:
        service: AssetService = self.code.service.AssetService(
            store, self.s3, self.policy, lambda: UUID(ASSET), actor.nonce
        )
        return service

    def reconciler(self, actor: "Actor") -> AssetReconciler:
        """Return the asset reconciler of one actor: stepped, with nonces of its own."""
        return self._reconciler(SteppedStore(self.s3), actor)

    def direct_reconciler(self) -> AssetReconciler:
        """Return an asset reconciler on the bucket itself, unstepped."""
        return self._reconciler(self.s3, Actor("direct reconciler"))

    def _reconciler(self, store: "SteppedStore | InMemoryS3", actor: "Actor") -> AssetReconciler:
        reconciler: AssetReconciler = self.code.reconciler.AssetReconciler(store, store, self.policy, actor.nonce)
        return reconciler

    def multipart_service(self, actor: "Actor") -> MultipartService:
        """Return the multipart service of one actor: stepped, with nonces of its own."""
        return self._multipart_service(SteppedStore(self.s3), actor)

    def direct_multipart_service(self) -> MultipartService:
        """Return a multipart service on the bucket itself, unstepped, which builds the initial state."""
        return self._multipart_service(self.s3, Actor("initial state"))

    def _multipart_service(self, store: "SteppedStore | InMemoryS3", actor: "Actor") -> MultipartService:
        service: MultipartService = self.code.multipart.MultipartService(
            store, store, self.s3, self.policy, lambda: UUID(ASSET), actor.nonce
        )
        return service

    def fingerprint(self) -> object:
        """Return everything in which a later run could distinguish this system from another."""
        objects = {
            (key, found.etag, found.last_modified, *sorted(found.metadata.items()))
            for key, found in self.s3.objects.items()
        }
        uploads = {
            (upload_id, upload.key, *sorted(upload.parts.items())) for upload_id, upload in self.s3.uploads.items()
        }
        # The dates of uploads do not matter any more: the clean runs complete none.
        return self.s3.now, frozenset(objects), frozenset(uploads), self.checker.fingerprint()

    def tick(self, jump: timedelta) -> None:
        """Advance the clock."""
        self.s3.now += jump

    def status(self) -> str | None:
        """Return the asset's status in the bucket."""
        found = self.s3.objects.get(f"uploaded/{ASSET}")
        return found.metadata["status"] if found else None


@dataclass(slots=True)
class Actor:
    """One process or client that runs a script."""

    name: str
    had_fault: bool = False
    """A fault happened to one of its calls since it began its current operation. Only then may the operation fail."""
    nonces: int = 0

    def nonce(self) -> bytes:
        """Return a body that no placeholder had before."""
        self.nonces += 1
        return f"nonce {self.name} {self.nonces}".encode()


Script = Callable[[System, Actor], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class InitialState:
    """The system before the processes start: the code under test builds it, without faults."""

    name: str
    uploads: tuple[bytes, ...] = ()
    marks: tuple[bytes | None, ...] = ()
    """Pins, by the bytes that they name; None is a mark without a pin."""
    after: timedelta = timedelta()
    is_created: bool = True
    signer_is_ahead: timedelta = timedelta()
    uploads_placeholder: bool = False
    """A client that can read the bucket uploads the body of the placeholder."""
    policy: LifecyclePolicy = POLICY
    declaration: Declaration = NOTHING_DECLARED
    parts: tuple[bytes, ...] | None = None
    """The parts that were sent; None for an asset that is uploaded with one PUT."""
    is_completed: bool = False
    has_unknown_upload: bool = False
    """The response to CreateMultipartUpload was lost, and the request was sent again."""
    completes_plainly: bool = False
    repeats_completions: bool = False

    def start(self, code: Code) -> System:
        """Return a new system in this state."""
        return _build_once(self, code).copy()

    def build(self, code: Code) -> System:
        """Build the state in an empty bucket."""
        s3 = code.store()
        s3.signer_is_ahead, s3.completes_plainly = self.signer_is_ahead, self.completes_plainly
        s3.repeats_completions = self.repeats_completions
        checker = InvariantChecker(s3, POLICY.grace_seconds, POLICY.expire_after_seconds, self.declaration.size)
        system = System(code, s3, checker, self.policy)
        self._add_bystander(system)
        system.checker.record(ASSET)
        service = system.direct_service()
        if self.parts is not None:
            self._add_multipart(system, self.parts)
        elif self.is_created:
            system.upload_url = run_now(service.create(self.declaration)).upload.url
            system.checker.check()
            system.checker.record_created(ASSET)
        for body in (*self.uploads, *([s3.objects[f"uploaded/{ASSET}"].body] if self.uploads_placeholder else [])):
            s3.put(system.upload_url, body)
            system.checker.check()
        for pinned_bytes in self.marks:
            pin = None if pinned_bytes is None else etag_of(pinned_bytes)
            began_at = s3.now
            run_now(service.mark(ASSET, pin, began_at))
            system.checker.check()
            system.checker.record_accepted_mark(ASSET, len(self.uploads), pin, began_at)
        s3.now += self.after
        system.checker.check()
        return system

    def _add_multipart(self, system: System, parts: tuple[bytes, ...]) -> None:
        s3, service = system.s3, system.direct_multipart_service()
        _, system.upload_id = run_now(service.create(self.declaration, s3.now))
        if self.has_unknown_upload:
            known = s3.uploads[system.upload_id]
            system.upload_id = run_now(s3.create_multipart_upload(known.key, known.attributes))
        system.checker.check()
        system.checker.record_created(ASSET)
        for number, body in enumerate(parts, 1):
            s3.store_part(s3.uploads[system.upload_id], system.upload_id, number, body)
        if self.is_completed:
            system.checker.record(ASSET).completions.add(b"".join(parts))
            run_now(service.complete(ASSET, system.upload_id, completed_parts(parts)))
        system.checker.check()

    def _add_bystander(self, system: System) -> None:
        tags = {"status": "uploaded", "expires-at": "2026-01-01T11:00:00Z"}
        final = Stored(b"bystander", etag_of(b"bystander"), system.s3.now, {**tags, "schema": "2"}, tags)
        system.s3.objects[f"uploaded/{BYSTANDER}"] = final
        system.checker.records[BYSTANDER] = AssetRecord([final.body], final, has_promise=True, is_latest_promised=True)


@lru_cache(maxsize=64)
def _build_once(initial_state: InitialState, code: Code) -> System:
    return initial_state.build(code)


def completed_parts(bodies: Sequence[bytes]) -> list[CompletedPart]:
    """Return the parts of a completion, as a client names them."""
    return [CompletedPart(number, etag_of(body)) for number, body in enumerate(bodies, 1)]


# --- the scripts ------------------------------------------------------------------------------------------------------


def uploads(*bodies: bytes, is_late: bool = False) -> Script:
    """A client that uploads files in turn. Late ones begin while the URL is valid and arrive at any later time."""

    async def script(system: System, _actor: Actor) -> None:
        for body in bodies:
            await upload(system, body, is_late=is_late)

    return script


def uploads_late_and_marks(body: bytes, late_body: bytes) -> Script:
    """A client that overwrites its file twice, and marks the last one with its pin."""

    async def script(system: System, actor: Actor) -> None:
        await upload(system, body, is_late=True)
        await upload(system, late_body, is_late=True)
        await mark(system, actor, late_body)

    return script


async def upload(
    system: System, body: bytes, *, is_late: bool = False, headers: Mapping[str, str] = NO_HEADERS
) -> None:
    """Send one PUT to the upload URL."""

    def arrive() -> None:
        if is_late:
            system.s3.store("put", f"temp/{ASSET}", body, ObjectAttributes({}, {}))
            return
        with suppress(RefusedError):
            system.s3.put(system.upload_url, body, headers)

    await perform(Call("PUT", f"temp/{ASSET} {body.decode()}", arrive))


def marks(body: bytes | None, *, attempts: int = 2) -> Script:
    """A client that marks, and retries after a failure."""

    async def script(system: System, actor: Actor) -> None:
        await mark(system, actor, body, attempts=attempts)

    return script


def marks_with_the_etag_of_its_upload() -> Script:
    """A client that pins what was uploaded last."""

    async def script(system: System, actor: Actor) -> None:
        await mark(system, actor, system.checker.record(ASSET).uploads[-1])

    return script


async def mark(system: System, actor: Actor, body: bytes | None, *, attempts: int = 2) -> None:
    """Mark with the pin of these bytes, and check the result against the bucket."""
    pin = None if body is None else etag_of(body)
    record = system.checker.record(ASSET)
    service = system.service(actor)
    for _ in range(attempts):
        uploads_before, began_at = len(record.uploads), system.s3.now
        was_deleted = record.is_delete_acknowledged
        actor.had_fault = False
        try:
            await service.mark(ASSET, pin, began_at)
        except StoreError as error:
            require_fault(actor, error)
        except AssetError as error:
            _require_justified(system, error, pin, uploads_before)
            return
        else:
            if was_deleted:
                raise ViolationError("I1: a mark of a deleted asset succeeded")
            system.checker.record_accepted_mark(ASSET, uploads_before, pin, began_at)
            return


def _require_justified(system: System, error: AssetError, pin: str | None, uploads_before: int) -> None:
    """Require that the state of the bucket justifies the rejection of a mark."""
    final = system.s3.objects.get(f"uploaded/{ASSET}")
    status = final.metadata["status"] if final else None
    record = system.checker.record(ASSET)
    match error:
        case AssetNotFoundError():
            is_justified = final is None
        case AssetExpiredError():
            is_justified = status == "expired"
        case AlreadyUploadedError():
            is_justified = status == "uploaded" and (pin is None or final is None or final.metadata.get("pin") != pin)
        case WrongUploadMethodError():
            is_justified = record.is_multipart and status == "pending"
        case UploadMismatchError():
            # Wrong when only the pinned bytes were ever uploaded, unless they are the body of a placeholder.
            is_justified = not uploads_before or {etag_of(body) for body in record.uploads} != {pin}
            is_justified = is_justified or pin in {etag_of(body) for body in record.placeholders}
            is_justified = is_justified or not all(system.checker.is_declared(body) for body in record.uploads)
            if pin is None:
                has_expired_url = final is not None and system.s3.now >= datetime.fromisoformat(
                    final.metadata["expires-at"]
                )
                is_missing = not uploads_before or not system.checker.may_become_final(record, record.uploads[-1])
                is_justified = has_expired_url and is_missing
        case _:
            is_justified = False
    if not is_justified:
        raise ViolationError(f"a mark with pin {pin} ended in {type(error).__name__}, and the asset is {status}")


def require_fault(actor: Actor, error: StoreError) -> None:
    """Require a fault: without one no operation fails, however many others write."""
    if not actor.had_fault:
        raise ViolationError(f"{actor.name} got '{error}', although no fault happened")


def full_lifecycle(body: bytes, *, pinned: bool) -> Script:
    """A client that creates an asset, uploads and marks."""

    async def script(system: System, actor: Actor) -> None:
        actor.had_fault = False
        try:
            created = await system.service(actor).create()
        except StoreError as error:
            require_fault(actor, error)
            return
        system.checker.record_created(ASSET)
        system.upload_url = created.upload.url
        await upload(system, body)
        await mark(system, actor, body if pinned else None)

    return script


def creates_with_the_same_id() -> Script:
    """A service whose id of a new asset belongs to another client's asset, or soon will."""

    async def script(system: System, actor: Actor) -> None:
        actor.had_fault = False
        try:
            await system.service(actor).create()
        except StoreError as error:
            if system.status() is None:
                require_fault(actor, error)
        else:
            system.checker.record_created(ASSET)

    return script


def uploads_and_marks(*files: tuple[bytes, bool]) -> Script:
    """A client that uploads files in turn, and marks each with or without its pin."""

    async def script(system: System, actor: Actor) -> None:
        for body, is_pinned in files:
            await upload(system, body)
            await mark(system, actor, body if is_pinned else None)

    return script


def gets() -> Script:
    """A client that resolves the asset and downloads it."""

    async def script(system: System, actor: Actor) -> None:
        await _get(system, actor, system.service(actor))

    return script


def gets_from_memory(times: int = 2) -> Script:
    """A client that does so several times, at a service that keeps final assets in memory."""

    async def script(system: System, actor: Actor) -> None:
        service = replace(system.service(actor), cache=AssetCache())
        for _ in range(times):
            await perform(Call("ask for", ASSET, lambda: None))  # others may come between, although S3 is not called
            await _get(system, actor, service)

    return script


async def _get(system: System, actor: Actor, service: AssetService) -> None:
    was_final = system.status() == "uploaded"
    actor.had_fault = False
    try:
        found = await service.resolve(ASSET, 60, system.s3.now)
    except StoreError as error:
        require_fault(actor, error)
    except (AssetNotUploadedError, AssetExpiredError, AssetNotFoundError) as error:
        if was_final and not system.checker.record(ASSET).is_delete_requested:
            raise ViolationError(f"I1: resolving a final asset ended in {type(error).__name__}") from None
        if isinstance(error, AssetExpiredError) and system.status() != "expired":
            raise ViolationError(f"a client was told that the asset expired, and it is {system.status()}") from None
    else:
        body = await perform(Call("GET", f"uploaded/{ASSET}", lambda: _download(system, found.url)))
        system.checker.check_download(ASSET, body)


def _download(system: System, url: str) -> bytes | None:
    """Follow a download URL; return None when the asset was deleted meanwhile."""
    try:
        return system.s3.get(url).body
    except KeyError:
        return None


@dataclass(frozen=True, slots=True)
class _SignerOnAnotherClock:
    """A presigner whose clock is so far ahead of S3's. It signs upload URLs only."""

    s3: InMemoryS3
    is_ahead: timedelta

    async def presign_put(self, key: str, expires_in: int, headers: Mapping[str, str] = NO_HEADERS) -> PresignedUrl:
        """See `Presigner.presign_put`."""
        others, self.s3.signer_is_ahead = self.s3.signer_is_ahead, self.is_ahead
        signed = await self.s3.presign_put(key, expires_in, headers)
        self.s3.signer_is_ahead = others
        return signed

    async def presign_part(self, key: str, expires_in: int, part: PartTarget) -> PresignedUrl:
        """See `Presigner.presign_part`: nothing here needs it."""
        raise NotImplementedError

    async def presign_get(self, key: str, expires_in: int, headers: Mapping[str, str] = SAVE_AS_FILE) -> PresignedUrl:
        """See `Presigner.presign_get`: nothing here needs it."""
        raise NotImplementedError


def refreshes(*, signer_is_ahead: timedelta = timedelta()) -> Script:
    """A client that asks for a new upload URL. The clock of the service that signs it is so far ahead of S3's."""

    async def script(system: System, actor: Actor) -> None:
        actor.had_fault = False
        service = replace(system.service(actor), presigner=_SignerOnAnotherClock(system.s3, signer_is_ahead))
        try:
            refreshed = await service.refresh_upload_url(ASSET)
        except StoreError as error:
            require_fault(actor, error)
        except (AssetNotFoundError, AssetNotPendingError, AlreadyUploadedError, AssetExpiredError) as error:
            if system.status() == "pending":
                raise ViolationError(f"a pending asset was not refreshed: {type(error).__name__}") from None
        except WrongUploadMethodError:
            if not system.checker.record(ASSET).is_multipart:
                raise ViolationError("an asset that is uploaded with one PUT was not refreshed") from None
        else:
            found = system.s3.objects.get(f"uploaded/{ASSET}")
            if found and refreshed.upload.expires_at > datetime.fromisoformat(found.metadata["expires-at"]):
                raise ViolationError("the upload URL outlives the expiry of its asset")
            system.upload_url = refreshed.upload.url

    return script


def deletes(*, is_enabled: bool = True, attempts: int = 2) -> Script:
    """A client that deletes the asset, and retries after a failure."""

    async def script(system: System, actor: Actor) -> None:
        record = system.checker.record(ASSET)
        for _ in range(attempts):
            record.may_be_cancelled = True
            record.is_delete_requested = record.is_delete_requested or is_enabled
            actor.had_fault = False
            try:
                await system.service(actor).delete(ASSET, may_delete_promised=is_enabled)
            except StoreError as error:
                require_fault(actor, error)
            except DeletesDisabledError:
                if is_enabled or system.status() not in {"marked", "uploaded"}:
                    raise ViolationError("a deletion was refused for no reason") from None
                return
            else:
                system.checker.record_deleted(ASSET)
                return

    return script


def reconciles() -> Script:
    """One run of the reconciler over everything in `temp/`."""

    async def script(system: System, actor: Actor) -> None:
        reconciler = system.reconciler(actor)
        try:
            page = await reconciler.store.list_objects("temp/", "")
        except StoreError:
            return
        garbage = []
        for found in page.objects:
            asset_id = found.key.removeprefix("temp/")
            actor.had_fault = False
            result = await reconciler.reconcile(asset_id, page.server_time, uploaded_at=found.last_modified)
            if result.error is not None:
                require_fault(actor, result.error)
            if result.can_delete_upload:
                garbage.append(found.key)
        if garbage:
            try:
                await reconciler.store.delete_objects(garbage)
            except StoreError:
                return

    return script


def clock(*jumps: timedelta) -> Script:
    """A clock that advances between any two calls of the others."""

    async def script(system: System, _actor: Actor) -> None:
        for jump in jumps:
            await perform(Call("clock", f"+{jump}", partial(system.tick, jump)))

    return script
