"""Errors of every kind, and headers that break Sanic's own error responses."""

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from service.problems import INTERNAL, PROBLEMS
from tests.support.in_process_service import Service
from tests.support.problems import problem_of

ID = "00000000-0000-4000-8000-000000000000"
UUID_TEXT = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"

API_CODES = {
    ("bad_asset_id", 400),
    ("bad_request", 400),
    ("asset_not_found", 404),
    ("asset_not_uploaded", 404),
    ("already_uploaded", 409),
    ("upload_mismatch", 409),
    ("asset_expired", 410),
    ("body_too_large", 413),
    ("store_unavailable", 503),
    ("internal", 500),
}


def test_the_table_has_every_code_of_the_api() -> None:
    """The table has every code that the API promises, with its status."""
    table = {(problem.code, problem.status) for problem in (INTERNAL, *PROBLEMS.values())}

    assert table >= API_CODES


@pytest.mark.parametrize(
    "path", ["/", "/asset/a/b", "/assets/", "/favicon.ico", "/asset%2F", "/metrics", "//", "/../etc"]
)
async def test_an_unknown_path_is_not_found(service: Service, path: str) -> None:
    """The response to an unknown path is a problem document."""
    response = await service.send_request(f"GET {path} HTTP/1.1", "Host: x")

    assert problem_of(response) in {(404, "not_found"), (405, "method_not_allowed")}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/asset", "POST"),
        ("/assets", "POST"),
        (f"/asset/{ID}", "GET, HEAD, PUT"),
        (f"/assets/{ID}", "GET, HEAD, PUT"),
        ("/healthcheck", "GET, HEAD"),
        ("/livez", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/docs/docs.js", "GET, HEAD"),
        ("/asset//", "POST"),
        (f"/asset/{ID}/", "GET, HEAD, PUT"),
    ],
)
@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"])
async def test_an_unknown_method_gets_the_allowed_ones(service: Service, method: str, path: str, allowed: str) -> None:
    """405 has the Allow header that RFC 9110 requires, for every method."""
    response = await service.send_request(f"{method} {path} HTTP/1.1", "Host: x")

    assert problem_of(response) == (405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == set(allowed.split(", "))
    assert service.s3.calls == []


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/asset/nonsense", f"/asset/{ID}"])
@pytest.mark.parametrize(
    "accept", ["text", ",", "", "*", "/", "text/html", "a/b;q=x", ";", "\x7f", "é", "text/html;q=9", "," * 5_000]
)
async def test_a_malformed_accept_changes_no_response(service: Service, path: str, accept: str) -> None:
    """Sanic alone responds 500 to an error with a malformed Accept. Here Accept is ignored."""
    plain = await service.send_request(f"GET {path} HTTP/1.1", "Host: x")
    odd = await service.send_request(f"GET {path} HTTP/1.1", "Host: x", f"Accept: {accept}")

    assert odd.status_code == plain.status_code < 500
    assert odd.headers["content-type"] == plain.headers["content-type"]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_no_error_repeats_what_was_sent(service: Service, method: str) -> None:
    """No response repeats anything of the path, the query, a header or the body."""
    marker = "zq-marker-qz"
    responses = [
        await service.send_request(
            f"{method} {path}/{marker}?timeout={marker}&{marker}=1 HTTP/1.1",
            "Host: " + marker,
            f"X-Request-ID: {marker}",
            f"Content-Type: {marker}",
            f"Cookie: {marker}",
            f"Content-Length: {len(marker)}",
            body=marker.encode(),
        )
        for path in ("", "/asset", "/assets", f"/asset/{ID}", "/docs")
    ]

    assert [marker in response.text or marker in str(response.headers) for response in responses] == [False] * 5
    assert all(400 <= response.status_code < 500 for response in responses)


@pytest.mark.parametrize("given", [UUID_TEXT, UUID_TEXT.upper(), UUID_TEXT.replace("-", "")])
async def test_a_request_id_is_kept(service: Service, given: str) -> None:
    """A client can find its request in the service's log by the id that it sent. ingress-nginx sends 32 digits."""
    response = await service.client.get("/nowhere", headers={"X-Request-ID": given})

    assert response.headers["x-request-id"] == response.json()["request_id"] == given.lower()


@pytest.mark.parametrize(
    "given",
    [
        "",
        "1",
        UUID_TEXT + "0",
        UUID_TEXT.replace("-", "", 1),
        "{" + UUID_TEXT + "}",
        "x" * 5_000,
        "é",
        UUID_TEXT + ", x",
    ],
)
async def test_any_other_request_id_is_replaced(service: Service, given: str) -> None:
    """Logs contain a UUID, never a client's text."""
    response = await service.send_request("GET /nowhere HTTP/1.1", "Host: x", f"X-Request-ID: {given}")

    new_id = response.headers["x-request-id"]
    assert str(UUID(new_id)) == new_id == response.json()["request_id"]
    assert new_id != UUID_TEXT


async def test_each_request_has_an_id_of_its_own(service: Service) -> None:
    """Requests on one kept-alive connection do not share an id."""
    received = [(await service.client.get("/livez")).headers["x-request-id"] for _ in range(3)]

    assert len(set(received)) == 3


async def test_an_unexpected_exception_is_internal_and_reveals_nothing(service: Service) -> None:
    """An unexpected exception is a 500 without its text. The log has the text."""
    service.s3.fails_with = LookupError("a secret detail")

    with capture_logs() as logs:
        response = await service.client.post("/asset")

    assert problem_of(response) == (500, "internal")
    assert "secret" not in response.text
    assert [(entry["event"], entry["log_level"]) for entry in logs if entry["log_level"] == "error"] == [
        ("internal_error", "error")
    ]


async def test_the_connection_is_kept_after_an_error(service: Service) -> None:
    """A client need not reconnect after an error."""
    sent = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    response = await service.send(sent)

    assert response.status_code == 404
    assert b"HTTP/1.1 200 OK" in response.content


async def test_no_response_may_be_sniffed(service: Service) -> None:
    """Browsers do not guess another content type."""
    responses = [await service.client.get(path) for path in ("/livez", "/nowhere", "/docs", "/openapi.json")]

    assert [response.headers["x-content-type-options"] for response in responses] == ["nosniff"] * 4
