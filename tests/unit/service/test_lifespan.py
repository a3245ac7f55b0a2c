"""How the service starts and stops."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sanic import Sanic
from structlog.testing import capture_logs

from tests.support.in_memory_s3 import InMemoryS3
from tests.support.in_process_service import serving


async def test_the_lifespan_includes_every_request() -> None:
    """What runs beside the requests starts before the service has started, and ends after it has drained."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Sanic[Any, Any]) -> AsyncGenerator[None]:
        events.append(f"entered, started: {app.ctx.context.readiness.is_started}")
        yield
        events.append(f"left, draining: {app.ctx.context.readiness.is_draining}")

    async with serving(InMemoryS3(), lifespan=lifespan) as service:
        events.append(str((await service.client.get("/livez")).status_code))

    assert events == ["entered, started: False", "200", "left, draining: True"]


@pytest.mark.parametrize(("store_verified", "seconds"), [(True, 0.1), (False, 0)], ids=["ready", "never ready"])
async def test_only_a_ready_service_waits_for_load_balancers(store_verified: bool, seconds: float) -> None:  # noqa: FBT001
    """Load balancers send nothing to a service that was never ready, so its stop is not delayed."""
    with capture_logs() as logs:
        async with serving(InMemoryS3(), store_verified=store_verified, drain_seconds=0.1):
            pass

    assert [line["seconds"] for line in logs if line["event"] == "service_draining"] == [seconds]
