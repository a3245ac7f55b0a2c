"""One bucket with one asset in question, and everyone who acts on it: written as scripts of the real coroutines."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, Final
from uuid import UUID

from assetstore.assets import Assets
from assetstore.door import Said
from assetstore.errors import (
    AlreadyUploadedError,
    AssetError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotUploadedError,
    StoreError,
    UploadMismatchError,
)
from assetstore.protocol import Rules
from tests.memory_s3 import MemoryS3, RefusedError, Stored, etag_of
from tests.protocol.code import Code
from tests.protocol.ledger import Book, Ledger, ViolationError
from tests.protocol.steps import Call, SteppedDoor, ask, run_now

RULES: Final = Rules(upload_url_seconds=900, grace_seconds=60, unmarked_seconds=86_400)
ASSET: Final = "11111111-1111-4111-8111-111111111111"
BYSTANDER: Final = "22222222-2222-4222-8222-222222222222"
"""A final asset that nobody has any business with."""


@dataclass(slots=True)
class World:
    """The bucket, its books, and the code under test."""

    code: Code
    s3: MemoryS3
    ledger: Ledger
    upload_url: str = ""

    def copy(self) -> "World":
        """The same world, to go its own way."""
        s3 = self.code.store()
        s3.signer_is_ahead = self.s3.signer_is_ahead
        s3.now, s3.objects, s3.writes = self.s3.now, dict(self.s3.objects), list(self.s3.writes)
        return World(self.code, s3, self.ledger.copy(s3), self.upload_url)

    def assets(self, actor: "Actor") -> Assets:
        """The asset store as one actor has it: stepped, with nonces of its own."""
        return Assets(SteppedDoor(self.s3), self.s3, RULES, lambda: UUID(ASSET), actor.nonce)

    def plain_assets(self) -> Assets:
        """The asset store on the bucket itself, unstepped: to set a scene."""
        return Assets(self.s3, self.s3, RULES, lambda: UUID(ASSET), Actor("scene").nonce)

    def fingerprint(self) -> object:
        """All that a later run could tell this world by from another."""
        objects = {
            (key, found.etag, found.last_modified, *sorted(found.metadata.items()))
            for key, found in self.s3.objects.items()
        }
        return self.s3.now, frozenset(objects), self.ledger.fingerprint()

    def tick(self, jump: timedelta) -> None:
        """Let time pass."""
        self.s3.now += jump

    def status(self) -> str | None:
        """What the bucket says of the asset."""
        found = self.s3.objects.get(f"uploaded/{ASSET}")
        return found.metadata["status"] if found else None


@dataclass(slots=True)
class Actor:
    """One process or client, on its way through its script."""

    name: str
    is_harmed: bool = False
    """One of its calls failed it since it last began something: only then may it be told of a failure."""
    nonces: int = 0

    def nonce(self) -> bytes:
        """A body that no placeholder had before."""
        self.nonces += 1
        return f"nonce {self.name} {self.nonces}".encode()


Script = Callable[[World, Actor], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Scene:
    """How the world is when the actors come on: made by the code itself, without faults."""

    name: str
    uploads: tuple[bytes, ...] = ()
    marks: tuple[bytes | None, ...] = ()
    """Pins by the bytes they mean; None is a mark without one."""
    after: timedelta = timedelta()
    is_created: bool = True
    signer_is_ahead: timedelta = timedelta()

    def set(self, code: Code) -> World:
        """A world as the scene has it."""
        return _set_once(self, code).copy()

    def build(self, code: Code) -> World:
        """The same, made from nothing."""
        s3 = code.store()
        s3.signer_is_ahead = self.signer_is_ahead
        world = World(code, s3, Ledger(s3, RULES.grace_seconds, RULES.unmarked_seconds))
        self._add_bystander(world)
        world.ledger.book(ASSET)
        assets = world.plain_assets()
        if self.is_created:
            world.upload_url = run_now(code.assets.create(assets)).upload.url
            world.ledger.look()
        for body in self.uploads:
            s3.put(world.upload_url, body)
            world.ledger.look()
        for meant in self.marks:
            pin = None if meant is None else etag_of(meant)
            run_now(code.assets.mark(assets, ASSET, pin))
            world.ledger.look()
            world.ledger.accepted(ASSET, len(self.uploads), pin)
        s3.now += self.after
        world.ledger.look()
        return world

    def _add_bystander(self, world: World) -> None:
        said = {"status": "uploaded", "expires-at": "2026-01-01T11:00:00Z"}
        final = Stored(b"bystander", etag_of(b"bystander"), world.s3.now, said, said)
        world.s3.objects[f"uploaded/{BYSTANDER}"] = final
        world.ledger.books[BYSTANDER] = Book([final.body], final, has_promise=True, is_latest_promised=True)


@lru_cache(maxsize=64)
def _set_once(scene: Scene, code: Code) -> World:
    return scene.build(code)


# --- the scripts ------------------------------------------------------------------------------------------------------


def uploads(*bodies: bytes, is_late: bool = False) -> Script:
    """A client that uploads one file after the other; late: begun while the URL lived, and landing whenever."""

    async def script(world: World, _actor: Actor) -> None:
        for body in bodies:
            await upload(world, body, is_late=is_late)

    return script


def uploads_late_and_marks(body: bytes, anew: bytes) -> Script:
    """A client that overwrites its file, then overwrites that one and marks the last, with its pin."""

    async def script(world: World, actor: Actor) -> None:
        await upload(world, body, is_late=True)
        await upload(world, anew, is_late=True)
        await mark(world, actor, anew)

    return script


async def upload(world: World, body: bytes, *, is_late: bool = False) -> None:
    """One PUT to the upload URL."""

    def land() -> None:
        if is_late:
            world.s3.store("put", f"temp/{ASSET}", body, Said({}, {}))
            return
        with suppress(RefusedError):
            world.s3.put(world.upload_url, body)

    await ask(Call("PUT", f"temp/{ASSET} {body.decode()}", land))


def marks(body: bytes | None, *, tries: int = 2) -> Script:
    """A client that marks, and again when it is told of a failure."""

    async def script(world: World, actor: Actor) -> None:
        await mark(world, actor, body, tries=tries)

    return script


async def mark(world: World, actor: Actor, body: bytes | None, *, tries: int = 2) -> None:
    """One mark, with the pin of these bytes, and what the client may make of the answer."""
    pin = None if body is None else etag_of(body)
    book = world.ledger.book(ASSET)
    assets = world.assets(actor)
    for _ in range(tries):
        uploads_before = len(book.uploads)
        actor.is_harmed = False
        try:
            await world.code.assets.mark(assets, ASSET, pin)
        except StoreError as error:
            _require_harm(actor, error)
        except AssetError as error:
            _require_true(world, error, pin, uploads_before)
            return
        else:
            world.ledger.accepted(ASSET, uploads_before, pin)
            return


def _require_true(world: World, error: AssetError, pin: str | None, uploads_before: int) -> None:
    """Hold a refusal against the bucket."""
    final = world.s3.objects.get(f"uploaded/{ASSET}")
    status = final.metadata["status"] if final else None
    uploaded = world.ledger.book(ASSET).uploads
    match error:
        case AssetNotFoundError():
            is_true = final is None
        case AssetExpiredError():
            is_true = status == "expired"
        case AlreadyUploadedError():
            is_true = status == "uploaded" and (pin is None or final is None or final.metadata.get("pin") != pin)
        case UploadMismatchError():
            # Wrong when nothing but the pinned bytes was ever there.
            is_true = not uploads_before or {etag_of(body) for body in uploaded} != {pin}
        case _:
            is_true = False
    if not is_true:
        raise ViolationError(f"a mark with pin {pin} was answered {type(error).__name__} of an asset that is {status}")


def _require_harm(actor: Actor, error: StoreError) -> None:
    """Without a fault on the way, nobody is told of one, however many others write."""
    if not actor.is_harmed:
        raise ViolationError(f"{actor.name} was told '{error}', and nothing had failed")


def lives(body: bytes, *, pinned: bool) -> Script:
    """A client with a whole life: create, upload, mark."""

    async def script(world: World, actor: Actor) -> None:
        actor.is_harmed = False
        try:
            created = await world.code.assets.create(world.assets(actor))
        except StoreError as error:
            _require_harm(actor, error)
            return
        world.upload_url = created.upload.url
        await upload(world, body)
        await mark(world, actor, body if pinned else None)

    return script


def uploads_and_marks(*files: tuple[bytes, bool]) -> Script:
    """A client that uploads a file and marks it, with or without its pin, and then the next."""

    async def script(world: World, actor: Actor) -> None:
        for body, is_pinned in files:
            await upload(world, body)
            await mark(world, actor, body if is_pinned else None)

    return script


def gets() -> Script:
    """A client that asks for the asset and follows the answer."""

    async def script(world: World, actor: Actor) -> None:
        was_final = world.status() == "uploaded"
        actor.is_harmed = False
        try:
            found = await world.code.assets.resolve(world.assets(actor), ASSET, 60, world.s3.now)
        except StoreError as error:
            _require_harm(actor, error)
        except (AssetNotUploadedError, AssetExpiredError, AssetNotFoundError) as error:
            if was_final:
                raise ViolationError(f"I1: a final asset's GET was answered {type(error).__name__}") from None
        else:
            body = await ask(Call("GET", f"uploaded/{ASSET}", lambda: world.s3.get(found.url).body))
            world.ledger.downloaded(ASSET, body)

    return script


def reconciles() -> Script:
    """One run of the reconciler over everything in `temp/`."""

    async def script(world: World, actor: Actor) -> None:
        assets = world.assets(actor)
        try:
            page = await assets.door.list_page("temp/", "")
        except StoreError:
            return
        garbage = []
        for found in page.objects:
            asset_id = found.key.removeprefix("temp/")
            actor.is_harmed = False
            try:
                reconciled = await world.code.assets.reconcile(assets, asset_id, page.listed_at)
            except StoreError as error:
                _require_harm(actor, error)
            else:
                if reconciled.is_garbage:
                    garbage.append(found.key)
        if garbage:
            try:
                await assets.door.delete_many(garbage)
            except StoreError:
                return

    return script


def clock(*jumps: timedelta) -> Script:
    """Time that passes, between any two calls of the others."""

    async def script(world: World, _actor: Actor) -> None:
        for jump in jumps:
            await ask(Call("clock", f"+{jump}", partial(world.tick, jump)))

    return script
