"""What clients hear while S3 is away."""

import asyncio
import time

import pytest

from assetstore.errors import (
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnfitError,
)
from tests.http.answers import problem_of
from tests.http.serving import Service, serving
from tests.http.test_health import HangingS3
from tests.memory_s3 import MemoryS3

ID = "00000000-0000-4000-8000-000000000000"
REQUESTS = [("POST", "/asset", None), ("PUT", f"/asset/{ID}", {"Status": "uploaded"}), ("GET", f"/asset/{ID}", None)]
ERRORS = [
    StoreUnavailableError("S3 could not be reached"),
    StoreDeniedError("S3 answers 403"),
    StoreMisconfiguredError("no such bucket"),
    StoreUnfitError("ignores conditions"),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_store_that_fails_is_503_with_retry_after(
    service: Service, method: str, path: str, body: dict[str, str] | None, error: StoreError
) -> None:
    """Whose fault it is stays in the log: clients are asked to come back."""
    service.s3.fails_with = error

    answer = await service.client.request(method, path, json=body)

    assert problem_of(answer) == (503, "store_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert str(error) not in answer.text


async def test_a_store_that_hangs_is_503_within_three_seconds() -> None:
    """Requests at the same time do not wait for one another, and liveness stays green meanwhile."""
    async with serving(HangingS3()) as service:
        started = time.monotonic()
        answers = asyncio.gather(
            *(service.client.request(method, path, json=body) for method, path, body in REQUESTS[1:] * 4)
        )
        alive = await service.client.get("/livez")
        alive_after_seconds = time.monotonic() - started
        heard = await answers

    assert time.monotonic() - started < 3
    assert (alive.status_code, alive_after_seconds < 1) == (200, True)
    assert [(*problem_of(answer), answer.headers["retry-after"]) for answer in heard] == [
        (503, "store_unavailable", "2")
    ] * 8


async def test_an_unproven_store_is_not_written_to() -> None:
    """Until the probe has passed, the store may be one that ignores conditions: no request reaches it."""
    async with serving(MemoryS3(), is_store_proven=False) as service:
        heard = [await service.client.request(method, path, json=body) for method, path, body in REQUESTS]

    assert [problem_of(answer) for answer in heard] == [(503, "store_unavailable")] * 3
    assert service.s3.calls == []


async def test_the_service_recovers_by_itself(service: Service) -> None:
    """When S3 is back, the next request succeeds: nothing needs a restart."""
    service.s3.fails_with = StoreUnavailableError("away")
    refused = await service.client.post("/asset")
    service.s3.fails_with = None
    accepted = await service.client.post("/asset")

    assert (refused.status_code, accepted.status_code) == (503, 201)
