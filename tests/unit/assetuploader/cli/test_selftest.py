"""`assetuploader selftest` prints each step, and the reason when one fails."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from assetuploader.cli.selftest import selftest
from dev.seaweedfs import free_port
from tests.support.fake_service import ID, FakeService, fake_service


@pytest.fixture
def service() -> Iterator[FakeService]:
    """Run a service that works."""
    with fake_service() as running:
        yield running


def test_each_step_is_printed(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    """The output shows the asset's whole lifecycle and its duration; the URL may end with a slash."""
    service.waits = 1
    code = selftest(service.url + "/", None)

    output = capsys.readouterr().out.splitlines()
    assert code == 0
    assert output[:-1] == [
        f"✓ POST /asset: created {ID}",
        "✓ PUT to S3: 1024 bytes",
        f"✓ PUT /asset/{ID}: marked and pinned",
        f"✓ GET /asset/{ID}: final",
        "✓ GET from S3: the same bytes",
    ]
    assert output[-1].startswith(f"✓ asset {ID}: complete in ")
    assert [(method, path) for method, path, _ in service.requests] == [
        ("POST", "/asset"),
        ("PUT", "/temp"),
        ("PUT", f"/asset/{ID}"),
        ("GET", f"/asset/{ID}"),
        ("GET", f"/asset/{ID}"),
        ("GET", "/uploaded"),
    ]


def test_s3_can_be_reached_under_another_address(service: FakeService) -> None:
    """The signature covers the URLs' host, so the client connects to the address and sends the same host."""
    service.public_url = "http://s3.example.com"
    address = urlsplit(service.url)

    assert selftest(service.url, (str(address.hostname), int(address.port or 0))) == 0
    hosts = {host for _, path, host in service.requests if path in {"/temp", "/uploaded"}}
    assert hosts == {"s3.example.com"}


@pytest.mark.parametrize(
    ("step", "response", "reason"),
    [
        (
            ("POST", "/asset"),
            (500, {"code": "internal_error", "detail": "A bug [sorry]."}),
            "POST {url}/asset: 500 internal_error instead of 201. A bug [sorry]",
        ),
        (("POST", "/asset"), (201, {"id": ID}), "POST /asset: the response has no upload_url"),
        (("POST", "/asset"), (201, ["nonsense"]), "POST /asset: 201, and the response is not a JSON object"),
        (("POST", "/asset"), (201, b"<html>"), "POST /asset: 201, and the response is not a JSON object"),
        (("PUT", "/temp"), (403, b"<Error/>"), "PUT to the upload URL: 403 instead of 200"),
        (("PUT", "/temp"), (200, b""), "PUT to the upload URL: the response has no etag"),
        (
            ("PUT", f"/asset/{ID}"),
            (409, {"code": "upload_mismatch", "detail": "Other bytes."}),
            f"PUT /asset/{ID}: 409 upload_mismatch instead of 202. Other bytes",
        ),
        (
            ("GET", f"/asset/{ID}"),
            (410, {"code": "asset_expired", "detail": "Gone."}),
            f"GET /asset/{ID}: 410 asset_expired instead of 200. Gone",
        ),
        (("GET", f"/asset/{ID}"), (200, {}), f"GET /asset/{ID}: the response has no Download_url"),
        (("GET", "/uploaded"), (403, b"<Error/>"), "GET from the download URL: 403 instead of 200"),
        (("GET", "/uploaded"), (200, b"other bytes"), "the download differs from the upload"),
    ],
)
def test_a_step_that_fails_is_named_with_its_reason(
    service: FakeService,
    capsys: pytest.CaptureFixture[str],
    step: tuple[str, str],
    response: tuple[int, Any],
    reason: str,
) -> None:
    """It exits with 1 and shows the response beside the expected one; never a traceback, never a presigned URL."""
    service.responses[step] = response

    assert selftest(service.url, None) == 1
    output = capsys.readouterr().out
    assert output.splitlines()[-1] == f"✗ {reason}".replace("{url}", service.url)
    assert "Signature" not in output


def test_a_service_that_starts_is_waited_for(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    """After a 503, from the service or from a proxy in front of it, it tries again, and prints the reason once."""
    unavailable = {"code": "store_unavailable", "detail": "S3 does not respond."}
    service.starting = [(503, b"<html>"), (503, unavailable)]

    assert selftest(service.url, None) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[:2] == [
        f"- POST {service.url}/asset: 503 instead of 201. Waiting up to 60 s",
        f"✓ POST /asset: created {ID}",
    ]


def test_a_service_that_does_not_become_ready_is_named(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the time that a start may take, it prints the last reason and the URL, and exits with 1."""
    service.responses["POST", "/asset"] = (503, {"code": "store_unavailable", "detail": "S3 does not respond."})

    assert selftest(service.url, None, start_timeout_seconds=0) == 1
    assert capsys.readouterr().out == (
        f"✗ POST {service.url}/asset: 503 store_unavailable instead of 201. S3 does not respond. "
        "Waited 0 s: is the service ready?\n"
    )


def test_a_service_that_does_not_respond_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a response, it prints one line with the URL after the time that a start may take."""
    url = f"http://127.0.0.1:{free_port()}"

    assert selftest(url, None, start_timeout_seconds=0) == 1
    assert capsys.readouterr().out == (
        f"✗ POST {url}/asset: no response (ClientConnectorError). Waited 0 s: is the service ready?\n"
    )


def test_an_s3_that_does_not_respond_is_named_without_the_signature(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the client cannot reach the address in the URL, the line names that address and the remedy."""
    service.public_url = f"http://127.0.0.1:{free_port()}"

    assert selftest(service.url, None) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"✗ PUT to the upload URL: no response (ClientConnectorError) from {service.public_url}. "
        "Is S3 elsewhere? See --connect-to"
    )


def test_an_address_of_s3_that_does_not_respond_is_named(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --connect-to, the line names the address that was connected to."""
    service.public_url = "http://s3.example.com"
    port = free_port()

    assert selftest(service.url, ("127.0.0.1", port)) == 1
    assert f"from 127.0.0.1:{port}. Is S3" in capsys.readouterr().out
