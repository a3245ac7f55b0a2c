"""Assets in parts: every operation in every state, and every response that S3 may give to a completion."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from assetuploader.asset_service import AssetService
from assetuploader.declaration import Declaration
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetBusyError,
    AssetExpiredError,
    AssetNotFoundError,
    ConflictError,
    MultipartUploadLostError,
    PartsMismatchError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreUnavailableError,
    UploadLostError,
    WrongUploadMethodError,
)
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.multipart_service import MAX_COMPLETIONS, MultipartAsset, MultipartService
from assetuploader.parts import MAX_PARTS
from assetuploader.placeholders import read_placeholder
from assetuploader.state_machine import AssetState, LifecyclePolicy, Status, from_metadata, to_metadata, to_tags
from assetuploader.store import CompletedPart, ObjectAttributes, UploadedPart
from tests.support.in_memory_s3 import START, InMemoryS3, RefusedError, Stored, etag_of, etag_of_parts

MIB: Final = 1024**2
PART: Final = 64 * MIB
POLICY: Final = LifecyclePolicy()
UNDECLARED: Final = Declaration()
ONE: Final = [CompletedPart(1, etag_of(b"one"))]
TWO: Final = [CompletedPart(1, etag_of(b"one")), CompletedPart(2, etag_of(b"two"))]

Answer = Exception | str | None
"""What S3 responds to a completion: an error, an ETag, or None for what it would respond by itself."""


@dataclass(slots=True)
class ScriptedS3(InMemoryS3):
    """An S3 whose responses to completions are written down."""

    answers: list[Answer] = field(default_factory=list)
    takes_effect: bool = False
    """Whether S3 completes the upload before it gives the answer."""
    before_answer: Callable[[], Awaitable[object]] | None = None
    """What another client does meanwhile."""
    completions: int = 0

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """Give the next answer."""
        self.completions += 1
        answer = self.answers.pop(0) if self.answers else None
        if self.before_answer is not None:
            await self.before_answer()
        if answer is None or self.takes_effect:
            etag = await InMemoryS3.complete_multipart_upload(self, key, upload_id, parts, if_match=if_match, size=size)
            if answer is None:
                return etag
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(slots=True)
class Setup:
    """The service, the bucket, and one asset whose parts one and two are there."""

    s3: ScriptedS3
    service: MultipartService
    assets: AssetService
    asset: MultipartAsset
    upload_id: str

    @property
    def asset_id(self) -> str:
        """The id of the asset."""
        return self.asset.asset_id

    async def complete(self, parts: Sequence[CompletedPart] = TWO) -> str:
        """Complete the asset; return its ETag."""
        return (await self.service.complete(self.asset_id, self.upload_id, parts)).placeholder.etag

    async def status(self) -> Status | None:
        """Return the status of the asset, None when there is none."""
        placeholder = await read_placeholder(self.s3, self.asset_id)
        return None if placeholder is None else placeholder.state.status

    async def cancel(self) -> None:
        """Cancel or delete the asset."""
        await self.assets.delete(self.asset_id, may_delete_promised=True)

    def write_state(self, state: AssetState, body: bytes) -> None:
        """Write the object of the asset, as nobody may."""
        self.s3.store("put", uploaded_key(self.asset_id), body, ObjectAttributes(to_metadata(state), to_tags(state)))


def build_services(s3: InMemoryS3) -> tuple[MultipartService, AssetService]:
    """Return both services on this bucket."""
    ids = iter([UUID(int=(number << 64) | (4 << 76) | (8 << 60)) for number in range(1, 100)])
    nonces = iter(range(1_000_000))

    def make_nonce() -> bytes:
        return b"nonce %d" % next(nonces)

    return (
        MultipartService(s3, s3, s3, POLICY, lambda: next(ids), make_nonce),
        AssetService(s3, s3, POLICY, lambda: next(ids), make_nonce),
    )


async def build_setup(declaration: Declaration = UNDECLARED) -> Setup:
    """Create an asset, and store the parts one and two."""
    s3 = ScriptedS3()
    service, assets = build_services(s3)
    asset, upload_id = await service.create(declaration, s3.now)
    for number, body in enumerate((b"one", b"two"), 1):
        s3.store_part(s3.uploads[upload_id], upload_id, number, body)
    s3.writes.clear()
    s3.calls.clear()
    return Setup(s3, service, assets, asset, upload_id)


# --- create -----------------------------------------------------------------------------------------------------------


async def test_the_placeholder_comes_before_the_upload() -> None:
    """Amazon dates the final object by the initiation of its upload, so nothing may be written after it."""
    s3 = InMemoryS3()
    service, _ = build_services(s3)
    asset, upload_id = await service.create(UNDECLARED, START + timedelta(milliseconds=1))
    key = uploaded_key(asset.asset_id)
    assert s3.calls == [
        ("put_object", key),
        ("put_object", temp_key(asset.asset_id)),
        ("create_multipart_upload", key),
    ]
    assert s3.uploads[upload_id].key == key
    assert (asset.part_bytes, asset.part_count) == (PART, None)
    assert asset.state.created_at == START
    assert asset.state.upload_expires_at == START + timedelta(days=7)
    placeholder = s3.objects[key]
    assert from_metadata(placeholder.metadata) == asset.state
    assert placeholder.tags == to_tags(asset.state)
    assert s3.objects[temp_key(asset.asset_id)].body == b""


async def test_only_the_upload_has_the_status_of_a_final_asset() -> None:
    """What S3 shows after a completion is what the upload was created with, and nothing else writes it."""
    declaration = Declaration("ä.png", "image/png", 6, metadata={"album": "1"})
    setup = await build_setup(declaration)
    attributes = setup.s3.uploads[setup.upload_id].attributes
    final = replace(setup.asset.state, status=Status.UPLOADED)
    assert from_metadata(attributes.metadata) == final
    assert (attributes.tags, attributes.headers) == (to_tags(final), {"content-type": "image/png"})
    assert from_metadata(setup.s3.objects[uploaded_key(setup.asset_id)].metadata).status is Status.PENDING


@pytest.mark.parametrize(
    ("size", "part_bytes", "part_count"),
    [(0, 16 * MIB, 1), (32 * MIB, 16 * MIB, 2), (32 * MIB + 1, 16 * MIB, 3), (None, PART, None)],
)
async def test_parts_are_chosen_by_the_declared_size(size: int | None, part_bytes: int, part_count: int | None) -> None:
    """Their length is stored with the asset: a later version of the program may choose another one."""
    setup = await build_setup(Declaration(size=size))
    assert (setup.asset.part_bytes, setup.asset.part_count) == (part_bytes, part_count)
    assert setup.s3.objects[uploaded_key(setup.asset_id)].metadata["part-size"] == str(part_bytes)


async def test_the_lost_response_to_our_own_marker_is_no_error() -> None:
    """The object in `temp/` is there then."""
    s3 = InMemoryS3()
    service, _ = build_services(s3)
    asset_id = str(UUID(int=(1 << 64) | (4 << 76) | (8 << 60)))
    s3.store("put", temp_key(asset_id), b"", ObjectAttributes())
    asset, upload_id = await service.create(UNDECLARED, s3.now)
    assert (asset.asset_id, s3.uploads[upload_id].key) == (asset_id, uploaded_key(asset_id))


async def test_a_conflict_that_wrote_no_marker_is_an_outage() -> None:
    """Without the object in `temp/` no run would find the asset. There is no upload yet that would be paid for."""

    class ConflictingS3(InMemoryS3):
        async def put_object(
            self,
            key: str,
            body: bytes,
            attributes: ObjectAttributes,
            *,
            if_match: str | None = None,
            if_none_match: str | None = None,
        ) -> str:
            """Refuse the marker, as if another client wrote it at the same time."""
            if key.startswith("temp/"):
                raise ConflictError("ConditionalRequestConflict")
            return await InMemoryS3.put_object(
                self, key, body, attributes, if_match=if_match, if_none_match=if_none_match
            )

    s3 = ConflictingS3()
    service, _ = build_services(s3)
    with pytest.raises(StoreUnavailableError, match="did not store what stands for the upload"):
        await service.create(UNDECLARED, s3.now)
    assert s3.uploads == {}


# --- every operation in every state -----------------------------------------------------------------------------------


async def _presign(setup: Setup) -> object:
    return await setup.service.presign_parts(setup.asset_id, setup.upload_id, [1], setup.s3.now)


async def _list(setup: Setup) -> object:
    return await setup.service.list_parts(setup.asset_id, setup.upload_id)


async def _complete(setup: Setup) -> object:
    return await setup.service.complete(setup.asset_id, setup.upload_id, TWO)


OPERATIONS: Final = {"presign": _presign, "list": _list, "complete": _complete}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", [Status.PENDING, Status.MARKED, Status.UPLOADED, Status.EXPIRED, None])
async def test_every_operation_on_an_asset_of_one_put_is_refused(operation: str, status: Status | None) -> None:
    """While it is not final; then the state is the reason."""
    setup = await build_setup()
    if status is None:
        setup.s3.objects.clear()
    else:
        setup.write_state(AssetState(status, START + timedelta(hours=1)), b"placeholder of another method")
    expected: dict[Status | None, type[Exception]] = {
        Status.PENDING: WrongUploadMethodError,
        Status.MARKED: WrongUploadMethodError,
        Status.UPLOADED: AlreadyUploadedError,
        Status.EXPIRED: AssetExpiredError,
        None: AssetNotFoundError,
    }
    setup.s3.writes.clear()
    with pytest.raises(expected[status]):
        await OPERATIONS[operation](setup)
    assert setup.s3.writes == []


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_on_an_expired_asset_says_so(operation: str) -> None:
    """A cancelled asset has the same state."""
    setup = await build_setup()
    await setup.cancel()
    with pytest.raises(AssetExpiredError):
        await OPERATIONS[operation](setup)


@pytest.mark.parametrize("operation", ["presign", "list"])
async def test_a_final_asset_takes_no_parts(operation: str) -> None:
    """Only a repeated completion succeeds."""
    setup = await build_setup()
    await setup.complete()
    with pytest.raises(AlreadyUploadedError):
        await OPERATIONS[operation](setup)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_object_of_somebody_else_is_no_asset(operation: str) -> None:
    """It has no state."""
    setup = await build_setup()
    setup.s3.objects[uploaded_key(setup.asset_id)] = Stored(b"x", "e", START)
    with pytest.raises(AssetNotFoundError):
        await OPERATIONS[operation](setup)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_outage_is_passed_on(operation: str) -> None:
    """Nothing is known about the asset."""
    setup = await build_setup()
    setup.s3.fails_with = StoreUnavailableError("away")
    with pytest.raises(StoreUnavailableError, match="away"):
        await OPERATIONS[operation](setup)


# --- part URLs --------------------------------------------------------------------------------------------------------


async def test_a_part_url_takes_exactly_its_part() -> None:
    """Number and length are signed, and the last part is shorter."""
    setup = await build_setup(Declaration(size=32 * MIB + 5))
    presigned = await setup.service.presign_parts(setup.asset_id, setup.upload_id, [3, 1], setup.s3.now)
    assert [(part.number, part.size) for part in presigned] == [(3, 5), (1, 16 * MIB)]
    last = presigned[0]
    assert last.target.expires_at == START + timedelta(seconds=POLICY.upload_url_ttl_seconds)
    assert setup.s3.put_part(last.target.url, b"three") == etag_of(b"three")
    for body in (b"thre", b"three!"):
        with pytest.raises(RefusedError):
            setup.s3.put_part(last.target.url, body)
    with pytest.raises(RefusedError):
        setup.s3.allowed("GET", last.target.url)


@pytest.mark.parametrize(
    ("declared", "size", "number", "length"),
    [
        (None, None, 1, PART),
        (None, None, MAX_PARTS, PART),
        (None, 5, 1, 5),
        (None, PART + 1, 2, 1),
        (None, 0, 1, 0),
        (5, None, 1, 5),
        (5, 5, 1, 5),
        (0, None, 1, 0),
        (0, 0, 1, 0),
    ],
)
async def test_the_length_of_a_part(declared: int | None, size: int | None, number: int, length: int) -> None:
    """Of the declared size, else of the one in the request, else all parts are equally long."""
    setup = await build_setup(Declaration(size=declared))
    [part] = await setup.service.presign_parts(setup.asset_id, setup.upload_id, [number], setup.s3.now, size=size)
    assert (part.number, part.size) == (number, length)


@pytest.mark.parametrize(
    ("declared", "size", "numbers"),
    [
        (None, None, [0]),
        (None, None, [MAX_PARTS + 1]),
        (None, 5, [2]),
        (None, PART * MAX_PARTS + 1, [1]),
        (5, None, [1, 2]),
        (5, 6, [1]),
        (5, 0, [1]),
        (0, 5, [1]),
    ],
)
async def test_there_is_no_such_part(declared: int | None, size: int | None, numbers: list[int]) -> None:
    """No URL is returned for the others either."""
    setup = await build_setup(Declaration(size=declared))
    with pytest.raises(PartsMismatchError):
        await setup.service.presign_parts(setup.asset_id, setup.upload_id, numbers, setup.s3.now, size=size)


async def test_part_urls_end_with_the_asset() -> None:
    """After the expiry of the asset, a run may abort the upload at any time."""
    setup = await build_setup()
    last_moment = setup.asset.state.upload_expires_at - timedelta(seconds=1)
    assert await setup.service.presign_parts(setup.asset_id, setup.upload_id, [1], last_moment)
    with pytest.raises(AssetExpiredError):
        await setup.service.presign_parts(setup.asset_id, setup.upload_id, [1], setup.asset.state.upload_expires_at)
    later = setup.asset.state.upload_expires_at + timedelta(days=1)
    with pytest.raises(AssetExpiredError):
        await setup.service.presign_parts(setup.asset_id, setup.upload_id, [1], later)


# --- list of parts ----------------------------------------------------------------------------------------------------


async def test_the_parts_that_s3_has_are_listed() -> None:
    """In order, with what a completion needs."""
    setup = await build_setup()
    asset, parts = await setup.service.list_parts(setup.asset_id, setup.upload_id)
    assert asset == setup.asset
    assert parts == [UploadedPart(1, etag_of(b"one"), 3), UploadedPart(2, etag_of(b"two"), 3)]


async def test_an_unknown_upload_has_no_list() -> None:
    """The client must start over."""
    setup = await build_setup()
    with pytest.raises(UploadLostError):
        await setup.service.list_parts(setup.asset_id, "made up")


@pytest.mark.parametrize(("is_complete", "expected"), [(True, AlreadyUploadedError), (False, AssetExpiredError)])
async def test_an_upload_that_ends_while_it_is_listed(is_complete: bool, expected: type[Exception]) -> None:  # noqa: FBT001
    """The state of the asset says why the upload is gone."""

    class EndingS3(ScriptedS3):
        async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
            """End the upload first."""
            if is_complete:
                await setup.complete()
            else:
                await setup.cancel()
                self.uploads.clear()
            return await InMemoryS3.list_parts(self, key, upload_id)

    setup = await build_setup()
    ending = EndingS3(objects=setup.s3.objects, uploads=setup.s3.uploads)
    setup.s3 = ending
    setup.service, setup.assets = build_services(ending)
    with pytest.raises(expected):
        await setup.service.list_parts(setup.asset_id, setup.upload_id)


# --- complete ---------------------------------------------------------------------------------------------------------


async def test_a_completed_asset_is_final() -> None:
    """It has the bytes of the named parts, in their order, and what was declared."""
    setup = await build_setup(Declaration("a.png", "image/png", 6))
    setup.s3.store_part(setup.s3.uploads[setup.upload_id], setup.upload_id, 1, b"onetwo")
    parts = [CompletedPart(1, etag_of(b"onetwo"))]
    asset = await setup.service.complete(setup.asset_id, setup.upload_id, parts)
    placeholder = asset.placeholder
    assert asset.is_final
    assert (placeholder.etag, placeholder.size) == (etag_of_parts([etag_of(b"onetwo")]), 6)
    assert placeholder.headers == {"content-type": "image/png"}
    assert setup.s3.objects[uploaded_key(setup.asset_id)].body == b"onetwo"
    assert setup.s3.calls == [
        ("head_object", uploaded_key(setup.asset_id)),
        ("complete_multipart_upload", uploaded_key(setup.asset_id)),
        ("head_object", uploaded_key(setup.asset_id)),
    ]


async def test_a_completion_names_the_placeholder_and_the_declared_size() -> None:
    """S3 compares both."""
    setup = await build_setup(Declaration(size=7))
    with pytest.raises(PartsMismatchError):  # three bytes
        await setup.complete(ONE)
    assert await setup.status() is Status.PENDING
    assert setup.upload_id in setup.s3.uploads


async def test_a_repeated_completion_succeeds() -> None:
    """The parts name the bytes, whatever the upload id: it is gone."""
    setup = await build_setup()
    etag = await setup.complete()
    assert await setup.complete() == etag
    assert (await setup.service.complete(setup.asset_id, "another", TWO)).placeholder.etag == etag
    assert setup.s3.completions == 1


@pytest.mark.parametrize("parts", [ONE, [*TWO, CompletedPart(3, "0" * 32)], [CompletedPart(1, "no-md5")]])
async def test_a_final_asset_has_no_other_parts(parts: list[CompletedPart]) -> None:
    """Nothing is written."""
    setup = await build_setup()
    await setup.complete()
    with pytest.raises(AlreadyUploadedError):
        await setup.complete(parts)
    assert setup.s3.completions == 1


@pytest.mark.parametrize("parts", [ONE, [*TWO, CompletedPart(3, "0" * 32)]])
async def test_the_number_of_parts_is_declared(parts: list[CompletedPart]) -> None:
    """It follows from the size. S3 is not asked."""
    setup = await build_setup(Declaration(size=16 * MIB + 1))
    with pytest.raises(PartsMismatchError):
        await setup.complete(parts)
    assert setup.s3.completions == 0


@pytest.mark.parametrize("numbers", [(2,), (1, 1), (1, 3), (2, 1), (0, 1)])
async def test_the_parts_of_a_file_have_no_gaps(numbers: tuple[int, ...]) -> None:
    """They are named in order. S3 is not asked."""
    setup = await build_setup()
    with pytest.raises(PartsMismatchError):
        await setup.complete([CompletedPart(number, etag_of(b"one")) for number in numbers])
    assert setup.s3.completions == 0


MISMATCHES: Final = {
    "other bytes": [CompletedPart(1, "0" * 32)],
    "a missing part": [*TWO, CompletedPart(3, "0" * 32)],
}


@pytest.mark.parametrize("parts", MISMATCHES.values(), ids=MISMATCHES)
async def test_other_parts_than_s3_has_make_no_asset(parts: list[CompletedPart]) -> None:
    """The upload remains, and the right parts complete it."""
    setup = await build_setup()
    with pytest.raises(PartsMismatchError):
        await setup.complete(parts)
    assert await setup.complete() == etag_of_parts([part.etag for part in TWO])


NO_EFFECT: Final[dict[str, tuple[Answer, type[Exception]]]] = {
    "200 for an upload that does not exist": ("0" * 32 + "-2", UploadLostError),
    "no such upload": (MultipartUploadLostError("NoSuchUpload"), UploadLostError),
    "a deletion at the same time": (MultipartUploadLostError("a deletion"), UploadLostError),
    "invalid part": (PartsRejectedError("InvalidPart"), PartsMismatchError),
    "internal error inside a 200": (StoreUnavailableError("S3 responds 200 InternalError"), StoreUnavailableError),
    "no response": (StoreUnavailableError("S3 could not be reached"), StoreUnavailableError),
    "denied": (StoreAccessDeniedError("S3 responds 403"), StoreAccessDeniedError),
}


@pytest.mark.parametrize(("answer", "expected"), NO_EFFECT.values(), ids=NO_EFFECT)
async def test_a_completion_without_effect_is_never_a_success(answer: Answer, expected: type[Exception]) -> None:
    """The object is read again, and it is the placeholder still. What S3 responded says what the client can do."""
    setup = await build_setup()
    setup.s3.answers = [answer]
    with pytest.raises(expected):
        await setup.complete()
    assert (await setup.status(), setup.s3.completions, setup.s3.writes) == (Status.PENDING, 1, [])


EFFECT: Final[dict[str, Answer]] = {name: answer for name, (answer, _) in NO_EFFECT.items() if name != "denied"} | {
    "precondition failed": PreconditionFailedError("412"),
    "conflict": ConflictError("409"),
}


@pytest.mark.parametrize("answer", EFFECT.values(), ids=EFFECT)
async def test_a_completion_with_effect_is_a_success_whatever_s3_responds(answer: Answer) -> None:
    """The response to an earlier attempt was lost, and the client retried it: the object is final."""
    setup = await build_setup()
    setup.s3.answers, setup.s3.takes_effect = [answer], True
    assert await setup.complete() == etag_of_parts([part.etag for part in TWO])
    assert setup.s3.completions == 1


@pytest.mark.parametrize("answer", EFFECT.values(), ids=EFFECT)
async def test_an_asset_that_is_cancelled_meanwhile_is_expired(answer: Answer) -> None:
    """Whatever S3 responds: the tombstone says so."""
    setup = await build_setup()
    setup.s3.answers, setup.s3.before_answer = [answer], setup.cancel
    with pytest.raises(AssetExpiredError):
        await setup.complete()


@pytest.mark.parametrize("answer", EFFECT.values(), ids=EFFECT)
async def test_an_asset_that_is_deleted_meanwhile_is_not_found(answer: Answer) -> None:
    """Somebody completed it, and deleted it at once."""
    setup = await build_setup()

    async def delete() -> None:
        setup.s3.objects.clear()

    setup.s3.answers, setup.s3.before_answer = [answer], delete
    with pytest.raises(AssetNotFoundError):
        await setup.complete()


@pytest.mark.parametrize("answer", EFFECT.values(), ids=EFFECT)
async def test_other_parts_that_win_meanwhile_are_not_ours(answer: Answer) -> None:
    """Two clients complete the asset with different parts, and one of them gets an error."""
    setup = await build_setup()

    async def complete_other() -> None:
        key = uploaded_key(setup.asset_id)
        await InMemoryS3.complete_multipart_upload(
            setup.s3, key, setup.upload_id, ONE, if_match=setup.s3.objects[key].etag, size=None
        )

    setup.s3.answers, setup.s3.before_answer = [answer], complete_other
    with pytest.raises(AlreadyUploadedError):
        await setup.complete()


async def test_a_completion_whose_condition_fails_is_sent_again_with_the_new_version() -> None:
    """Stores respond 412 or 409 although nothing changed, when two requests meet."""
    setup = await build_setup()
    setup.s3.answers = [PreconditionFailedError("412"), ConflictError("409")]
    assert await setup.complete() == etag_of_parts([part.etag for part in TWO])
    assert setup.s3.completions == 3


async def test_a_condition_that_always_fails_is_given_up() -> None:
    """The client may repeat its request."""
    setup = await build_setup()
    setup.s3.answers = [PreconditionFailedError("412")] * MAX_COMPLETIONS
    with pytest.raises(AssetBusyError):
        await setup.complete()
    assert (await setup.status(), setup.s3.completions) == (Status.PENDING, MAX_COMPLETIONS)


async def test_an_upload_that_is_older_than_its_placeholder_is_lost() -> None:
    """Amazon responds with a success, and the object never appears: the placeholder was written again meanwhile."""
    setup = await build_setup()
    setup.write_state(setup.asset.state, b"assetuploader placeholder again")
    with pytest.raises(UploadLostError):
        await setup.complete()
    assert await setup.status() is Status.PENDING


async def test_a_marked_asset_in_parts_is_not_completed_as_if_it_were_pending() -> None:
    """No operation writes such a state, and none finalizes it."""
    setup = await build_setup()
    setup.write_state(replace(setup.asset.state, status=Status.MARKED), b"marked")
    with pytest.raises(WrongUploadMethodError):
        await setup.complete()
    assert setup.s3.completions == 0


async def test_values_are_immutable() -> None:
    """The service and its results are frozen, and accept no further attributes."""
    setup = await build_setup()
    [part] = await setup.service.presign_parts(setup.asset_id, setup.upload_id, [1], START)
    for value in (setup.service, setup.asset, part):
        for name in type(value).__annotations__:
            with pytest.raises(AttributeError):
                setattr(value, name, None)
        assert not hasattr(value, "__dict__")
