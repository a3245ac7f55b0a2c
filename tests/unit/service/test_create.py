"""`POST /asset`."""

import pytest

from tests.support.in_memory_s3 import etag_of
from tests.support.in_process_service import Service
from tests.support.problems import problem_of

ID = "00000000-0000-4001-8000-000000000000"
"""The first id that the tests' service creates."""


@pytest.mark.parametrize("path", ["/asset", "/assets"])
async def test_create_returns_id_upload_url_and_expiry(service: Service, path: str) -> None:
    """Both paths respond 201 with the three members, and Location is the canonical path."""
    response = await service.client.post(path)

    created = response.json()
    upload_url = created.pop("upload_url")
    assert (response.status_code, created) == (201, {"id": ID, "expires_at": "2026-01-01T12:15:00Z"})
    assert response.headers["location"] == f"asset/{ID}"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert service.s3.allowed("PUT", upload_url) == f"temp/{ID}"


async def test_create_writes_one_pending_placeholder_with_one_call(service: Service) -> None:
    """Creating an asset costs one S3 call. It writes status and expiry as metadata and as tags."""
    await service.client.post("/asset")

    tags = {"status": "pending", "expires-at": "2026-01-01T12:15:00Z"}
    written = service.s3.objects[f"uploaded/{ID}"]
    assert (written.metadata, written.tags, written.headers) == ({**tags, "schema": "2"}, tags, {})
    assert service.s3.calls == [("put_object", f"uploaded/{ID}")]


async def test_upload_url_writes_to_temp_only(service: Service) -> None:
    """The upload URL writes to `temp/`. The placeholder does not change."""
    asset_id, upload_url = await service.create()
    placeholder = service.s3.objects[f"uploaded/{asset_id}"]

    service.s3.put(upload_url, b"bytes")

    assert service.s3.objects[f"temp/{asset_id}"].etag == etag_of(b"bytes")
    assert service.s3.objects[f"uploaded/{asset_id}"] == placeholder


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b" {}\r\n"])
async def test_create_accepts_every_form_of_an_empty_body(service: Service, body: bytes) -> None:
    """Clients that always send a body may send an empty object."""
    response = await service.client.post("/asset", content=body)

    assert response.status_code == 201


@pytest.mark.parametrize("body", [b"x", b'{"a":1}', b"[]", b"null", b"\xff", b"\x00", b"a=b", b"{" * 16_000])
async def test_create_rejects_a_body_and_writes_nothing(service: Service, body: bytes) -> None:
    """A client that sends the file's bytes here gets an error, and no asset is created."""
    response = await service.client.post("/asset", content=body)

    assert problem_of(response) == (400, "bad_request")
    assert service.s3.calls == []


async def test_create_returns_a_new_asset_each_time(service: Service) -> None:
    """No two assets share an id or a URL."""
    created = [await service.create() for _ in range(5)]

    assert len({asset_id for asset_id, _ in created}) == 5
    assert len({url for _, url in created}) == 5
