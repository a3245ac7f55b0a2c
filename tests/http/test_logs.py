"""What the service writes about requests."""

import pytest
from structlog.testing import capture_logs

from assetstore.errors import StoreUnavailableError
from service.requests import name_request
from tests.http.serving import Service
from tests.memory_s3 import etag_of

ID = "00000000-0000-4001-8000-000000000000"


async def test_each_request_is_one_line(service: Service) -> None:
    """One canonical line for each request says what was asked, of which asset, and how it was answered."""
    with capture_logs(processors=[name_request]) as logs:
        answers = [
            await service.client.post("/assets"),
            await service.client.put(f"/assets/{ID}", json={"Status": "uploaded"}),
            await service.client.get(f"/asset/{ID}"),
            await service.client.get("/nowhere"),
        ]

    seconds = [line.pop("milliseconds") for line in logs]
    assert all(0 <= elapsed < 5_000 for elapsed in seconds)
    assert logs == [
        {
            "event": "request_finished",
            "log_level": "info",
            "request_id": answer.headers["x-request-id"],
            "method": method,
            "route": route,
            "status": status,
        }
        | rest
        for answer, (method, route, status, rest) in zip(
            answers,
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
    """Probes every few seconds would bury all else: at info they are not seen while they pass, and are when not."""
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


async def test_nothing_of_one_request_stands_in_the_line_of_the_next(service: Service) -> None:
    """Requests of a kept-alive connection share a context, in which each names itself."""
    with capture_logs(processors=[name_request]) as logs:
        await service.client.get(f"/asset/{ID}")
        await service.client.get("/nowhere")

    assert ["asset_id" in line for line in logs] == [True, False]


async def test_no_line_holds_a_presigned_url(service: Service) -> None:
    """A presigned URL is a bearer token: no line has any part of one, through a whole life and its errors."""
    with capture_logs(processors=[name_request]) as logs:
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


@pytest.mark.parametrize("text", ["S3 could not be reached (ConnectTimeoutError)"])
async def test_why_a_request_failed_is_written(service: Service, text: str) -> None:
    """The operator reads the reason that the client is not told."""
    service.s3.fails_with = StoreUnavailableError(text)

    with capture_logs() as logs:
        await service.client.post("/asset")

    assert [(line["event"], line["log_level"], line.get("reason")) for line in logs] == [
        ("store_failed", "warning", text),
        ("request_finished", "info", None),
    ]
