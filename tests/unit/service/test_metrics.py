"""The metrics of the service."""

import asyncio

import pytest

from assetuploader.store import ObjectInfo
from service.metrics import Metrics
from service.readiness import Readiness
from tests.support.in_memory_s3 import InMemoryS3
from tests.support.in_process_service import Service, serving


class PausedS3(InMemoryS3):
    """An S3 that responds when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.called = asyncio.Event()
        self.resume = asyncio.Event()

    async def head_object(self, key: str) -> ObjectInfo | None:
        """Wait, then read the object."""
        self.called.set()
        await self.resume.wait()
        return await super().head_object(key)


def scrape(service: Service, name: str, **labels: str) -> float | None:
    """Return what Prometheus would scrape."""
    metrics: Metrics = service.app.ctx.context.metrics
    return metrics.registry.get_sample_value(f"assetuploader_{name}", labels)


async def test_a_request_is_counted_with_its_route_method_and_status(service: Service) -> None:
    """Labels are path templates and methods of the API. Others share one value, so that series are bounded."""
    await service.client.get("/livez")
    await service.client.get("/assets/not-an-id")
    await service.client.request("BREW", "/livez")
    await service.client.get("/somewhere")

    assert scrape(service, "http_requests_total", route="/livez", method="GET", status="200") == 1
    assert scrape(service, "http_requests_total", route="/asset/{id}", method="GET", status="400") == 1
    assert scrape(service, "http_requests_total", route="unmatched", method="other", status="405") == 1
    assert scrape(service, "http_requests_total", route="unmatched", method="GET", status="404") == 1
    assert scrape(service, "http_request_duration_seconds_count", route="/livez", method="GET") == 1


async def test_a_request_is_in_flight_until_its_response() -> None:
    """The gauge shows how many requests wait for S3."""
    s3 = PausedS3()
    async with serving(s3) as service:
        request = asyncio.create_task(service.client.get("/healthcheck"))
        await s3.called.wait()
        during = scrape(service, "http_requests_in_flight")
        s3.resume.set()
        await request

        assert (during, scrape(service, "http_requests_in_flight")) == (1, 0)


@pytest.mark.parametrize(
    ("readiness", "ready", "store_verified"),
    [
        (Readiness(), 0, 0),
        (Readiness(is_started=True, store_verified=True), 1, 1),
        (Readiness(is_started=True, store_verified=True, is_draining=True), 0, 1),
    ],
    ids=["starting", "ready", "draining"],
)
def test_readiness_is_exported(readiness: Readiness, ready: float, store_verified: float) -> None:
    """Alerts distinguish a store that was never verified from a service that is about to stop."""
    registry = Metrics(readiness).registry

    assert registry.get_sample_value("assetuploader_ready") == ready
    assert registry.get_sample_value("assetuploader_store_verified") == store_verified
