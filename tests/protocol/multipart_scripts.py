"""The scripts of clients that upload in parts."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from assetuploader.declaration import Declaration
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetError,
    AssetExpiredError,
    AssetNotFoundError,
    PartsMismatchError,
    StoreError,
    UploadLostError,
    WrongUploadMethodError,
)
from assetuploader.state_machine import NOTHING_DECLARED
from tests.protocol.invariants import ViolationError
from tests.protocol.steps import Call, perform
from tests.protocol.system import ASSET, Actor, Script, System, completed_parts, require_fault
from tests.support.in_memory_s3 import RefusedError, etag_of, etag_of_parts

UNKNOWN_UPLOAD = "upload-999"
"""An upload id that S3 never returned."""


def full_multipart_lifecycle(body: bytes, declaration: Declaration = NOTHING_DECLARED) -> Script:
    """A client that creates an asset, sends its only part to a presigned URL, and completes the upload."""

    async def script(system: System, actor: Actor) -> None:
        upload_id = await _create(system, actor, declaration)
        if upload_id is not None and await _send_to_presigned_url(system, actor, upload_id, body):
            await complete(system, actor, (body,), upload_id)

    return script


def creates_in_parts_with_the_same_id() -> Script:
    """A service whose id of a new asset belongs to another client's asset, or soon will."""

    async def script(system: System, actor: Actor) -> None:
        await _create(system, actor, NOTHING_DECLARED, may_be_taken=True)

    return script


async def _create(system: System, actor: Actor, declaration: Declaration, *, may_be_taken: bool = False) -> str | None:
    """Create the asset; return its upload id, or None after a failure. A retry of the client gets another asset."""
    actor.had_fault = False
    try:
        _, upload_id = await system.multipart_service(actor).create(declaration, system.s3.now)
    except StoreError as error:
        is_taken = may_be_taken and system.status() is not None
        if not is_taken and system.status() != "expired":  # it expired, and `temp/` was swept, before the last call
            require_fault(actor, error)
        return None
    system.checker.record_created(ASSET)
    system.upload_id = upload_id
    return upload_id


async def _send_to_presigned_url(system: System, actor: Actor, upload_id: str, body: bytes) -> bool:
    """Send the only part of a file; return whether S3 has it."""
    actor.had_fault = False
    try:
        [part] = await system.multipart_service(actor).presign_parts(
            ASSET, upload_id, [1], system.s3.now, size=len(body)
        )
    except StoreError as error:
        require_fault(actor, error)
        return False
    except AssetError as error:
        placeholder = system.s3.objects.get(f"uploaded/{ASSET}")
        has_time = placeholder is not None and system.s3.now < datetime.fromisoformat(
            placeholder.metadata["expires-at"]
        )
        if system.status() == "pending" and has_time:
            raise ViolationError(f"a part of a pending asset was refused: {type(error).__name__}") from None
        return False
    is_stored = False

    def arrive() -> None:
        nonlocal is_stored
        with suppress(RefusedError):
            system.s3.put_part(part.target.url, body)
            is_stored = True

    await perform(Call("PUT", f"part 1 {body.decode()}", arrive))
    return is_stored


def sends_part(number: int, body: bytes, *, is_late: bool = False) -> Script:
    """A client that sends one part. A late one begins at the start, and arrives even when its upload was aborted."""

    async def script(system: System, _actor: Actor) -> None:
        await send_part(system, number, body, is_late=is_late)

    return script


async def send_part(system: System, number: int, body: bytes, *, is_late: bool = False) -> None:
    """Send one part to a URL that a client has already."""
    begun = system.s3.uploads.get(system.upload_id) if is_late else None

    def arrive() -> None:
        upload = begun or system.s3.uploads.get(system.upload_id)
        if upload is not None:
            system.s3.store_part(upload, system.upload_id, number, body)

    await perform(Call("PUT", f"part {number} {body.decode()}", arrive))


def completes(*bodies: bytes, attempts: int = 2, upload_id: str = "") -> Script:
    """A client that completes the upload with these parts, and retries after a failure."""

    async def script(system: System, actor: Actor) -> None:
        await complete(system, actor, bodies, upload_id or system.upload_id, attempts=attempts)

    return script


def sends_part_and_completes(*bodies: bytes) -> Script:
    """A client that sends the last of these parts, over one that was sent before, and completes the upload."""

    async def script(system: System, actor: Actor) -> None:
        await send_part(system, len(bodies), bodies[-1])
        await complete(system, actor, bodies, system.upload_id)

    return script


async def complete(system: System, actor: Actor, bodies: Sequence[bytes], upload_id: str, *, attempts: int = 2) -> None:
    """Complete the upload with these parts, and check the result against the bucket."""
    record = system.checker.record(ASSET)
    body = b"".join(bodies)
    record.completions.add(body)
    service = system.multipart_service(actor)
    for _ in range(attempts):
        parts_written, had_parts = _count_parts(system), _has_parts(system, upload_id, bodies)
        was_deleted = record.is_delete_acknowledged
        actor.had_fault = False
        try:
            asset = await service.complete(ASSET, upload_id, completed_parts(bodies))
        except StoreError as error:
            require_fault(actor, error)
        except AssetError as error:
            may_lack_parts = not had_parts or _count_parts(system) > parts_written
            _require_justified(system, error, bodies, upload_id, may_lack_parts=may_lack_parts)
            return
        else:
            if was_deleted:
                raise ViolationError("I1: a completion of a deleted asset succeeded")
            if not asset.is_final:
                raise ViolationError(f"a completion succeeded with an asset that is {asset.placeholder.state.status}")
            system.checker.record_completed(ASSET, body)
            return


def _require_justified(
    system: System, error: AssetError, bodies: Sequence[bytes], upload_id: str, *, may_lack_parts: bool
) -> None:
    """Require that the state of the bucket justifies the rejection of a completion.

    The service reads the placeholder last, so that the bucket is still as it saw it.
    """
    record = system.checker.record(ASSET)
    final = system.s3.objects.get(f"uploaded/{ASSET}")
    status = system.status()
    match error:
        case AssetNotFoundError():
            is_justified = final is None
        case AssetExpiredError():
            is_justified = status == "expired"
        case AlreadyUploadedError():
            named = etag_of_parts([etag_of(body) for body in bodies])
            is_justified = final is not None and status == "uploaded" and final.etag != named
        case UploadLostError():  # nobody aborts the upload of a pending asset, so it can only be another one
            is_justified = record.is_multipart and status == "pending" and upload_id == UNKNOWN_UPLOAD
        case PartsMismatchError():
            is_undeclared = not system.checker.is_declared(b"".join(bodies))
            is_justified = status == "pending" and (may_lack_parts or is_undeclared)
        case WrongUploadMethodError():
            is_justified = not record.is_multipart
        case _:
            is_justified = False
    if not is_justified:
        raise ViolationError(f"a completion with {bodies} ended in {type(error).__name__}, and the asset is {status}")


def _count_parts(system: System) -> int:
    """Return how many parts were ever written."""
    return sum(operation == "part" for operation, _ in system.s3.writes)


def _has_parts(system: System, upload_id: str, bodies: Sequence[bytes]) -> bool:
    """Return whether the upload has these parts now."""
    upload = system.s3.uploads.get(upload_id)
    return upload is not None and all(upload.parts.get(number) == body for number, body in enumerate(bodies, 1))


def lists_parts(upload_id: str = "") -> Script:
    """A client that asks which parts S3 has, to resume its upload."""

    async def script(system: System, actor: Actor) -> None:
        known_id = upload_id or system.upload_id
        actor.had_fault = False
        try:
            _, parts = await system.multipart_service(actor).list_parts(ASSET, known_id)
        except StoreError as error:
            require_fault(actor, error)
        except AssetError as error:
            _require_justified(system, error, (), known_id, may_lack_parts=False)
        else:
            stored = system.s3.uploads[known_id].parts
            if [(part.number, part.etag) for part in parts] != [
                (n, etag_of(body)) for n, body in sorted(stored.items())
            ]:
                raise ViolationError(f"the parts of {known_id} are not {parts}")

    return script
