"""The bucket is deleted, or the endpoint stops being S3, while the service runs."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.product import Product, running_product
from tests.support.stores import raw_client


@pytest.fixture
def product() -> Iterator[Product]:
    """A product of its own, because the test deletes its bucket."""
    with running_product() as product:
        yield product


def test_a_deleted_bucket_is_not_a_missing_asset(product: Product) -> None:
    """Without its bucket the service is unhealthy, and responds 503 for every asset; with a new bucket it recovers."""
    created = product.upload(b"bytes")
    s3 = raw_client(product.s3.endpoint_url)
    for found in s3.list_objects_v2(Bucket="assets")["Contents"]:
        s3.delete_object(Bucket="assets", Key=found["Key"])
    s3.delete_bucket(Bucket="assets")

    assert _responses(product, created.asset_id) == [
        (503, None),
        (503, "store_unavailable"),
        (503, "store_unavailable"),
    ]
    assert product.run("reconcile").returncode == 78

    s3.create_bucket(Bucket="assets")
    assert product.run("reconcile").returncode == 0
    assert _responses(product, str(uuid4())) == [(200, None), (404, "asset_not_found"), (404, "asset_not_found")]


def _responses(product: Product, asset_id: str) -> list[tuple[int, str | None]]:
    """Return status and code of the responses to a health check, a GET and a mark."""
    url = f"{product.url}/asset/{asset_id}"
    responses = [
        product.http.request("GET", f"{product.url}/healthcheck"),
        product.http.request("GET", url),
        product.http.request("PUT", url, json={"Status": "uploaded"}),
    ]
    return [(response.status, response.json().get("code")) for response in responses]
