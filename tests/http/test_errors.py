"""Errors of every kind, and headers that break stock Sanic's."""

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from service.problems import INTERNAL, PROBLEMS
from tests.http.answers import problem_of
from tests.http.serving import Service

ID = "00000000-0000-4000-8000-000000000000"
UUID_TEXT = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"

DESIGN_CODES = {
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


def test_the_table_has_every_code_of_the_design() -> None:
    """What docs/design.md promises to programs is in the table, with its status."""
    table = {(problem.code, problem.status) for problem in (INTERNAL, *PROBLEMS.values())}

    assert table >= DESIGN_CODES


@pytest.mark.parametrize(
    "path", ["/", "/asset/a/b", "/assets/", "/favicon.ico", "/asset%2F", "/metrics", "//", "/../etc"]
)
async def test_an_unknown_path_is_not_found(service: Service, path: str) -> None:
    """Where there is nothing, a problem document says so and repeats nothing of the path."""
    answer = await service.say(f"GET {path} HTTP/1.1", "Host: x")

    assert problem_of(answer) in {(404, "not_found"), (405, "method_not_allowed")}


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
    ],
)
@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"])
async def test_an_unknown_method_is_told_which_are_allowed(
    service: Service, method: str, path: str, allowed: str
) -> None:
    """405 carries the Allow header that RFC 9110 demands, whatever the method is."""
    answer = await service.say(f"{method} {path} HTTP/1.1", "Host: x")

    assert problem_of(answer) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", "))
    assert service.s3.calls == []


@pytest.mark.parametrize("path", ["/livez", "/nowhere", "/asset/nonsense", f"/asset/{ID}"])
@pytest.mark.parametrize(
    "accept", ["text", ",", "", "*", "/", "text/html", "a/b;q=x", ";", "\x7f", "é", "text/html;q=9", "," * 5_000]
)
async def test_a_malformed_accept_changes_no_answer(service: Service, path: str, accept: str) -> None:
    """Stock Sanic answers 500 to an error whose Accept it cannot read; here Accept plays no part."""
    plain = await service.say(f"GET {path} HTTP/1.1", "Host: x")
    odd = await service.say(f"GET {path} HTTP/1.1", "Host: x", f"Accept: {accept}")

    assert odd.status_code == plain.status_code < 500
    assert odd.headers["content-type"] == plain.headers["content-type"]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_no_error_repeats_what_was_sent(service: Service, method: str) -> None:
    """Nothing that a client sends comes back in an answer: not from the path, the query, a header or the body."""
    marker = "zq-marker-qz"
    answers = [
        await service.say(
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

    assert [marker in answer.text or marker in str(answer.headers) for answer in answers] == [False] * 5
    assert all(400 <= answer.status_code < 500 for answer in answers)


@pytest.mark.parametrize("given", [UUID_TEXT, UUID_TEXT.upper()])
async def test_a_request_id_that_is_a_uuid_is_kept(service: Service, given: str) -> None:
    """A caller can find its request in the service's log by the id that it sent."""
    answer = await service.client.get("/nowhere", headers={"X-Request-ID": given})

    assert answer.headers["x-request-id"] == answer.json()["request_id"] == UUID_TEXT


@pytest.mark.parametrize(
    "given",
    ["", "1", UUID_TEXT + "0", UUID_TEXT.replace("-", ""), "{" + UUID_TEXT + "}", "x" * 5_000, "é", UUID_TEXT + ", x"],
)
async def test_any_other_request_id_is_replaced(service: Service, given: str) -> None:
    """What stands in logs is a UUID, never a caller's text."""
    answer = await service.say("GET /nowhere HTTP/1.1", "Host: x", f"X-Request-ID: {given}")

    made = answer.headers["x-request-id"]
    assert str(UUID(made)) == made == answer.json()["request_id"]
    assert made != UUID_TEXT


async def test_each_request_has_an_id_of_its_own(service: Service) -> None:
    """Requests on one kept-alive connection do not share an id."""
    heard = [(await service.client.get("/livez")).headers["x-request-id"] for _ in range(3)]

    assert len(set(heard)) == 3


async def test_a_mistake_of_ours_is_internal_and_tells_nothing(service: Service) -> None:
    """An exception that nobody expected is a 500 without its text, and an error in the log with it."""
    service.s3.fails_with = LookupError("a secret detail")

    with capture_logs() as logs:
        answer = await service.client.post("/asset")

    assert problem_of(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert [(entry["event"], entry["log_level"]) for entry in logs if entry["log_level"] == "error"] == [
        ("internal_error", "error")
    ]


async def test_the_connection_is_kept_after_an_error(service: Service) -> None:
    """A client that made one mistake need not connect anew."""
    sent = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer = await service.send(sent)

    assert answer.status_code == 404
    assert b"HTTP/1.1 200 OK" in answer.content


async def test_no_answer_may_be_sniffed(service: Service) -> None:
    """Browsers take every answer for what it says it is."""
    answers = [await service.client.get(path) for path in ("/livez", "/nowhere", "/docs", "/openapi.json")]

    assert [answer.headers["x-content-type-options"] for answer in answers] == ["nosniff"] * 4
