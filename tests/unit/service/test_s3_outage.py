"""The responses while S3 is unavailable."""

import asyncio
import time

import pytest

from assetuploader.errors import (
    StoreAccessDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from tests.support.in_memory_s3 import HangingS3, InMemoryS3
from tests.support.in_process_service import Service, serving
from tests.support.problems import problem_of

ID = "00000000-0000-4000-8000-000000000000"
REQUESTS = [("POST", "/asset", None), ("PUT", f"/asset/{ID}", {"Status": "uploaded"}), ("GET", f"/asset/{ID}", None)]
ERRORS = [
    StoreUnavailableError("S3 could not be reached"),
    StoreAccessDeniedError("S3 responded 403"),
    StoreMisconfiguredError("no such bucket"),
    StoreUnsupportedError("ignores conditions"),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_store_that_fails_is_503_with_retry_after(
    service: Service, method: str, path: str, body: dict[str, str] | None, error: StoreError
) -> None:
    """Every kind of error is 503 for clients. The reason is in the log."""
    service.s3.fails_with = error

    response = await service.client.request(method, path, json=body)

    assert problem_of(response) == (503, "store_unavailable")
    assert response.headers["retry-after"] == "2"
    assert str(error) not in response.text


async def test_a_store_that_hangs_is_503_within_three_seconds() -> None:
    """Concurrent requests do not wait for one another, and /livez responds meanwhile."""
    async with serving(HangingS3()) as service:
        started = time.monotonic()
        responses = asyncio.gather(
            *(service.client.request(method, path, json=body) for method, path, body in REQUESTS[1:] * 4)
        )
        alive = await service.client.get("/livez")
        alive_after_seconds = time.monotonic() - started
        received = await responses

    assert time.monotonic() - started < 3
    assert (alive.status_code, alive_after_seconds < 1) == (200, True)
    assert [(*problem_of(response), response.headers["retry-after"]) for response in received] == [
        (503, "store_unavailable", "2")
    ] * 8


async def test_an_unverified_store_is_not_written_to() -> None:
    """Before the conformance check the store may ignore conditions, so no request reaches it."""
    async with serving(InMemoryS3(), store_verified=False) as service:
        received = [await service.client.request(method, path, json=body) for method, path, body in REQUESTS]

    assert [problem_of(response) for response in received] == [(503, "store_unavailable")] * 3
    assert service.s3.calls == []


async def test_the_service_recovers_by_itself(service: Service) -> None:
    """When S3 is available again, the next request succeeds without a restart."""
    service.s3.fails_with = StoreUnavailableError("away")
    rejected = await service.client.post("/asset")
    service.s3.fails_with = None
    accepted = await service.client.post("/asset")

    assert (rejected.status_code, accepted.status_code) == (503, 201)
