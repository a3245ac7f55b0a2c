"""The log lines of requests."""

import pytest
from structlog.testing import capture_logs

from assetuploader.errors import (
    StoreAccessDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from service.requests import add_request_context
from tests.support.in_memory_s3 import etag_of
from tests.support.in_process_service import Service

ID = "00000000-0000-4001-8000-000000000000"


async def test_each_request_is_one_line(service: Service) -> None:
    """Each request has one line with its method, route and status, and its asset and error code, if any."""
    with capture_logs(processors=[add_request_context]) as logs:
        responses = [
            await service.client.post("/assets"),
            await service.client.put(f"/assets/{ID}", json={"Status": "uploaded"}),
            await service.client.get(f"/asset/{ID}"),
            await service.client.get("/nowhere"),
        ]

    durations = [line.pop("milliseconds") for line in logs]
    assert all(0 <= milliseconds < 5_000 for milliseconds in durations)
    assert logs == [
        {
            "event": "request_finished",
            "log_level": "info",
            "request_id": response.headers["x-request-id"],
            "method": method,
            "route": route,
            "status": status,
        }
        | rest
        for response, (method, route, status, rest) in zip(
            responses,
            [
                ("POST", "/asset", 201, {"asset_id": ID}),
                ("PUT", "/asset/{id}", 202, {"asset_id": ID}),
                ("GET", "/asset/{id}", 404, {"asset_id": ID, "code": "asset_not_uploaded"}),
                ("GET", "unmatched", 404, {"code": "not_found"}),
            ],
            strict=True,
        )
    ]


async def test_health_checks_that_pass_are_quiet(service: Service) -> None:
    """Probes come every few seconds. They are logged at debug while they pass, and at info when they fail."""
    with capture_logs() as logs:
        for path in ("/livez", "/readyz", "/healthcheck"):
            await service.client.get(path)
        service.readiness.is_draining = True
        await service.client.get("/readyz")

    assert [(line["route"], line["log_level"]) for line in logs] == [
        ("/livez", "debug"),
        ("/readyz", "debug"),
        ("/healthcheck", "debug"),
        ("/readyz", "info"),
    ]


async def test_the_line_of_a_request_has_nothing_of_the_one_before(service: Service) -> None:
    """The requests of a kept-alive connection share a logging context, and each one replaces the ids in it."""
    with capture_logs(processors=[add_request_context]) as logs:
        await service.client.get(f"/asset/{ID}")
        await service.client.get("/nowhere")

    assert ["asset_id" in line for line in logs] == [True, False]


async def test_no_line_holds_a_presigned_url(service: Service) -> None:
    """A presigned URL is a bearer token. No line has a part of one, in the whole life of an asset and in errors."""
    with capture_logs(processors=[add_request_context]) as logs:
        asset_id, upload_url = await service.create()
        service.s3.put(upload_url, b"bytes")
        await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded", "etag": etag_of(b"bytes")})
        final_id = await service.finalize()
        download_url = (await service.client.get(f"/asset/{final_id}")).json()["Download_url"]
        await service.client.get("/asset/" + upload_url.removeprefix("https://"))
        await service.client.get(f"/asset/{asset_id}", params={"timeout": download_url})
        await service.client.put(f"/asset/{asset_id}", content=upload_url)

    written = repr(logs)
    assert len(logs) == 7
    assert [part for part in ("X-Amz", "Signature", "s3.test", "https:") if part in written] == []


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (StoreUnavailableError("S3 could not be reached (ConnectTimeoutError)"), "warning"),
        (StoreAccessDeniedError("S3 responds 403"), "error"),
        (StoreMisconfiguredError("the bucket does not exist"), "warning"),
        (StoreUnsupportedError("the store ignores conditions"), "warning"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else value.kind,
)
async def test_the_reason_of_a_failure_is_logged(service: Service, error: StoreError, level: str) -> None:
    """The log has the reason, which the response does not have. Its level depends on the kind of error."""
    service.s3.fails_with = error

    with capture_logs() as logs:
        await service.client.post("/asset")

    assert [(line["event"], line["log_level"], line.get("reason")) for line in logs] == [
        ("store_request_failed", level, str(error)),
        ("request_finished", "info", None),
    ]
