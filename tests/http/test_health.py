"""`GET /healthcheck`, `/livez`, `/readyz`."""

import asyncio
import time

import pytest

from assetstore.door import Head
from assetstore.errors import StoreDeniedError, StoreError, StoreMisconfiguredError, StoreUnavailableError
from service.context import Readiness
from tests.http.serving import Service, serving
from tests.memory_s3 import MemoryS3


class HangingS3(MemoryS3):
    """An S3 that takes a request and never answers."""

    async def head(self, key: str) -> Head | None:
        """Never."""
        self.calls.append(("head", key))
        await asyncio.Event().wait()
        return None


async def test_healthcheck_asks_s3_and_says_up(service: Service) -> None:
    """When S3 answers, whether or not the object that was asked for exists, the service is up."""
    answer = await service.client.get("/healthcheck")

    assert (answer.status_code, answer.json()) == (200, {"Status": "UP"})
    assert [operation for operation, _ in service.s3.calls] == ["head"]


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("away"), StoreDeniedError("no"), StoreMisconfiguredError("no")]
)
async def test_healthcheck_says_down_when_s3_fails(service: Service, error: StoreError) -> None:
    """Whatever keeps the service from S3, load balancers see 503 and people see DOWN."""
    service.s3.fails_with = error

    answer = await service.client.get("/healthcheck")

    assert (answer.status_code, answer.json()) == (503, {"Status": "DOWN"})


async def test_healthcheck_says_down_within_two_seconds_when_s3_hangs() -> None:
    """An S3 that takes connections and says nothing is found out in time."""
    async with serving(HangingS3()) as service:
        started = time.monotonic()
        answer = await service.client.get("/healthcheck")

    assert (answer.status_code, answer.json()) == (503, {"Status": "DOWN"})
    assert time.monotonic() - started < 2


async def test_healthcheck_says_down_until_the_store_is_proven() -> None:
    """A service that answers every POST with 503 does not call itself healthy: status and body agree."""
    async with serving(MemoryS3(), is_store_proven=False) as service:
        before = await service.client.get("/healthcheck")
        service.readiness.is_store_proven = True
        after = await service.client.get("/healthcheck")

    assert (before.status_code, before.json()) == (503, {"Status": "DOWN"})
    assert (after.status_code, after.json()) == (200, {"Status": "UP"})


@pytest.mark.parametrize(("path", "said"), [("/livez", "alive"), ("/readyz", "ready")])
async def test_probes_of_kubernetes_do_not_depend_on_s3(service: Service, path: str, said: str) -> None:
    """An outage of S3 restarts no pod and takes none out of service: both answer without a call to S3."""
    service.s3.fails_with = StoreUnavailableError("away")

    answer = await service.client.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": said})
    assert service.s3.calls == []


@pytest.mark.parametrize(
    ("readiness", "said"),
    [
        (Readiness(is_started=False, is_store_proven=True), "starting"),
        (Readiness(is_started=True, is_store_proven=False), "starting"),
        (Readiness(is_started=True, is_store_proven=True, is_draining=True), "draining"),
    ],
    ids=["not started", "store not proven", "draining"],
)
async def test_readyz_says_when_not_to_send_traffic(service: Service, readiness: Readiness, said: str) -> None:
    """Until it can do its work and once it drains the service asks to be left alone, and still answers."""
    service.readiness.is_started = readiness.is_started
    service.readiness.is_store_proven = readiness.is_store_proven
    service.readiness.is_draining = readiness.is_draining

    answer = await service.client.get("/readyz")
    alive = await service.client.get("/livez")

    assert (answer.status_code, answer.json()) == (503, {"status": said})
    assert alive.status_code == 200


@pytest.mark.parametrize("path", ["/healthcheck", "/livez", "/readyz"])
async def test_health_is_never_cached(service: Service, path: str) -> None:
    """No proxy answers in the service's place."""
    assert (await service.client.get(path)).headers["cache-control"] == "no-store"
    assert (await service.client.head(path)).status_code == 200
