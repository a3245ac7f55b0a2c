"""`POST /asset`."""

import pytest

from tests.http.answers import problem_of
from tests.http.serving import Service
from tests.memory_s3 import etag_of

ID = "00000000-0000-4001-8000-000000000000"
"""The first id that the tests' service makes up."""


@pytest.mark.parametrize("path", ["/asset", "/assets"])
async def test_create_answers_id_upload_url_and_expiry(service: Service, path: str) -> None:
    """Both spellings answer 201 with the three members, and Location names the canonical path."""
    answer = await service.client.post(path)

    created = answer.json()
    upload_url = created.pop("upload_url")
    assert (answer.status_code, created) == (201, {"id": ID, "expires_at": "2026-01-01T12:15:00Z"})
    assert answer.headers["location"] == f"/asset/{ID}"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert service.s3.allowed("PUT", upload_url) == f"temp/{ID}"


async def test_create_writes_one_pending_placeholder_with_one_call(service: Service) -> None:
    """Creating an asset costs one S3 call, and writes status and expiry as metadata and as tags alike."""
    await service.client.post("/asset")

    state = {"status": "pending", "expires-at": "2026-01-01T12:15:00Z"}
    written = service.s3.objects[f"uploaded/{ID}"]
    assert (written.metadata, written.tags, written.headers) == (state, state, {})
    assert service.s3.calls == [("put_if", f"uploaded/{ID}")]


async def test_upload_url_takes_bytes_to_temp_only(service: Service) -> None:
    """What is sent to the upload URL lies in `temp/`; the placeholder stays as it is."""
    asset_id, upload_url = await service.create()
    placeholder = service.s3.objects[f"uploaded/{asset_id}"]

    service.s3.put(upload_url, b"bytes")

    assert service.s3.objects[f"temp/{asset_id}"].etag == etag_of(b"bytes")
    assert service.s3.objects[f"uploaded/{asset_id}"] == placeholder


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b" {}\r\n"])
async def test_create_takes_an_empty_body_in_any_spelling(service: Service, body: bytes) -> None:
    """Clients that cannot send no body at all send an empty object."""
    answer = await service.client.post("/asset", content=body)

    assert answer.status_code == 201


@pytest.mark.parametrize("body", [b"x", b'{"a":1}', b"[]", b"null", b"\xff", b"\x00", b"a=b", b"{" * 16_000])
async def test_create_refuses_a_body_and_writes_nothing(service: Service, body: bytes) -> None:
    """A client that sends the file's bytes here is told so, and no asset comes of it."""
    answer = await service.client.post("/asset", content=body)

    assert problem_of(answer) == (400, "bad_request")
    assert service.s3.calls == []


async def test_create_makes_a_new_asset_each_time(service: Service) -> None:
    """No two assets share an id or a URL."""
    created = [await service.create() for _ in range(5)]

    assert len({asset_id for asset_id, _ in created}) == 5
    assert len({url for _, url in created}) == 5
