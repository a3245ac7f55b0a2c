"""Many clients that mark one asset at once, on a real S3 server."""

import asyncio
import json

import pytest

from dev.seaweedfs import LocalS3
from tests.support.load_client import Response, request_url
from tests.support.product import serving

CLIENTS = 64
ROUNDS = 20


async def _mark_at_once(url: str, body: bytes) -> list[Response]:
    headers = {"Content-Type": "application/json"}
    return await asyncio.gather(*(request_url(url, "PUT", body, **headers) for _ in range(CLIENTS)))


@pytest.mark.parametrize("at_once_bytes", [0, 5], ids=["left to the reconciler", "finalized at once"])
def test_marks_of_one_asset_by_many_clients_are_no_error_of_the_service(s3: LocalS3, at_once_bytes: int) -> None:
    """Each of 64 clients gets 202, or 429 and when to come back; the asset is final then."""
    with serving(s3, ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES=str(at_once_bytes)) as product:
        created = product.upload(b"bytes")
        url = f"{product.url}/asset/{created.asset_id}"
        statuses = []
        for number in range(ROUNDS):
            pin = {"etag": created.etag} if at_once_bytes or number % 2 else {}
            for response in asyncio.run(_mark_at_once(url, json.dumps({"Status": "uploaded", **pin}).encode())):
                statuses.append(response.status)
                if response.status == 429:
                    assert response.document["code"] == "asset_busy"
                    assert int(response.headers["retry-after"]) >= 1
        assert set(statuses) <= {202, 429}
        assert statuses.count(202) >= ROUNDS
        assert product.run("reconcile").returncode == 0
        assert product.http.request("GET", url).status == 200
