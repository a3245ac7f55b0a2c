"""Requests whose target or empty body Sanic alone does not handle."""

import logging

import pytest

from tests.support.in_process_service import Service


@pytest.mark.parametrize(
    "target",
    [
        "asset",
        "\\asset",
        "/asset/\0",
        "https://x:99999/asset",
        "/asset/\xe9",
        "/as|\xce\x88set",
        "/asset/\x1a?timeout=1",
    ],
)
async def test_an_unreadable_target_is_a_bad_request(
    service: Service, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The response is 400, and the log has no traceback."""
    response = await service.send_request(f"GET {target} HTTP/1.1", "Host: localhost")
    assert response.status_code == 400
    assert response.json()["code"] == "bad_request"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["/livez", "/asset/6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"])
async def test_a_get_with_an_empty_body_is_not_an_error(
    service: Service, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Some clients send Content-Length: 0 with a GET. Nothing is logged as an error."""
    response = await service.send_request(f"GET {path} HTTP/1.1", "Host: localhost", "Content-Length: 0")
    assert response.status_code in {200, 404}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
