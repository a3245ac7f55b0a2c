"""`GET /asset/{id}`."""

from datetime import timedelta

import pytest

from tests.support.in_memory_s3 import RefusedError, etag_of
from tests.support.in_process_service import Service
from tests.support.problems import problem_of

UNKNOWN_ID = "ffffffff-ffff-4fff-8fff-ffffffffffff"

BAD_TIMEOUTS = [
    "0",
    "-1",
    "604801",
    "1e9",
    "1e3",
    "1_0",
    "1.5",
    "+5",
    "%205",
    "5%20",
    "5%0A",
    "5%00",
    "0x10",
    "",
    "%20",
    "ten",
    "NaN",
    "%D9%A5",
    "%EF%BC%95",
    "%FF",
    "9" * 5_000,
    "1000000000",
    "5&timeout=5",
    "5&timeout=",
    "5,6",
]


async def test_a_marked_asset_without_an_upload_expires_when_grace_is_over(service: Service) -> None:
    """No client waits forever for an upload that never came, and the lifecycle rule for `expired` deletes it."""
    asset_id, _ = await service.create()
    assert (await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})).status_code == 202

    service.s3.now += timedelta(seconds=959)
    waiting = await service.client.get(f"/asset/{asset_id}")
    service.s3.now += timedelta(seconds=1)
    expired = [await service.client.get(f"/asset/{asset_id}") for _ in range(2)]
    marked = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})

    assert problem_of(waiting) == (404, "asset_not_uploaded")
    assert [problem_of(response) for response in (*expired, marked)] == [(410, "asset_expired")] * 3
    assert service.s3.objects[f"uploaded/{asset_id}"].tags["status"] == "expired"


async def test_a_marked_asset_whose_upload_waits_for_the_reconciler_does_not_expire(service: Service) -> None:
    """However late the reconciler is, an upload that was marked is kept."""
    asset_id, upload_url = await service.create()
    service.s3.put(upload_url, b"bytes")
    await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})

    service.s3.now += timedelta(days=30)
    response = await service.client.get(f"/asset/{asset_id}")

    assert (*problem_of(response), response.headers["retry-after"]) == (404, "asset_not_uploaded", "5")


@pytest.mark.parametrize("path", ["/asset", "/assets"])
async def test_a_final_asset_has_a_url_of_its_bytes(service: Service, path: str) -> None:
    """The download URL leads to the marked bytes. It costs one S3 call."""
    asset_id = await service.finalize(b"bytes")
    service.s3.calls.clear()

    response = await service.client.get(f"{path}/{asset_id}")

    assert (response.status_code, list(response.json())) == (200, ["Download_url"])
    assert response.headers["cache-control"] == "no-store"
    assert service.s3.calls == [("head_object", f"uploaded/{asset_id}")]
    assert service.s3.get(response.json()["Download_url"]).body == b"bytes"


@pytest.mark.parametrize(("query", "seconds"), [("", 60), ("?timeout=1", 1), ("?timeout=604800", 604_800)])
async def test_a_download_url_is_valid_as_long_as_requested(service: Service, query: str, seconds: int) -> None:
    """`timeout` is how many seconds the URL is valid. The operator sets the default."""
    asset_id = await service.finalize()
    url = (await service.client.get(f"/asset/{asset_id}{query}")).json()["Download_url"]

    service.s3.now += timedelta(seconds=seconds - 1)
    service.s3.get(url)
    service.s3.now += timedelta(seconds=1)

    with pytest.raises(RefusedError):
        service.s3.get(url)


@pytest.mark.parametrize("given", BAD_TIMEOUTS, ids=lambda text: text[:20])
async def test_a_malformed_timeout_is_a_bad_request(service: Service, given: str) -> None:
    """Only one number in decimal digits, from 1 to seven days, is accepted, although Python's `int` accepts more."""
    asset_id = await service.finalize()
    service.s3.calls.clear()

    response = await service.client.get(f"/asset/{asset_id}?timeout={given}")

    assert problem_of(response) == (400, "bad_request")
    assert service.s3.calls == []


@pytest.mark.parametrize("query", ["?", "?x=1", "?Timeout=0", "?x=%FF&y", "?;;&&=="])
async def test_other_parameters_are_ignored(service: Service, query: str) -> None:
    """A cache buster or a tracing parameter changes nothing."""
    asset_id = await service.finalize()

    response = await service.client.get(f"/asset/{asset_id}{query}")

    assert response.status_code == 200


async def test_a_pending_asset_is_not_uploaded(service: Service) -> None:
    """An asset that is not final has its own error code."""
    asset_id, _ = await service.create()

    response = await service.client.get(f"/asset/{asset_id}")

    assert problem_of(response) == (404, "asset_not_uploaded")
    assert response.headers["retry-after"] == "5"


async def test_retry_after_of_a_marked_asset_is_the_time_until_it_is_due(service: Service) -> None:
    """An unpinned asset is due after expiry and grace. Retry-After counts down to that, but not below 5."""
    asset_id, upload_url = await service.create()
    service.s3.put(upload_url, b"bytes")
    await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})
    received = []
    for seconds in (0, 100, 860, 200):
        service.s3.now += timedelta(seconds=seconds)
        response = await service.client.get(f"/asset/{asset_id}")
        received.append((*problem_of(response), response.headers["retry-after"]))

    assert received == [(404, "asset_not_uploaded", seconds) for seconds in ("960", "860", "5", "5")]


async def test_retry_after_of_a_pinned_asset_is_short(service: Service) -> None:
    """A pinned asset is due at once, so Retry-After is the shortest."""
    asset_id, upload_url = await service.create()
    service.s3.put(upload_url, b"bytes")
    await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded", "etag": etag_of(b"bytes")})

    response = await service.client.get(f"/asset/{asset_id}")

    assert (*problem_of(response), response.headers["retry-after"]) == (404, "asset_not_uploaded", "5")


async def test_an_expired_asset_is_gone(service: Service) -> None:
    """410 tells a client not to wait."""
    asset_id = await service.expire()

    response = await service.client.get(f"/asset/{asset_id}")

    assert problem_of(response) == (410, "asset_expired")
    assert "retry-after" not in response.headers


async def test_an_unknown_asset_is_not_found(service: Service) -> None:
    """An unknown id has another code than an asset that is not final yet."""
    response = await service.client.get(f"/asset/{UNKNOWN_ID}")

    assert problem_of(response) == (404, "asset_not_found")
    assert "retry-after" not in response.headers


async def test_head_is_get_without_a_body(service: Service) -> None:
    """HEAD of an asset has GET's status and headers."""
    asset_id = await service.finalize()

    response = await service.client.head(f"/asset/{asset_id}")

    assert (response.status_code, response.content) == (200, b"")
