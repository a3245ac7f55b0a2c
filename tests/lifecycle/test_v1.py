"""`/v1/assets` on a real S3 server: what is declared is enforced, and what is final can be downloaded and deleted."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from tests.support.product import Product, running_product

BODY: Final = b"declared bytes"
SHA256: Final = hashlib.sha256(BODY).hexdigest()
DECLARED: Final[dict[str, Any]] = {
    "filename": "Übersicht 1.png",
    "content_type": "image/png",
    "size": len(BODY),
    "sha256": SHA256,
    "write_once": True,
    "metadata": {"album": "Ä 42", "caption": ""},
}
DISPOSITION: Final = "filename=\"Ubersicht 1.png\"; filename*=UTF-8''%C3%9Cbersicht%201.png"


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """A service that allows to delete final assets; there is no reconciler."""
    with running_product(ASSETUPLOADER_DELETES="true") as product:
        yield product


def create(product: Product, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Create an asset, and return the response."""
    response = product.http.request("POST", f"{product.url}/v1/assets", json=declared)
    created: dict[str, Any] = response.json()
    assert response.status == 201, created
    return created


def put(product: Product, upload: Mapping[str, Any], body: bytes, **changed: str | None) -> tuple[int, str | None]:
    """Upload with these headers changed, or left out if None; return the status and the ETag."""
    changes = {name.replace("_", "-"): value for name, value in changed.items()}
    headers = {name: value for name, value in {**upload["headers"], **changes}.items() if value is not None}
    headers.pop("content-length", None)  # the client sends the length of what it sends
    response = product.http.request("PUT", upload["url"], body=body, headers=headers)
    return response.status, response.headers.get("ETag")


def call(product: Product, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Send a request to an asset; return the status and the JSON of the response."""
    response = product.http.request(method, f"{product.url}/v1/assets/{path}", json=body)
    return response.status, response.json() if response.data else {}


def test_the_life_of_a_declared_asset(product: Product) -> None:
    """It is created, uploaded, complete and final at once, downloaded under its name, and deleted."""
    created = create(product, DECLARED)
    assert set(created["upload"]["headers"]) == {
        "content-length",
        "content-type",
        "x-amz-checksum-sha256",
        "if-none-match",
    }
    assert call(product, "GET", f"{created['id']}/content")[0] == 404
    status, etag = put(product, created["upload"], BODY)
    assert (status, put(product, created["upload"], BODY)[0]) == (200, 412)

    completed = [call(product, "POST", f"{created['id']}/complete", body) for body in ({"etag": etag}, {}, None)]

    assert [status for status, _ in completed] == [200] * 3
    final = call(product, "GET", created["id"])[1]
    declared = {name: value for name, value in DECLARED.items() if name != "write_once"}
    assert final == {
        **declared,
        "id": created["id"],
        "status": "uploaded",
        "created_at": created["created_at"],
        "expires_at": created["expires_at"],
        "etag": str(etag).strip('"'),
        "download_url": final["download_url"],
    }
    for query, disposition in (("", "attachment"), ("?disposition=inline&expires_in=60", "inline")):
        found = product.http.request("GET", f"{product.url}/v1/assets/{created['id']}/content{query}")
        content = product.http.request("GET", found.headers["Location"])
        assert found.status == 302
        assert (content.status, content.data, content.headers["Content-Type"]) == (200, BODY, "image/png")
        assert content.headers["Content-Disposition"] == f"{disposition}; {DISPOSITION}"
    assert [call(product, "DELETE", created["id"])[0] for _ in range(2)] == [204, 204]
    assert call(product, "GET", created["id"])[0] == 404
    assert product.http.request("GET", final["download_url"]).status == 404


@pytest.mark.parametrize(
    ("body", "changed", "expected"),
    [
        (BODY + b".", {}, 403),
        (BODY[:-1], {}, 403),
        (BODY, {"content_type": "image/gif"}, 403),
        (BODY, {"content_type": None}, 403),
        (BODY, {"x_amz_checksum_sha256": None}, 403),
        (BODY, {"if_none_match": None}, 403),
        (BODY[::-1], {}, 400),
    ],
    ids=["longer", "shorter", "another type", "no type", "no checksum", "no condition", "other bytes"],
)
def test_s3_refuses_what_was_not_declared(
    product: Product, body: bytes, changed: dict[str, str | None], expected: int
) -> None:
    """Nothing is uploaded, so that the asset cannot be completed; the declared upload is still possible."""
    created = create(product, DECLARED)
    assert put(product, created["upload"], body, **changed)[0] == expected
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    status, problem = call(product, "POST", f"{created['id']}/complete", {"etag": etag})
    assert (status, problem["code"]) == (409, "upload_mismatch")

    status, right = put(product, created["upload"], BODY)

    assert status == 200
    assert call(product, "POST", f"{created['id']}/complete", {"etag": right})[0] == 200


def test_another_upload_url_is_as_strict(product: Product) -> None:
    """The declaration holds for a refreshed URL, too."""
    created = create(product, DECLARED)
    status, refreshed = call(product, "POST", f"{created['id']}/upload-url")
    assert (status, refreshed["upload"]["headers"]) == (200, created["upload"]["headers"])
    assert put(product, refreshed["upload"], BODY[:-1])[0] == 403
    assert put(product, refreshed["upload"], BODY)[0] == 200


def test_a_batch_with_a_mistake_creates_the_others(product: Product) -> None:
    """Each item has its own result, and each upload URL works."""
    declared = {"assets": [DECLARED, {"size": -1}, {}]}
    items = product.http.request("POST", f"{product.url}/v1/assets:batch", json=declared).json()["assets"]
    assert [item["status"] for item in items] == [201, 400, 201]
    uploads = [item["asset"]["upload"] for item in items if item["asset"] is not None]
    assert [put(product, upload, BODY)[0] for upload in uploads] == [200, 200]


def test_a_cancelled_upload_stays_cancelled(product: Product) -> None:
    """Bytes that were uploaded before or after never become an asset."""
    created = create(product, {})
    etag = put(product, created["upload"], BODY)[1]
    assert call(product, "DELETE", created["id"])[0] == 204
    status, problem = call(product, "POST", f"{created['id']}/complete", {"etag": etag})
    assert (status, problem["code"]) == (410, "asset_expired")
    assert call(product, "GET", created["id"])[1]["status"] == "expired"
