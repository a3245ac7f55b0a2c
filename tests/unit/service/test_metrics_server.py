"""The metrics port serves Prometheus whatever else connects to it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from service.listening import listen
from service.metrics_server import MAX_CONNECTIONS, serving_metrics
from tests.support.raw_connection import HOST


@asynccontextmanager
async def serve_counter() -> AsyncIterator[int]:
    """Serve a counter; return the port."""
    registry = CollectorRegistry()
    Counter("responses", "Responses.", registry=registry).inc(42)
    listening = listen(HOST, 0)
    async with serving_metrics(registry, listening):
        yield listening.getsockname()[1]


async def _get(port: int, path: str = "/metrics", method: str = "GET", accept: str = "*/*") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"http://{HOST}:{port}{path}", headers={"Accept": accept})


async def test_prometheus_gets_the_format_that_it_accepts() -> None:
    """The response has the classic text format, or OpenMetrics if the scraper accepts that."""
    async with serve_counter() as port:
        classic, openmetrics = await _get(port), await _get(port, accept="application/openmetrics-text")
    assert "responses_total 42.0" in classic.text
    assert classic.headers["content-type"].startswith("text/plain")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


async def test_other_requests_are_rejected() -> None:
    """The port serves nothing else."""
    async with serve_counter() as port:
        assert (await _get(port, "/asset")).status_code == 404
        assert (await _get(port, method="POST")).status_code == 405


async def test_silent_connections_cost_no_threads_and_keep_nobody_out() -> None:
    """Connections that send nothing are closed in favour of later ones; a scrape always succeeds."""
    threads = threading.active_count()
    async with serve_counter() as port:
        silent = [await asyncio.open_connection(HOST, port) for _ in range(3 * MAX_CONNECTIONS)]
        assert (await _get(port)).status_code == 200
        assert threading.active_count() == threads
        for reader, _ in silent[: 2 * MAX_CONNECTIONS]:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 5)
        for _, writer in silent:
            writer.close()


async def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a single silent connection is closed after CONNECTION_SECONDS."""
    monkeypatch.setattr("service.metrics_server.CONNECTION_SECONDS", 0.1)
    async with serve_counter() as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
