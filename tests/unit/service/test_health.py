"""`GET /healthcheck`, `/livez`, `/readyz`."""

import time

import pytest

from assetuploader.errors import StoreAccessDeniedError, StoreError, StoreMisconfiguredError, StoreUnavailableError
from service.readiness import Readiness
from tests.support.in_memory_s3 import HangingS3, InMemoryS3
from tests.support.in_process_service import Service, serving


async def test_healthcheck_is_up_when_s3_responds(service: Service) -> None:
    """When S3 responds, whether or not the object exists, the service is up."""
    response = await service.client.get("/healthcheck")

    assert (response.status_code, response.json()) == (200, {"Status": "UP"})
    assert [operation for operation, _ in service.s3.calls] == ["head_object"]


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("away"), StoreAccessDeniedError("no"), StoreMisconfiguredError("no")]
)
async def test_healthcheck_is_down_when_s3_fails(service: Service, error: StoreError) -> None:
    """Every error of S3 is 503 for load balancers and DOWN for people."""
    service.s3.fails_with = error

    response = await service.client.get("/healthcheck")

    assert (response.status_code, response.json()) == (503, {"Status": "DOWN"})


async def test_healthcheck_is_down_within_two_seconds_when_s3_hangs() -> None:
    """An S3 that accepts connections and never responds is detected in time."""
    async with serving(HangingS3()) as service:
        started = time.monotonic()
        response = await service.client.get("/healthcheck")

    assert (response.status_code, response.json()) == (503, {"Status": "DOWN"})
    assert time.monotonic() - started < 2


async def test_healthcheck_is_down_until_the_store_is_verified() -> None:
    """While every POST is 503, the service is not healthy."""
    async with serving(InMemoryS3(), store_verified=False) as service:
        before = await service.client.get("/healthcheck")
        service.readiness.store_verified = True
        after = await service.client.get("/healthcheck")

    assert (before.status_code, before.json()) == (503, {"Status": "DOWN"})
    assert (after.status_code, after.json()) == (200, {"Status": "UP"})


@pytest.mark.parametrize(("path", "status"), [("/livez", "alive"), ("/readyz", "ready")])
async def test_probes_of_kubernetes_do_not_depend_on_s3(service: Service, path: str, status: str) -> None:
    """An outage of S3 restarts no pod and takes none out of service: both respond without a call to S3."""
    service.s3.fails_with = StoreUnavailableError("away")

    response = await service.client.get(path)

    assert (response.status_code, response.json()) == (200, {"status": status})
    assert service.s3.calls == []


@pytest.mark.parametrize(
    ("readiness", "status"),
    [
        (Readiness(is_started=False, store_verified=True), "starting"),
        (Readiness(is_started=True, store_verified=False), "starting"),
        (Readiness(is_started=True, store_verified=True, is_draining=True), "draining"),
    ],
    ids=["not started", "store not verified", "draining"],
)
async def test_readyz_tells_load_balancers_when_to_send_nothing(
    service: Service, readiness: Readiness, status: str
) -> None:
    """While it starts and while it drains, the service is not ready, and is alive."""
    service.readiness.is_started = readiness.is_started
    service.readiness.store_verified = readiness.store_verified
    service.readiness.is_draining = readiness.is_draining

    response = await service.client.get("/readyz")
    alive = await service.client.get("/livez")

    assert (response.status_code, response.json()) == (503, {"status": status})
    assert alive.status_code == 200


@pytest.mark.parametrize("path", ["/healthcheck", "/livez", "/readyz"])
async def test_health_is_never_cached(service: Service, path: str) -> None:
    """No proxy may respond from its cache."""
    assert (await service.client.get(path)).headers["cache-control"] == "no-store"
    assert (await service.client.head(path)).status_code == 200
