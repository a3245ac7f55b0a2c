"""Connections that flood or stall, path prefixes, unusual requests and caching."""

import asyncio
import re
from collections.abc import Callable
from urllib.parse import urljoin

import httpx
import pytest
from structlog.testing import capture_logs

from tests.support.in_memory_s3 import InMemoryS3
from tests.support.in_process_service import Service, serving
from tests.support.problems import problem_of
from tests.support.raw_connection import connected, parse

ID = "aaaaaaaa-0000-4000-8000-00000000000a"
PREFIX = "https://api.example.com/uploads"
GET_PAGE = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
GET_SCRIPT = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_pipelined_requests_let_others_have_their_turn(service: Service) -> None:
    """One connection with hundreds of requests in its buffer delays another one by a few of them only."""
    number = 700
    async with connected(service.port, 30) as flood:
        await flood.send(GET_PAGE * (number - 1) + GET_PAGE.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        reading = asyncio.create_task(flood.read())
        await service.client.get("/livez")
        before = service.count_requests("/openapi.json")
        assert (await reading).count(b"HTTP/1.1 200 OK") == number
    assert before < number / 2


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose responses are not read ends, and the service frees its buffers."""
    monkeypatch.setattr("service.http_protocol.WRITE_TIMEOUT_SECONDS", 0.2)
    async with serving(InMemoryS3()) as service, connected(service.port, 30) as connection:
        sending = asyncio.create_task(connection.send(GET_SCRIPT * 50))
        await _until(lambda: len(service.connections) == 1)
        await _until(lambda: not service.connections)
        sending.cancel()


async def test_a_slow_reader_that_goes_on_is_served(service: Service) -> None:
    """A client that reads everything in time gets everything."""
    async with connected(service.port, 30) as connection:
        await connection.send(GET_SCRIPT.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        await asyncio.sleep(0.1)
        response = parse(await connection.read())
    assert len(response.content) == int(response.headers["content-length"]) > 1_000_000


async def test_an_upgrade_to_websocket_does_not_switch_timeouts_off() -> None:
    """There are no websockets: the request is an ordinary one, and the next one has its deadline."""
    async with serving(InMemoryS3(), REQUEST_TIMEOUT=1) as service, connected(service.port, 15) as connection:
        await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
        received = await connection.trickle(b"GET /livez HTTP/1.1\r\nX: " + b"a" * 80, 0.1)
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200", b"408"]


@pytest.mark.parametrize("path", ["/asset", "/assets", "/asset/"])
async def test_references_work_behind_a_path_prefix(service: Service, path: str) -> None:
    """The service does not know the prefix, so `Location` and `type` are relative to the request."""
    created = await service.client.post(path)
    location = urljoin(f"{PREFIX}{path}", created.headers["location"])
    assert location == f"{PREFIX}/asset/{created.json()['id']}"

    for requested in (path, f"/assets/{ID}", f"/asset/{ID}/", "/no/such/page"):
        response = await service.client.put(requested, content=b"no JSON")
        assert urljoin(PREFIX + requested, response.json()["type"]) == f"{PREFIX}/docs#{response.json()['code']}"


async def test_an_id_in_capitals_is_the_same_asset(service: Service) -> None:
    """Some clients change the case of UUIDs."""
    asset_id = await service.finalize()

    response = await service.client.get(f"/asset/{asset_id.upper()}")

    assert response.status_code == 200
    assert f"/uploaded/{asset_id}?" in response.json()["Download_url"]


async def test_a_get_with_a_body_is_not_an_error(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """The body is dropped, and the log has no line about it."""
    response = await service.client.request("GET", "/livez", content=b"{}")

    assert response.status_code == 200
    assert caplog.records == []


async def test_a_long_method_is_not_logged(service: Service) -> None:
    """The log has no text of arbitrary length that a client chose."""
    with capture_logs() as logs:
        response = await service.send(b"M" * 8_000 + b" /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert problem_of(response) == (405, "method_not_allowed")
    assert [line["method"] for line in logs if line["event"] == "request_finished"] == ["other"]


async def test_only_this_versions_files_are_cached_for_long(service: Service) -> None:
    """During a rolling update, a pod of one version must not fill caches under the other version's URL."""
    page = (await service.client.get("/docs")).text
    link = page.partition('href="docs/docs.css')[2].partition('"')[0]

    def lifetime(response: httpx.Response) -> str:
        return str(response.headers["cache-control"])

    assert "immutable" in lifetime(await service.client.get(f"/docs/docs.css{link}"))
    for other in ("", "?v=0123456789abcdef", f"{link}&x=1"):
        assert lifetime(await service.client.get(f"/docs/docs.css{other}")) == "no-cache"


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- the service has no hook to wait for
            await asyncio.sleep(0.01)
