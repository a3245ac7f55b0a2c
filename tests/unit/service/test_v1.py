"""`/v1`: each operation, each refusal, and what reaches the bucket."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import pytest

from assetuploader.capabilities import Capability
from tests.support.in_memory_s3 import HangingS3, InMemoryS3, RefusedError, etag_of
from tests.support.in_process_service import POLICY, Service, serving
from tests.support.problems import problem_of

ID: Final = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"
A: Final = etag_of(b"A")
SHA256: Final = sha256(b"A").hexdigest()
NOTHING: Final[dict[str, Any]] = {"filename": None, "content_type": None, "size": None, "sha256": None, "metadata": {}}


@pytest.fixture
async def v1() -> AsyncIterator[Service]:
    """A service that finalizes uploads of one byte at once, and allows to delete them."""
    policy = replace(POLICY, finalize_at_once_bytes=1)
    async with serving(InMemoryS3(), policy=policy, may_delete_promised=True) as running:
        yield running


async def _create(service: Service, body: bytes | None = None, **declared: Any) -> dict[str, Any]:  # noqa: ANN401
    response = await service.client.post("/v1/assets", json=declared)
    assert response.status_code == 201
    created: dict[str, Any] = response.json()
    if body is not None:
        service.s3.put(created["upload"]["url"], body, created["upload"]["headers"])
    return created


async def _complete(service: Service, asset_id: str, **body: str) -> tuple[int, dict[str, Any]]:
    response = await service.client.post(f"/v1/assets/{asset_id}/complete", json=body)
    return response.status_code, response.json()


# --- create -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{}", b" "])
async def test_an_asset_without_a_declaration(v1: Service, content: bytes) -> None:
    """No body is the same as an empty object."""
    response = await v1.client.post("/v1/assets", content=content)
    created = response.json()
    upload = created.pop("upload")
    assert (response.status_code, response.headers["location"]) == (201, f"../v1/assets/{created['id']}")
    assert created == {
        **NOTHING,
        "id": created["id"],
        "status": "pending",
        "created_at": "2026-01-01T12:00:00Z",
        "expires_at": "2026-01-01T12:15:00Z",
        "etag": None,
        "download_url": None,
    }
    assert (upload["method"], upload["headers"], upload["expires_at"]) == ("PUT", {}, "2026-01-01T12:15:00Z")
    assert v1.s3.put(upload["url"], b"A") == A


async def test_what_is_declared_is_enforced_and_shown(v1: Service) -> None:
    """S3 takes only the declared bytes, and every state of the asset shows the declaration."""
    declared = {
        "filename": "Föto 1.png",
        "content_type": "image/png",
        "size": 1,
        "sha256": SHA256,
        "metadata": {"album": "Über alles", "n-1": ""},
    }
    spelled: dict[str, Any] = {**declared, "sha256": SHA256.upper()}
    created = await _create(v1, **spelled, write_once=True)
    checksum = b64encode(sha256(b"A").digest()).decode()
    headers = created["upload"]["headers"]
    assert headers == {
        "content-length": "1",
        "content-type": "image/png",
        "x-amz-checksum-sha256": checksum,
        "if-none-match": "*",
    }
    url = created["upload"]["url"]
    for name in ("content-type", "x-amz-checksum-sha256", "if-none-match"):
        with pytest.raises(RefusedError):
            v1.s3.put(url, b"A", {key: value for key, value in headers.items() if key != name})
    for body in (b"", b"B", b"AA"):
        with pytest.raises(RefusedError):
            v1.s3.put(url, body, headers)
    v1.s3.put(url, b"A", headers)
    with pytest.raises(RefusedError):
        v1.s3.put(url, b"A", headers)
    for status in ("pending", "uploaded"):
        shown = (await v1.client.get(f"/v1/assets/{created['id']}")).json()
        assert {name: shown[name] for name in declared} == declared
        assert shown["status"] == status
        await _complete(v1, created["id"], etag=A)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("filename", ""),
        ("filename", "a\nb"),
        ("filename", "\x85"),
        ("filename", "\ud800"),
        ("filename", "ä" * 128),
        ("filename", 1),
        ("filename", None),
        ("content_type", "png"),
        ("content_type", "image/png\r\nx: y"),
        ("content_type", "image/png;  q=1"),
        ("content_type", "image/p\u00e4g"),
        ("content_type", "a/" + "b" * 254),
        ("content_type", ["image/png"]),
        ("size", -1),
        ("size", 1.5),
        ("size", float("inf")),
        ("size", True),
        ("size", "1"),
        ("size", 50_000 * 1024**3 + 1),
        ("size", 10**400),
        ("sha256", "a" * 63),
        ("sha256", "g" * 64),
        ("sha256", "\u0661" * 64),
        ("write_once", 1),
        ("write_once", "true"),
        ("metadata", []),
        ("metadata", {"a b": ""}),
        ("metadata", {"a": 1}),
        ("metadata", {"a": "\x00"}),
        ("metadata", {"a" * 65: ""}),
        ("metadata", {"-a": ""}),
        ("multipart", "true"),
        ("parts", 3),
    ],
)
async def test_a_wrong_declaration_is_refused(v1: Service, member: str, value: object) -> None:
    """The response says what to send, repeats no input, and nothing is written."""
    response = await v1.client.post("/v1/assets", content=_to_json({member: value}))
    assert problem_of(response) == (400, "bad_request")
    assert member in response.json()["detail"] or "Other members" in response.json()["detail"]
    assert v1.s3.writes == []


@pytest.mark.parametrize("content", [b'{"size": 1.0}', b'{"size": 1e0}'])
async def test_a_size_is_a_number_however_it_is_spelled(v1: Service, content: bytes) -> None:
    """For JSON Schema, and so for the API's description, 1.0 is an integer."""
    response = await v1.client.post("/v1/assets", content=content)
    assert (response.status_code, response.text.count('"size":1,')) == (201, 1)


def _to_json(members: object) -> bytes:
    return json.dumps(members).encode()  # httpx cannot encode a lone surrogate


@pytest.mark.parametrize("filename", ["a", "ä" * 127 + "a", "日本語.txt", "a/b\\c", "😀", "\u202etxt"])
async def test_a_file_name_may_be_any_text(v1: Service, filename: str) -> None:
    """It is returned as it was sent; downloads get a safe one."""
    created = await _create(v1, filename=filename)
    assert (await v1.client.get(f"/v1/assets/{created['id']}")).json()["filename"] == filename


async def test_metadata_that_do_not_fit_are_refused_with_their_excess(v1: Service) -> None:
    """The response says what to shorten, and by how much."""
    response = await v1.client.post("/v1/assets", json={"metadata": {"a": "x" * 3000}})
    assert problem_of(response) == (422, "metadata_too_large")
    excess = int(response.json()["detail"].partition("by ")[2].partition(" ")[0])
    created = await v1.client.post("/v1/assets", json={"metadata": {"a": "x" * (3000 - excess)}})
    assert created.status_code == 201


@pytest.mark.parametrize(
    ("capability", "declared"),
    [
        (Capability.SIZE, {"size": 1}),
        (Capability.CONTENT_TYPE, {"content_type": "a/b"}),
        (Capability.CHECKSUM, {"sha256": SHA256}),
        (Capability.WRITE_ONCE, {"write_once": True}),
    ],
)
async def test_what_the_store_does_not_enforce_is_refused(
    v1: Service, capability: Capability, declared: dict[str, Any]
) -> None:
    """It is never ignored; the other declarations are accepted."""
    v1.readiness.capabilities = frozenset(Capability) - {capability}
    response = await v1.client.post("/v1/assets", json=declared)
    assert problem_of(response) == (422, f"{capability}_unsupported")
    others = {"size": 1, "content_type": "a/b", "sha256": SHA256, "write_once": True}
    others = {name: value for name, value in others.items() if name not in declared}
    assert (await v1.client.post("/v1/assets", json=others)).status_code == 201


# --- batch ------------------------------------------------------------------------------------------------------------


async def test_a_batch_has_a_result_for_each_asset(v1: Service) -> None:
    """A mistake in one does not reject the others."""
    assets = [{"filename": "a"}, {"size": "many"}, {}, 5, {"metadata": {"a": "x" * 3000}}]
    response = await v1.client.post("/v1/assets:batch", json={"assets": assets})
    results = response.json()["assets"]
    assert (response.status_code, [result["status"] for result in results]) == (200, [201, 400, 201, 400, 422])
    assert [result["problem"] and result["problem"]["code"] for result in results] == [
        None,
        "bad_request",
        None,
        "bad_request",
        "metadata_too_large",
    ]
    assert results[0]["asset"]["filename"] == "a"
    assert len(v1.s3.objects) == 1 + 2


async def test_a_large_batch_is_created(v1: Service) -> None:
    """A hundred assets with all their metadata fit into a request; other requests on the connection are limited."""
    declared = {"filename": "ä" * 100, "metadata": {"a": "x" * 1000}}
    response = await v1.client.post("/v1/assets:batch", json={"assets": [declared] * 100})
    assert {result["status"] for result in response.json()["assets"]} == {201}
    assert problem_of(await v1.client.post("/v1/assets", content=b"x" * 20_000)) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body", [{}, {"assets": []}, {"assets": [{}] * 101}, {"assets": {}}, {"assets": [{}], "a": 1}, []]
)
async def test_a_wrong_batch_is_refused(v1: Service, body: object) -> None:
    """Nothing is created."""
    assert problem_of(await v1.client.post("/v1/assets:batch", json=body)) == (400, "bad_request")
    assert v1.s3.writes == []


async def test_a_batch_ends_in_time_when_s3_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was created: the client may repeat the request."""
    monkeypatch.setattr("service.v1_handlers.STORE_TIMEOUT_SECONDS", 0.01)

    class Hanging(HangingS3):
        async def put_object(self, *_: Any, **__: Any) -> str:  # noqa: ANN401 -- the interface's
            """Wait without end."""
            await asyncio.Event().wait()
            return ""

    async with serving(InMemoryS3(), Hanging()) as service:
        response = await service.client.post("/v1/assets:batch", json={"assets": [{}, {}]})
    assert problem_of(response) == (503, "store_unavailable")
    assert response.headers["retry-after"] == "2"


# --- get and download -------------------------------------------------------------------------------------------------


async def test_an_asset_is_shown_in_every_state(v1: Service) -> None:
    """Pending, marked, final and expired are 200, with `Retry-After` while a change is to be expected."""
    created = await _create(v1, b"AA")
    path = f"/v1/assets/{created['id']}"
    pending = await v1.client.get(path)
    assert (pending.status_code, pending.json()["status"], pending.headers["retry-after"]) == (200, "pending", "5")
    assert await _complete(v1, created["id"], etag=etag_of(b"AA")) == (
        202,
        {**pending.json(), "status": "marked", "etag": etag_of(b"AA")},
    )
    assert "retry-after" in (await v1.client.get(path)).headers
    await v1.reconciler.reconcile(created["id"], v1.s3.now)
    final = await v1.client.get(path)
    assert (final.json()["status"], final.json()["size"], final.json()["etag"]) == ("uploaded", 2, etag_of(b"AA"))
    assert "retry-after" not in final.headers
    assert v1.s3.get(final.json()["download_url"]).body == b"AA"
    cancelled = await _create(v1)
    assert (await v1.client.delete(f"/v1/assets/{cancelled['id']}")).status_code == 204
    expired = await v1.client.get(f"/v1/assets/{cancelled['id']}")
    assert (expired.status_code, expired.json()["status"], expired.json()["download_url"]) == (200, "expired", None)


async def test_an_asset_of_the_old_contract_is_shown(v1: Service) -> None:
    """It has no declaration and no time of creation."""
    created = (await v1.client.post("/asset")).json()
    shown = (await v1.client.get(f"/v1/assets/{created['id']}")).json()
    assert (shown["status"], shown["created_at"], shown["expires_at"]) == ("pending", None, created["expires_at"])


async def test_content_redirects_to_a_download(v1: Service) -> None:
    """The declared name is the one under which browsers save the file."""
    created = await _create(v1, b"A", filename="Föto.png", content_type="image/png")
    path = f"/v1/assets/{created['id']}/content"
    early = await v1.client.get(path)
    assert (problem_of(early), early.headers["retry-after"]) == ((404, "asset_not_uploaded"), "5")
    await _complete(v1, created["id"], etag=A)
    for method in ("GET", "HEAD"):
        response = await v1.client.request(method, path)
        assert (response.status_code, response.content) == (302, b"")
        found = v1.s3.get(response.headers["location"])
        assert found.body == b"A"
        assert (
            found.headers["content-disposition"] == "attachment; filename=\"Foto.png\"; filename*=UTF-8''F%C3%B6to.png"
        )
    shown = await v1.client.get(path, params={"disposition": "inline", "expires_in": "7"})
    found = v1.s3.get(shown.headers["location"])
    assert found.headers["content-disposition"].startswith("inline; ")
    assert found.headers["cache-control"] == "private, max-age=7"
    await v1.client.delete(f"/v1/assets/{created['id']}")
    assert problem_of(await v1.client.get(path)) == (404, "asset_not_found")
    cancelled = await _create(v1)
    await v1.client.delete(f"/v1/assets/{cancelled['id']}")
    assert problem_of(await v1.client.get(f"/v1/assets/{cancelled['id']}/content")) == (410, "asset_expired")


@pytest.mark.parametrize(
    ("content_type", "is_shown"),
    [
        ("image/png", True),
        ("IMAGE/PNG; x=y", True),
        ("video/mp4", True),
        ("audio/ogg", True),
        ("application/pdf", True),
        ("text/plain; charset=utf-8", True),
        ("image/svg+xml", False),
        ("Image/SVG+XML; charset=utf-8", False),
        ("text/html", False),
        ("application/xhtml+xml", False),
        ("image/x+xml", False),
        ("video/x+xml;q=1", False),
        ("image/png,text/html", False),
        ("image/png ; charset=x, text/html", False),
        ("text/plain;,text/html", False),
        ("image/SVG+XML ,x", False),
        ("image/png text/html", False),
        ("image/", False),
        ("", False),
    ],
)
async def test_browsers_show_only_what_contains_no_scripts(v1: Service, content_type: str, *, is_shown: bool) -> None:
    """Anything else is refused, and can be saved."""
    created = await _create(v1)
    v1.s3.put(created["upload"]["url"], b"A", {"content-type": content_type})
    await _complete(v1, created["id"], etag=A)
    for path in (f"/v1/assets/{created['id']}", f"/v1/assets/{created['id']}/content"):
        response = await v1.client.get(path, params={"disposition": "inline"})
        if is_shown:
            assert response.status_code in {200, 302}
        else:
            assert problem_of(response) == (422, "inline_not_allowed")


@pytest.mark.parametrize("query", ["expires_in=0", "expires_in=604801", "expires_in=1&expires_in=2", "disposition=x"])
async def test_a_wrong_query_is_refused(v1: Service, query: str) -> None:
    """Before S3 is asked."""
    assert problem_of(await v1.client.get(f"/v1/assets/{ID}?{query}")) == (400, "bad_request")
    assert v1.s3.calls == []


# --- complete ---------------------------------------------------------------------------------------------------------


async def test_a_short_upload_is_final_at_once(v1: Service) -> None:
    """The response has the download URL. Repeating the request, with or without ETag, is no error."""
    created = await _create(v1, b"A")
    for body in ({"etag": A}, {"etag": f'"{A}"'}, {}):
        status, asset = await _complete(v1, created["id"], **body)
        assert (status, asset["status"]) == (200, "uploaded")
        assert v1.s3.get(asset["download_url"]).body == b"A"
    response = await v1.client.post(f"/v1/assets/{created['id']}/complete", json={"etag": "other"})
    assert problem_of(response) == (409, "already_uploaded")


async def test_without_an_etag_the_reconciler_finalizes(v1: Service) -> None:
    """The response is 202, and names the time to ask again."""
    created = await _create(v1, b"A")
    response = await v1.client.post(f"/v1/assets/{created['id']}/complete")
    assert (response.status_code, response.json()["status"]) == (202, "marked")
    assert int(response.headers["retry-after"]) == 900 + 60


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"B", (409, "upload_mismatch")), (None, (409, "upload_mismatch"))],
)
async def test_other_bytes_are_not_completed(v1: Service, body: bytes | None, expected: tuple[int, str]) -> None:
    """The ETag must be that of the upload."""
    created = await _create(v1, body)
    response = await v1.client.post(f"/v1/assets/{created['id']}/complete", json={"etag": A})
    assert problem_of(response) == expected


@pytest.mark.parametrize(
    "content", [b"[]", b'{"etag": 1}', b'{"etag": "W/\\"x\\""}', b'{"parts": []}', b'{"etag": ""}', b"{"]
)
async def test_a_wrong_completion_is_refused(v1: Service, content: bytes) -> None:
    """Nothing is written."""
    response = await v1.client.post(f"/v1/assets/{ID}/complete", content=content)
    assert problem_of(response) == (400, "bad_request")
    assert v1.s3.calls == []


async def test_a_completion_has_no_query_parameters(v1: Service) -> None:
    """Those of a download are ignored: a client that gets an error would believe that nothing was completed."""
    created = await _create(v1, b"A")
    response = await v1.client.post(
        f"/v1/assets/{created['id']}/complete?expires_in=never&disposition=inline", json={"etag": A}
    )
    assert (response.status_code, response.json()["status"]) == (200, "uploaded")


# --- another upload URL -----------------------------------------------------------------------------------------------


async def test_a_slow_client_gets_another_upload_url(v1: Service) -> None:
    """It is signed for the same declaration, and the expiry moves on."""
    created = await _create(v1, size=1)
    v1.s3.now += timedelta(minutes=14)
    response = await v1.client.post(f"/v1/assets/{created['id']}/upload-url")
    refreshed = response.json()
    assert (response.status_code, refreshed["expires_at"]) == (200, "2026-01-01T12:29:00Z")
    assert refreshed["upload"]["headers"] == {"content-length": "1"}
    v1.s3.now += timedelta(minutes=14)
    v1.s3.put(refreshed["upload"]["url"], b"A", refreshed["upload"]["headers"])
    assert (await _complete(v1, created["id"], etag=A))[0] == 200


async def test_only_a_pending_asset_gets_another_upload_url(v1: Service) -> None:
    """Marked and final are 409, expired is 410, a body is 400."""
    created = await _create(v1, b"AA")
    path = f"/v1/assets/{created['id']}/upload-url"
    assert problem_of(await v1.client.post(path, json={"a": 1})) == (400, "bad_request")
    await _complete(v1, created["id"])
    assert problem_of(await v1.client.post(path)) == (409, "asset_not_pending")
    await v1.client.delete(f"/v1/assets/{created['id']}")
    assert problem_of(await v1.client.post(path)) == (410, "asset_expired")
    final = await _create(v1, b"A")
    await _complete(v1, final["id"], etag=A)
    assert problem_of(await v1.client.post(f"/v1/assets/{final['id']}/upload-url")) == (409, "already_uploaded")


# --- delete -----------------------------------------------------------------------------------------------------------


async def test_a_final_asset_is_deleted(v1: Service) -> None:
    """204, and again 204; the asset and its bytes are gone."""
    created = await _create(v1, b"A")
    await _complete(v1, created["id"], etag=A)
    for _ in range(2):
        response = await v1.client.delete(f"/v1/assets/{created['id']}")
        assert (response.status_code, response.content) == (204, b"")
    assert problem_of(await v1.client.get(f"/v1/assets/{created['id']}")) == (404, "asset_not_found")
    assert problem_of(await v1.client.get(f"/asset/{created['id']}")) == (404, "asset_not_found")
    assert list(v1.s3.objects) == ["uploaded/_probe"]


async def test_while_deletes_are_off_only_a_pending_asset_is_cancelled(service: Service) -> None:
    """A marked one is promised to somebody."""
    created = await _create(service, b"A")
    assert (await _complete(service, created["id"], etag=A))[0] == 202
    assert problem_of(await service.client.delete(f"/v1/assets/{created['id']}")) == (403, "deletes_disabled")
    pending = await _create(service, b"A")
    assert (await service.client.delete(f"/v1/assets/{pending['id']}")).status_code == 204


# --- all of them ------------------------------------------------------------------------------------------------------

REQUESTS: Final = [
    ("GET", f"/v1/assets/{ID}"),
    ("GET", f"/v1/assets/{ID}/content"),
    ("POST", f"/v1/assets/{ID}/complete"),
    ("POST", f"/v1/assets/{ID}/upload-url"),
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_an_unknown_asset_is_not_found(v1: Service, method: str, path: str) -> None:
    """The id is valid, and belongs to no asset."""
    assert problem_of(await v1.client.request(method, path)) == (404, "asset_not_found")


@pytest.mark.parametrize(("method", "path"), [*REQUESTS, ("DELETE", f"/v1/assets/{ID}")])
async def test_a_wrong_id_is_refused(v1: Service, method: str, path: str) -> None:
    """Before S3 is asked."""
    assert problem_of(await v1.client.request(method, path.replace(ID, "x"))) == (400, "bad_asset_id")
    assert v1.s3.calls == []


@pytest.mark.parametrize(
    ("method", "path"),
    [*REQUESTS, ("DELETE", f"/v1/assets/{ID}"), ("POST", "/v1/assets"), ("POST", "/v1/assets:batch")],
)
async def test_an_unverified_store_is_not_used(method: str, path: str) -> None:
    """It may ignore conditions."""
    s3 = InMemoryS3()
    async with serving(s3, store_verified=False) as service:
        body: dict[str, Any] = {"assets": [{}]} if path.endswith("batch") else {}
        response = await service.client.request(method, path, json=body if method == "POST" else None)
        assert problem_of(response) == (503, "store_unavailable")
        assert s3.calls == []
