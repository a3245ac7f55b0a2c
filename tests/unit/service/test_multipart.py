"""Uploads in parts through `/v1`: each operation, each refusal, and what reaches the bucket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assetuploader.errors import MultipartUploadLostError, StoreUnavailableError
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.parts import MAX_MULTIPART_BYTES, MAX_PART_BYTES, MAX_PUT_BYTES
from assetuploader.store import CompletedPart, ObjectAttributes
from tests.support.in_memory_s3 import InMemoryS3, RefusedError, etag_of, etag_of_parts
from tests.support.in_process_service import MULTIPART_BYTES, POLICY, Service, serving
from tests.support.problems import problem_of

ID: Final = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"
MIB: Final = 1024**2
SHA256: Final = "a" * 64
UPLOAD_ID: Final = "upload-1"
ONE: Final = etag_of(b"one")
TWO: Final = etag_of(b"two")
TWO_PARTS: Final = [{"number": 1, "etag": ONE}, {"number": 2, "etag": TWO}]
MEMBERS: Final = {"upload_id": UPLOAD_ID, "parts": TWO_PARTS}


@pytest.fixture
async def v1() -> AsyncIterator[Service]:
    """A service that allows to delete final assets."""
    async with serving(InMemoryS3(), policy=POLICY, may_delete_promised=True) as running:
        yield running


async def _post(service: Service, path: str, members: object) -> httpx.Response:
    return await service.client.post(f"/v1/assets{path}", json=members)


async def _create(service: Service, bodies: Sequence[bytes] = (), **declared: Any) -> dict[str, Any]:  # noqa: ANN401
    """Create an asset in parts, and store these parts."""
    response = await _post(service, "", {"multipart": True, **declared})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    upload_id = created["upload"]["upload_id"]
    for number, body in enumerate(bodies, 1):
        service.s3.store_part(service.s3.uploads[upload_id], upload_id, number, body)
    service.s3.writes.clear()
    service.s3.calls.clear()
    return created


async def _complete(
    service: Service, created: Mapping[str, Any], parts: object = TWO_PARTS, upload_id: object = None
) -> httpx.Response:
    members = {"upload_id": upload_id or created["upload"]["upload_id"], "parts": parts}
    return await _post(service, f"/{created['id']}/complete", members)


async def _create_put(service: Service, body: bytes = b"A") -> dict[str, Any]:
    """Create an asset that is uploaded with one PUT, and upload it."""
    created: dict[str, Any] = (await _post(service, "", {})).json()
    service.s3.put(created["upload"]["url"], body)
    service.s3.writes.clear()
    return created


# --- create -----------------------------------------------------------------------------------------------------------


async def test_an_asset_in_parts_is_created(v1: Service) -> None:
    """The response says how long the parts are, how many there are, and until when they can be sent."""
    declared = {
        "filename": "ä.mp4",
        "content_type": "video/mp4",
        "size": 200 * MIB + 1,
        "metadata": {"album": "1"},
    }
    response = await _post(v1, "", declared)
    created = response.json()
    assert (response.status_code, response.headers["location"]) == (201, f"../v1/assets/{created['id']}")
    [upload_id] = v1.s3.uploads
    assert created == {
        **declared,
        "id": created["id"],
        "status": "pending",
        "created_at": "2026-01-01T12:00:00Z",
        "expires_at": "2026-01-08T12:00:00Z",
        "sha256": None,
        "etag": None,
        "download_url": None,
        "upload": {
            "method": "multipart",
            "upload_id": upload_id,
            "part_size": 16 * MIB,
            "part_count": 13,
            "expires_at": "2026-01-08T12:00:00Z",
        },
    }
    assert v1.s3.uploads[upload_id].key == uploaded_key(created["id"])


@pytest.mark.parametrize(
    ("declared", "method"),
    [
        ({}, "PUT"),
        ({"size": MULTIPART_BYTES}, "PUT"),
        ({"size": MULTIPART_BYTES + 1}, "multipart"),
        ({"size": 0, "multipart": True}, "multipart"),
        ({"multipart": True}, "multipart"),
        ({"multipart": False}, "PUT"),
        ({"size": MULTIPART_BYTES + 1, "multipart": False}, "PUT"),
        ({"size": MAX_PUT_BYTES, "multipart": False}, "PUT"),
        ({"size": MULTIPART_BYTES + 1, "sha256": SHA256}, "PUT"),
        ({"size": MULTIPART_BYTES + 1, "write_once": True}, "PUT"),
        ({"size": MULTIPART_BYTES + 1, "write_once": False}, "multipart"),
        ({"size": MAX_PUT_BYTES, "sha256": SHA256, "write_once": True, "multipart": False}, "PUT"),
        ({"size": MAX_PUT_BYTES + 1}, "multipart"),
        ({"size": MAX_MULTIPART_BYTES}, "multipart"),
    ],
)
async def test_large_files_are_uploaded_in_parts(v1: Service, declared: dict[str, Any], method: str) -> None:
    """Those above the threshold, unless the client says otherwise, or declares what only one PUT can enforce."""
    response = await _post(v1, "", declared)
    assert (response.status_code, response.json()["upload"]["method"]) == (201, method)
    assert len(v1.s3.uploads) == (method == "multipart")


@pytest.mark.parametrize(
    "declared",
    [
        {"multipart": True, "sha256": SHA256},
        {"multipart": True, "write_once": True},
        {"size": MAX_PUT_BYTES + 1, "multipart": False},
        {"size": MAX_PUT_BYTES + 1, "sha256": SHA256},
        {"size": MAX_PUT_BYTES + 1, "write_once": True},
        {"size": MAX_MULTIPART_BYTES + 1},
        {"multipart": None},
        {"multipart": 1},
    ],
)
async def test_what_no_upload_can_enforce_is_refused(v1: Service, declared: dict[str, Any]) -> None:
    """The response says what to leave out, and nothing is written."""
    response = await _post(v1, "", declared)
    assert problem_of(response) == (400, "bad_request")
    assert "Other members" not in response.json()["detail"] or declared["multipart"] is None
    assert (v1.s3.writes, v1.s3.uploads) == ([], {})


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"size": MULTIPART_BYTES + 1}, 201),
        ({"size": MAX_PUT_BYTES}, 201),
        ({"size": MAX_PUT_BYTES + 1}, 422),
        ({"multipart": True}, 422),
        ({"multipart": True, "size": 1}, 422),
        ({"multipart": False}, 201),
    ],
)
async def test_a_store_that_cannot_take_parts_takes_everything_else(
    v1: Service, declared: dict[str, Any], expected: int
) -> None:
    """A file that one PUT can take is uploaded with one. Others are refused, and nothing is written."""
    v1.readiness.takes_parts = False
    response = await _post(v1, "", declared)
    if expected == HTTPStatus.CREATED:
        assert (response.status_code, response.json()["upload"]["method"]) == (201, "PUT")
    else:
        assert problem_of(response) == (422, "multipart_unsupported")
        assert v1.s3.writes == []


@pytest.mark.parametrize(
    ("declared", "expected"), [({"multipart": True}, 503), ({"size": MAX_PUT_BYTES + 1}, 503), ({"size": 1}, 201)]
)
async def test_until_the_check_of_parts_has_a_result_clients_that_need_parts_come_back(
    v1: Service, declared: dict[str, Any], expected: int
) -> None:
    """They are not told that the store cannot take parts: nobody knows."""
    v1.readiness.takes_parts = None
    response = await _post(v1, "", declared)
    assert response.status_code == expected
    assert ("retry-after" in response.headers) is (expected == 503)


async def test_a_declaration_of_an_asset_in_parts_needs_no_signed_headers(v1: Service) -> None:
    """A store that does not enforce headers of a PUT may take parts nevertheless: they are checked by themselves."""
    v1.readiness.capabilities = frozenset()
    created = await _create(v1, size=5, content_type="a/b")
    assert created["upload"]["method"] == "multipart"


async def test_a_batch_may_have_assets_in_parts(v1: Service) -> None:
    """Each has its own method, or its own problem."""
    v1.readiness.takes_parts = True
    declared = [{"multipart": True}, {}, {"size": MULTIPART_BYTES + 1}, {"multipart": True, "sha256": SHA256}]
    response = await _post(v1, ":batch", {"assets": declared})
    results = response.json()["assets"]
    assert [result["asset"] and result["asset"]["upload"]["method"] for result in results] == [
        "multipart",
        "PUT",
        "multipart",
        None,
    ]
    assert {result["asset"]["upload"]["upload_id"] for result in (results[0], results[2])} == set(v1.s3.uploads)
    v1.readiness.takes_parts = False
    results = (await _post(v1, ":batch", {"assets": declared[:2]})).json()["assets"]
    assert [result["status"] for result in results] == [422, 201]
    assert results[0]["problem"]["code"] == "multipart_unsupported"


async def test_an_asset_of_a_batch_that_takes_too_long_has_its_own_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are created, and the client repeats this one."""
    monkeypatch.setattr("service.v1_handlers.STORE_TIMEOUT_SECONDS", 0.5)

    class HangingUploads(InMemoryS3):
        async def create_multipart_upload(self, key: str, attributes: ObjectAttributes) -> str:
            """Wait without end."""
            await asyncio.Event().wait()
            return await InMemoryS3.create_multipart_upload(self, key, attributes)

    async with serving(HangingUploads()) as service:
        response = await _post(service, ":batch", {"assets": [{"multipart": True}, {}]})
    results = response.json()["assets"]
    assert [result["status"] for result in results] == [503, 201]
    assert results[0]["problem"]["code"] == "store_unavailable"


async def test_metadata_of_an_asset_in_parts_must_fit_with_its_own(v1: Service) -> None:
    """The length of its parts is stored, too."""
    excess = {}
    for multipart in (False, True):
        response = await _post(v1, "", {"multipart": multipart, "metadata": {"a": "x" * 3000}})
        assert problem_of(response) == (422, "metadata_too_large")
        excess[multipart] = int(response.json()["detail"].partition("by ")[2].partition(" ")[0])
    assert excess[True] - excess[False] == len("upload" + "multipart" + "part-size" + str(64 * MIB))
    fitting = {"a": "x" * (3000 - excess[True])}
    assert (await _post(v1, "", {"multipart": True, "metadata": fitting})).status_code == 201


# --- part URLs --------------------------------------------------------------------------------------------------------


async def _part_urls(
    service: Service,
    created: Mapping[str, Any],
    numbers: object,
    **others: Any,  # noqa: ANN401
) -> httpx.Response:
    members = {"upload_id": created["upload"]["upload_id"], "part_numbers": numbers, **others}
    return await _post(service, f"/{created['id']}/parts", members)


async def test_part_urls_take_exactly_their_parts(v1: Service) -> None:
    """The last part is shorter. S3 refuses another length."""
    created = await _create(v1, size=16 * MIB + 3)
    response = await _part_urls(v1, created, [2, 1])
    parts = response.json()["parts"]
    assert response.status_code == 200
    assert [(part["number"], part["headers"], part["expires_at"]) for part in parts] == [
        (2, {"content-length": "3"}, "2026-01-01T12:15:00Z"),
        (1, {"content-length": str(16 * MIB)}, "2026-01-01T12:15:00Z"),
    ]
    assert v1.s3.put_part(parts[0]["url"], b"end") == etag_of(b"end")
    for body in (b"en", b"end."):
        with pytest.raises(RefusedError):
            v1.s3.put_part(parts[0]["url"], body)


@pytest.mark.parametrize(
    ("others", "number", "length"),
    [
        ({}, 1, 64 * MIB),
        ({}, 10_000, 64 * MIB),
        ({"size": 64 * MIB + 1}, 2, 1),
        ({"size": 0}, 1, 0),
        ({"size": 5.0}, 1, 5),
    ],
)
async def test_a_size_that_was_not_declared_may_be_named_later(
    v1: Service, others: dict[str, Any], number: int, length: int
) -> None:
    """Else every part is equally long."""
    created = await _create(v1)
    assert (created["upload"]["part_size"], created["upload"]["part_count"]) == (64 * MIB, None)
    [part] = (await _part_urls(v1, created, [number], **others)).json()["parts"]
    assert (part["number"], part["headers"]) == (number, {"content-length": str(length)})


async def test_a_hundred_part_urls_are_returned_at_once(v1: Service) -> None:
    """More are refused."""
    created = await _create(v1)
    numbers = list(range(9_901, 10_001))
    response = await _part_urls(v1, created, [*numbers[1:], 9_901.0])
    assert sorted(part["number"] for part in response.json()["parts"]) == numbers
    assert problem_of(await _part_urls(v1, created, [*numbers, 1])) == (400, "bad_request")


@pytest.mark.parametrize(
    ("declared", "numbers", "others"),
    [
        ({"size": 5}, [2], {}),
        ({"size": 5}, [1, 2], {}),
        ({"size": 5}, [1], {"size": 6}),
        ({"size": 0}, [2], {}),
        ({}, [2], {"size": 5}),
        ({}, [1], {"size": MAX_PART_BYTES * 10_000}),
    ],
)
async def test_parts_that_the_file_does_not_have_are_refused(
    v1: Service, declared: dict[str, Any], numbers: list[int], others: dict[str, Any]
) -> None:
    """By what was declared, or by what the request says."""
    created = await _create(v1, **declared)
    assert problem_of(await _part_urls(v1, created, numbers, **others)) == (409, "parts_mismatch")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"upload_id": UPLOAD_ID},
        {"part_numbers": [1]},
        {"upload_id": "", "part_numbers": [1]},
        {"upload_id": "a b", "part_numbers": [1]},
        {"upload_id": "ä", "part_numbers": [1]},
        {"upload_id": "a\n", "part_numbers": [1]},
        {"upload_id": "a" * 1025, "part_numbers": [1]},
        {"upload_id": 1, "part_numbers": [1]},
        {"upload_id": [UPLOAD_ID], "part_numbers": [1]},
        {"upload_id": None, "part_numbers": [1]},
        {"upload_id": UPLOAD_ID, "part_numbers": []},
        {"upload_id": UPLOAD_ID, "part_numbers": {}},
        {"upload_id": UPLOAD_ID, "part_numbers": 1},
        {"upload_id": UPLOAD_ID, "part_numbers": [0]},
        {"upload_id": UPLOAD_ID, "part_numbers": [-1]},
        {"upload_id": UPLOAD_ID, "part_numbers": [10_001]},
        {"upload_id": UPLOAD_ID, "part_numbers": [1, 1]},
        {"upload_id": UPLOAD_ID, "part_numbers": ["1"]},
        {"upload_id": UPLOAD_ID, "part_numbers": [True]},
        {"upload_id": UPLOAD_ID, "part_numbers": [1.5]},
        {"upload_id": UPLOAD_ID, "part_numbers": [None]},
        {"upload_id": UPLOAD_ID, "part_numbers": [[]]},
        {"upload_id": UPLOAD_ID, "part_numbers": [1], "size": -1},
        {"upload_id": UPLOAD_ID, "part_numbers": [1], "size": MAX_MULTIPART_BYTES + 1},
        {"upload_id": UPLOAD_ID, "part_numbers": [1], "part": 1},
        [],
    ],
)
async def test_a_wrong_request_for_part_urls_is_refused(v1: Service, members: object) -> None:
    """Before S3 is asked."""
    assert problem_of(await _post(v1, f"/{ID}/parts", members)) == (400, "bad_request")
    assert v1.s3.calls == []


async def test_a_request_for_part_urls_needs_a_body(v1: Service) -> None:
    """There is no default, and the type is JSON."""
    assert problem_of(await v1.client.post(f"/v1/assets/{ID}/parts")) == (400, "bad_request")
    response = await v1.client.post(f"/v1/assets/{ID}/parts", content=b"x" * 20_000)
    assert problem_of(response) == (413, "body_too_large")


async def test_part_urls_end_with_the_asset(v1: Service) -> None:
    """After a week it is expired, whether or not a run saw it."""
    created = await _create(v1)
    v1.s3.now += timedelta(days=7)
    assert problem_of(await _part_urls(v1, created, [1])) == (410, "asset_expired")


async def test_part_urls_can_be_had_again(v1: Service) -> None:
    """An upload takes longer than a URL is valid."""
    created = await _create(v1, size=3)
    v1.s3.now += timedelta(days=6)
    [part] = (await _part_urls(v1, created, [1])).json()["parts"]
    v1.s3.put_part(part["url"], b"one")
    response = await _complete(v1, created, TWO_PARTS[:1])
    assert (response.status_code, response.json()["status"]) == (200, "uploaded")


# --- list of parts ----------------------------------------------------------------------------------------------------


async def _list(service: Service, created: Mapping[str, Any], upload_id: str | None = None) -> httpx.Response:
    params = {"upload_id": upload_id or created["upload"]["upload_id"]}
    return await service.client.get(f"/v1/assets/{created['id']}/parts", params=params)


async def test_the_parts_that_s3_has_are_listed(v1: Service) -> None:
    """With everything that a client needs to go on."""
    created = await _create(v1, [b"one", b"two"])
    response = await _list(v1, created)
    assert (response.status_code, response.json()) == (
        200,
        {
            **{name: value for name, value in created["upload"].items() if name != "method"},
            "parts": [{"number": 1, "size": 3, "etag": ONE}, {"number": 2, "size": 3, "etag": TWO}],
        },
    )
    assert response.json()["part_count"] is None


async def test_a_list_belongs_to_one_upload(v1: Service) -> None:
    """That of another asset, or none, is lost."""
    created, other = await _create(v1, [b"one"]), await _create(v1)
    assert (await _list(v1, other)).json()["parts"] == []
    assert problem_of(await _list(v1, created, other["upload"]["upload_id"])) == (409, "upload_lost")
    assert problem_of(await _list(v1, created, "made-up")) == (409, "upload_lost")


@pytest.mark.parametrize(
    "query", ["", "upload_id=", "upload_id=a&upload_id=b", "upload_id=a%20b", "upload_id=" + "a" * 1025]
)
async def test_a_wrong_query_for_a_list_is_refused(v1: Service, query: str) -> None:
    """Before S3 is asked."""
    assert problem_of(await v1.client.get(f"/v1/assets/{ID}/parts?{query}")) == (400, "bad_request")
    assert v1.s3.calls == []


# --- complete ---------------------------------------------------------------------------------------------------------


async def test_a_completed_asset_is_final_at_once(v1: Service) -> None:
    """The response has the download URL, and the content has the declared type and name."""
    created = await _create(v1, [b"one", b"two"], filename="a.mp4", content_type="video/mp4")
    response = await _complete(v1, created)
    final = response.json()
    etag = etag_of_parts([ONE, TWO])
    assert (response.status_code, final["status"], final["etag"], final["size"]) == (200, "uploaded", etag, 6)
    assert final["content_type"] == "video/mp4"
    assert "retry-after" not in response.headers
    content = v1.s3.get(final["download_url"])
    assert (content.body, content.headers["content-type"]) == (b"onetwo", "video/mp4")
    assert content.headers["content-disposition"].startswith('attachment; filename="a.mp4"')
    redirect = await v1.client.get(f"/v1/assets/{created['id']}/content", params={"disposition": "inline"})
    assert v1.s3.get(redirect.headers["location"]).body == b"onetwo"
    assert (await v1.client.get(f"/v1/assets/{created['id']}")).json() == final
    old = await v1.client.get(f"/asset/{created['id']}")
    assert v1.s3.get(old.json()["Download_url"]).body == b"onetwo"


async def test_a_completion_is_repeated(v1: Service) -> None:
    """With the same parts it is no error, and nothing is written."""
    created = await _create(v1, [b"one", b"two"])
    assert (await _complete(v1, created)).status_code == 200
    v1.s3.writes.clear()
    for parts, upload_id in ((TWO_PARTS, None), (TWO_PARTS[::-1], None), (TWO_PARTS, "another")):
        response = await _complete(v1, created, parts, upload_id)
        assert (response.status_code, response.json()["status"]) == (200, "uploaded")
    assert problem_of(await _complete(v1, created, TWO_PARTS[:1])) == (409, "already_uploaded")
    assert v1.s3.writes == []


@pytest.mark.parametrize(
    "parts",
    [
        TWO_PARTS[::-1],
        [{"number": part["number"], "etag": f'"{part["etag"]}"'} for part in TWO_PARTS],
        [{"Number": part["number"], "ETag": part["etag"]} for part in TWO_PARTS],
        [{"number": 1.0, "etag": ONE}, {"number": 2e0, "etag": TWO}],
    ],
    ids=["not in order", "quotes", "other spelling", "whole numbers"],
)
async def test_parts_may_be_named_as_clients_have_them(v1: Service, parts: object) -> None:
    """In any order, with the quotes of the ETag header."""
    created = await _create(v1, [b"one", b"two"])
    assert (await _complete(v1, created, parts)).status_code == 200


@pytest.mark.parametrize(
    "parts",
    [
        [],
        {},
        "1",
        None,
        [1],
        [None],
        [{}],
        [{"number": 1}],
        [{"etag": ONE}],
        [{"number": 1, "etag": ONE, "size": 3}],
        [{"number": 0, "etag": ONE}],
        [{"number": -1, "etag": ONE}],
        [{"number": 10_001, "etag": ONE}],
        [{"number": 10**30, "etag": ONE}],
        [{"number": "1", "etag": ONE}],
        [{"number": True, "etag": ONE}],
        [{"number": 1.5, "etag": ONE}],
        [{"number": 1, "etag": ""}],
        [{"number": 1, "etag": '""'}],
        [{"number": 1, "etag": f'W/"{ONE}"'}],
        [{"number": 1, "etag": f'"{ONE}'}],
        [{"number": 1, "etag": "</ETag>"}],
        [{"number": 1, "etag": "a" * 129}],
        [{"number": 1, "etag": "ä"}],
        [{"number": 1, "etag": 1}],
        [{"number": 1, "etag": None}],
        [{"number": number, "etag": ONE} for number in range(1, 10_002)],
    ],
)
async def test_wrong_parts_are_refused(v1: Service, parts: object) -> None:
    """Before S3 is asked, and with what to send instead."""
    response = await _post(v1, f"/{ID}/complete", {"upload_id": UPLOAD_ID, "parts": parts})
    assert problem_of(response) == (400, "bad_request")
    assert "parts" in response.json()["detail"]
    assert v1.s3.calls == []


@pytest.mark.parametrize("numbers", [(2,), (1, 1), (1, 3), (2, 3), (1, 2, 2)])
async def test_the_parts_of_a_file_have_no_gaps(v1: Service, numbers: tuple[int, ...]) -> None:
    """S3 would accept gaps, but the file has none: each number from 1 on occurs once. S3 is not asked."""
    created = await _create(v1, [b"one", b"two", b"two"])
    parts = [{"number": number, "etag": ONE if number == 1 else TWO} for number in numbers]
    assert problem_of(await _complete(v1, created, parts)) == (409, "parts_mismatch")
    assert [operation for operation, _ in v1.s3.calls] == ["head_object"]


@pytest.mark.parametrize(
    "members",
    [
        {"upload_id": UPLOAD_ID},
        {"parts": TWO_PARTS},
        {**MEMBERS, "etag": ONE},
        {"upload_id": UPLOAD_ID, "etag": ONE},
        {**MEMBERS, "upload_id": ""},
        {**MEMBERS, "upload_id": ["a"]},
        {**MEMBERS, "size": 6},
    ],
)
async def test_a_completion_has_parts_or_an_etag(v1: Service, members: dict[str, Any]) -> None:
    """Never half of one, or both."""
    assert problem_of(await _post(v1, f"/{ID}/complete", members)) == (400, "bad_request")
    assert v1.s3.calls == []


async def test_ten_thousand_parts_are_completed(v1: Service) -> None:
    """With the longest ETags and the quotes of their headers."""
    created = await _create(v1)
    upload_id, upload = next(iter(v1.s3.uploads.items()))
    v1.s3.uploads[upload_id] = replace(upload, parts=dict.fromkeys(range(1, 10_001), b"x"))
    parts = [{"number": number, "etag": f'"{etag_of(b"x")}"'} for number in range(1, 10_001)]
    response = await _complete(v1, created, parts)
    assert (response.status_code, response.json()["size"]) == (200, 10_000)
    longest = [{"number": number, "etag": f'"{"e" * 128}"'} for number in range(1, 10_001)]
    content = json.dumps({"upload_id": "u" * 1024, "parts": longest}, indent=1).encode()
    response = await v1.client.post(f"/v1/assets/{created['id']}/complete", content=content)
    assert problem_of(response) == (409, "already_uploaded")


async def test_a_completion_that_is_too_long_is_refused(v1: Service) -> None:
    """Ten thousand parts fit into 2 MiB."""
    response = await v1.client.post(f"/v1/assets/{ID}/complete", content=b" " * (2 * MIB + 1))
    assert problem_of(response) == (413, "body_too_large")
    assert v1.s3.calls == []


async def test_other_parts_than_declared_or_stored_make_no_asset(v1: Service) -> None:
    """Nothing is lost, and the right ones complete it."""
    created = await _create(v1, [b"one", b"two"], size=6)
    assert problem_of(await _complete(v1, created)) == (409, "parts_mismatch")  # six bytes are one part
    assert problem_of(await _complete(v1, created, TWO_PARTS[:1])) == (409, "parts_mismatch")  # three bytes
    other = await _create(v1, [b"one", b"two"])
    for parts in ([*TWO_PARTS, {"number": 3, "etag": ONE}], [{"number": 1, "etag": TWO}]):
        assert problem_of(await _complete(v1, other, parts)) == (409, "parts_mismatch")
    assert (await _complete(v1, other)).status_code == 200
    assert v1.s3.writes == [("complete_multipart_upload", uploaded_key(other["id"]))]


async def test_a_made_up_upload_is_lost(v1: Service) -> None:
    """Also that of another asset, although some stores respond with a success. Nothing is written."""
    created, other = await _create(v1, [b"one", b"two"]), await _create(v1, [b"one", b"two"])
    for upload_id in ("made-up", other["upload"]["upload_id"]):
        assert problem_of(await _complete(v1, created, upload_id=upload_id)) == (409, "upload_lost")
    assert v1.s3.writes == []
    assert (await v1.client.get(f"/v1/assets/{created['id']}")).json()["status"] == "pending"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MultipartUploadLostError("NoSuchUpload"), (409, "upload_lost")),
        (StoreUnavailableError("S3 responds 200 InternalError"), (503, "store_unavailable")),
    ],
)
async def test_what_a_client_can_do_after_a_failed_completion(error: Exception, expected: tuple[int, str]) -> None:
    """It starts over, or it repeats the request."""

    class FailingS3(InMemoryS3):
        async def complete_multipart_upload(
            self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
        ) -> str:
            """Fail, without effect."""
            del key, upload_id, parts, if_match, size
            raise error

    async with serving(FailingS3()) as service:
        created = await _create(service, [b"one", b"two"])
        response = await _complete(service, created)
        assert problem_of(response) == expected
        assert ("retry-after" in response.headers) == (expected[0] == HTTPStatus.SERVICE_UNAVAILABLE)


# --- the wrong method -------------------------------------------------------------------------------------------------

WRONG_METHOD: Final[dict[str, tuple[str, str, object]]] = {
    "mark": ("PUT", "/asset/{id}", {"Status": "uploaded"}),
    "mark with an ETag": ("PUT", "/asset/{id}", {"Status": "uploaded", "etag": etag_of(b"")}),
    "complete": ("POST", "/v1/assets/{id}/complete", {}),
    "complete with an ETag": ("POST", "/v1/assets/{id}/complete", {"etag": etag_of(b"")}),
    "upload URL": ("POST", "/v1/assets/{id}/upload-url", {}),
}


@pytest.mark.parametrize(("method", "path", "members"), WRONG_METHOD.values(), ids=WRONG_METHOD)
async def test_an_asset_in_parts_has_no_mark_and_no_upload_url(
    v1: Service, method: str, path: str, members: object
) -> None:
    """The empty object that stands for it in `temp/` is never finalized. Nothing is written, also after its expiry."""
    created = await _create(v1, [b"one", b"two"])
    for days in (0, 8):
        v1.s3.now += timedelta(days=days)
        response = await v1.client.request(method, path.format(id=created["id"]), json=members)
        assert problem_of(response) == (409, "wrong_upload_method")
    assert v1.s3.writes == []
    assert (await v1.client.get(f"/v1/assets/{created['id']}")).json()["status"] == "pending"


async def test_an_asset_of_one_put_has_no_parts(v1: Service) -> None:
    """While it is pending or marked; then its state is the reason. Nothing is written."""
    created = await _create_put(v1)
    asset = {**created, "upload": {"upload_id": UPLOAD_ID}}

    async def problems() -> set[tuple[int, str]]:
        responses = [await _part_urls(v1, asset, [1]), await _list(v1, asset), await _complete(v1, asset)]
        return {problem_of(response) for response in responses}

    assert await problems() == {(409, "wrong_upload_method")}
    assert v1.s3.writes == []
    await _post(v1, f"/{created['id']}/complete", {"etag": etag_of(b"A")})
    assert await problems() == {(409, "wrong_upload_method")}
    await v1.reconciler.reconcile(created["id"], v1.s3.now)
    assert await problems() == {(409, "already_uploaded")}
    cancelled = {**await _create_put(v1), "upload": {"upload_id": UPLOAD_ID}}
    await v1.client.delete(f"/v1/assets/{cancelled['id']}")
    asset = cancelled
    assert await problems() == {(410, "asset_expired")}


# --- get and delete ---------------------------------------------------------------------------------------------------


async def test_an_asset_in_parts_is_shown_in_every_state(v1: Service) -> None:
    """Pending, final, cancelled and deleted."""
    created = await _create(v1, [b"one", b"two"], filename="a")
    path = f"/v1/assets/{created['id']}"
    pending = await v1.client.get(path)
    described = {name: value for name, value in created.items() if name != "upload"}
    assert (pending.status_code, pending.json()) == (200, described)
    assert "retry-after" in pending.headers
    assert problem_of(await v1.client.get(f"{path}/content")) == (404, "asset_not_uploaded")
    assert problem_of(await v1.client.get(f"/asset/{created['id']}")) == (404, "asset_not_uploaded")
    await _complete(v1, created)
    assert (await v1.client.get(path)).json()["status"] == "uploaded"
    for _ in range(2):
        assert (await v1.client.delete(path)).status_code == 204
    assert problem_of(await v1.client.get(path)) == (404, "asset_not_found")
    assert problem_of(await _complete(v1, created)) == (404, "asset_not_found")


async def test_a_cancelled_asset_takes_nothing_more(v1: Service) -> None:
    """Every request says that it expired, and its parts are deleted by the next run."""
    created = await _create(v1, [b"one", b"two"])
    [part] = (await _part_urls(v1, created, [1], size=3)).json()["parts"]
    for _ in range(2):
        assert (await v1.client.delete(f"/v1/assets/{created['id']}")).status_code == 204
    assert (await v1.client.get(f"/v1/assets/{created['id']}")).json()["status"] == "expired"
    for response in (await _part_urls(v1, created, [1]), await _list(v1, created), await _complete(v1, created)):
        assert problem_of(response) == (410, "asset_expired")
    await v1.reconciler.reconcile(created["id"], v1.s3.now)
    assert v1.s3.uploads == {}
    with pytest.raises(RefusedError):
        v1.s3.put_part(part["url"], b"one")


async def test_a_deleted_asset_leaves_no_object(v1: Service) -> None:
    """Neither its bytes nor what stood for them in `temp/`."""
    created = await _create(v1, [b"one", b"two"])
    await _complete(v1, created)
    assert temp_key(created["id"]) in v1.s3.objects
    await v1.client.delete(f"/v1/assets/{created['id']}")
    assert list(v1.s3.objects) == ["uploaded/_probe"]


# --- all of them ------------------------------------------------------------------------------------------------------

Send = Callable[[Service, str], Any]
REQUESTS: Final[dict[str, Send]] = {
    "part URLs": lambda service, name: _part_urls(service, {"id": name, "upload": {"upload_id": UPLOAD_ID}}, [1]),
    "list": lambda service, name: _list(service, {"id": name, "upload": {"upload_id": UPLOAD_ID}}),
    "complete": lambda service, name: _complete(service, {"id": name, "upload": {"upload_id": UPLOAD_ID}}),
}


@pytest.mark.parametrize("send", REQUESTS.values(), ids=REQUESTS)
async def test_no_asset_and_no_id(v1: Service, send: Send) -> None:
    """An unknown id is 404, another text 400 before S3 is asked."""
    assert problem_of(await send(v1, ID)) == (404, "asset_not_found")
    v1.s3.calls.clear()
    assert problem_of(await send(v1, "x")) == (400, "bad_asset_id")
    assert v1.s3.calls == []


@pytest.mark.parametrize("send", REQUESTS.values(), ids=REQUESTS)
async def test_an_outage_and_an_unverified_store(v1: Service, send: Send) -> None:
    """Both are 503, and the client repeats its request."""
    v1.s3.fails_with = StoreUnavailableError("away")
    response = await send(v1, ID)
    assert (problem_of(response), response.headers["retry-after"]) == ((503, "store_unavailable"), "2")
    v1.s3.calls.clear()
    v1.readiness.store_verified = False
    assert problem_of(await send(v1, ID)) == (503, "store_unavailable")
    assert v1.s3.calls == []


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(ONE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PARTS: Final = st.lists(
    st.fixed_dictionaries(
        {"number": st.integers(0, 3) | JSON, "etag": st.sampled_from([ONE, f'"{TWO}"', "", "x", "-"]) | JSON}
    ),
    max_size=3,
)
UPLOAD_IDS: Final = st.sampled_from(["upload-2", "made-up", "../x", "%00", "a" * 1024]) | JSON
NUMBERS: Final = st.lists(st.integers(-1, 10_001) | JSON, max_size=5) | JSON
SIZES: Final = st.integers(-1, MAX_MULTIPART_BYTES + 1) | JSON


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_nothing_that_a_client_sends_is_an_error_of_the_service(v1: Service, data: st.DataObject) -> None:
    """Whatever the members are, and in whichever state the asset is, the response is below 500."""
    declared = data.draw(
        st.fixed_dictionaries(
            {}, optional={"multipart": st.booleans() | JSON, "size": SIZES, "sha256": st.just(SHA256) | JSON}
        )
    )
    response = await v1.client.post("/v1/assets", content=json.dumps(declared).encode())
    assert response.status_code < 500
    asset_id = response.json().get("id", ID)
    requests = data.draw(
        st.lists(
            st.tuples(
                st.just("parts"),
                st.fixed_dictionaries({}, optional={"upload_id": UPLOAD_IDS, "part_numbers": NUMBERS, "size": SIZES}),
            )
            | st.tuples(
                st.just("complete"),
                st.fixed_dictionaries({}, optional={"upload_id": UPLOAD_IDS, "parts": PARTS | JSON, "etag": JSON}),
            ),
            max_size=4,
        )
    )
    for path, members in requests:
        content = json.dumps(members).encode()
        response = await v1.client.post(f"/v1/assets/{asset_id}/{path}", content=content)
        assert response.status_code < 500
        upload_id = str(members.get("upload_id", ""))[:100].encode("utf-8", "replace")
        listed = await v1.client.get(f"/v1/assets/{asset_id}/parts", params={"upload_id": upload_id})
        assert listed.status_code < 500
