"""Requests whose target, or whose empty body, stock Sanic stumbles over."""

import logging

import pytest

from tests.http.serving import Service


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
    """It is answered 400 like any other mistake, and leaves no traceback in the log."""
    answer = await service.say(f"GET {target} HTTP/1.1", "Host: localhost")
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", ["/livez", "/asset/6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"])
async def test_a_get_that_says_its_body_is_empty_is_no_error(
    service: Service, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Content-Length: 0 with a GET is what some clients send: nothing of it is worth a line at error level."""
    answer = await service.say(f"GET {path} HTTP/1.1", "Host: localhost", "Content-Length: 0")
    assert answer.status_code in {200, 404}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
