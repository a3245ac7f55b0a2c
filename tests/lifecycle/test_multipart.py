"""Uploads in parts on a real S3 server: interrupted, resumed, completed, cancelled, and refused on a lax store."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from assetuploader.parts import MIN_PART_BYTES
from dev.seaweedfs import HOST, LocalS3
from tests.support.fault_proxy import Fault, running_proxy
from tests.support.http_messages import Message
from tests.support.processes import Service, ended, serving
from tests.support.product import await_until
from tests.support.stores import raw_client

PART_BYTES: Final = 16 * 1024**2
SIZE: Final = 2 * PART_BYTES + 5


@pytest.fixture(scope="module")
def environment(s3: LocalS3) -> dict[str, str]:
    """Files of more than 5 MiB are uploaded in parts."""
    return {
        **s3.environment(),
        "ASSETUPLOADER_MULTIPART_BYTES": str(MIN_PART_BYTES),
        "ASSETUPLOADER_DELETES": "true",
    }


@pytest.fixture(scope="module")
def service(environment: dict[str, str]) -> Iterator[Service]:
    """A service that stays."""
    with serving(environment) as running:
        yield running


@dataclass(slots=True)
class Uploader:
    """A client that holds one asset."""

    service: Service
    created: Mapping[str, Any]
    etags: dict[int, str] = field(default_factory=dict)

    def call(self, method: str, path: str, members: object = None) -> tuple[int, dict[str, Any]]:
        """Send a request about the asset; return the status and the JSON of the response."""
        url = f"{self.service.url}/v1/assets/{self.created['id']}{path}"
        response = self.service.http.request(method, url, json=members)
        return response.status, response.json() if response.data else {}

    @property
    def upload_id(self) -> str:
        """The id of the upload."""
        text: str = self.created["upload"]["upload_id"]
        return text

    def send(self, body: bytes, *numbers: int) -> None:
        """Send these parts of the file, all at once."""
        status, urls = self.call("POST", "/parts", {"upload_id": self.upload_id, "part_numbers": numbers})
        assert status == 200

        def put(part: Mapping[str, Any]) -> tuple[int, str]:
            begin = (part["number"] - 1) * PART_BYTES
            sent = body[begin : begin + PART_BYTES]
            assert part["headers"] == {"content-length": str(len(sent))}
            response = self.service.http.request("PUT", part["url"], body=sent)
            assert response.status == 200
            return part["number"], response.headers["ETag"]

        with ThreadPoolExecutor(4) as threads:
            self.etags.update(threads.map(put, urls["parts"]))

    def list(self) -> dict[int, str]:
        """Return the ETags of the parts that S3 has."""
        status, listed = self.call("GET", f"/parts?upload_id={self.upload_id}")
        assert status == 200
        return {part["number"]: part["etag"] for part in listed["parts"]}

    def complete(self) -> tuple[int, dict[str, Any]]:
        """Complete the upload with all parts."""
        parts = [{"number": number, "etag": etag} for number, etag in self.etags.items()]
        return self.call("POST", "/complete", {"upload_id": self.upload_id, "parts": parts})


def create(service: Service, **declared: object) -> Uploader:
    """Create an asset."""
    response = service.http.request("POST", f"{service.url}/v1/assets", json=declared)
    assert response.status == 201, response.data
    return Uploader(service, response.json())


def open_uploads(s3: LocalS3) -> list[str]:
    """Return the keys of the uploads that are neither completed nor aborted."""
    found = raw_client(s3.endpoint_url).list_multipart_uploads(Bucket=s3.bucket).get("Uploads", [])
    return [upload["Key"] for upload in found]


def test_an_upload_survives_the_service(environment: dict[str, str], s3: LocalS3) -> None:
    """It is killed in the middle. Another one lists what S3 has, and the client sends the rest: the same bytes."""
    body = os.urandom(SIZE)
    with serving(environment) as killed:
        uploader = create(killed, size=SIZE, filename="large.bin", content_type="application/x-test")
        upload = uploader.created["upload"]
        assert (upload["method"], upload["part_size"], upload["part_count"]) == ("multipart", PART_BYTES, 3)
        uploader.send(body, 3, 1)
        killed.program.end(signal.SIGKILL)
    with serving(environment) as service:
        resumed = Uploader(service, uploader.created)
        resumed.etags = resumed.list()
        assert resumed.etags == {number: etag.strip('"') for number, etag in uploader.etags.items()}
        resumed.send(body, *({1, 2, 3} - resumed.etags.keys()))
        status, final = resumed.complete()
        assert (status, final["status"], final["size"]) == (200, "uploaded", SIZE)
        assert resumed.complete() == (200, final | {"download_url": resumed.call("GET", "")[1]["download_url"]})
        download = service.http.request("GET", final["download_url"])
    assert (download.status, download.data == body) == (200, True)
    assert download.headers["Content-Type"] == "application/x-test"
    assert "large.bin" in download.headers["Content-Disposition"]
    assert f"uploaded/{uploader.created['id']}" not in open_uploads(s3)
    assert ended(["reconcile"], environment).returncode == 0
    keys = [found["Key"] for found in raw_client(s3.endpoint_url).list_objects_v2(Bucket=s3.bucket)["Contents"]]
    assert f"temp/{uploader.created['id']}" not in keys
    assert f"uploaded/{uploader.created['id']}" in keys


def test_a_cancelled_upload_leaves_nothing_that_is_paid_for(
    service: Service, environment: dict[str, str], s3: LocalS3
) -> None:
    """The next run aborts it, with the parts that were sent."""
    uploader = create(service, multipart=True, size=3)
    uploader.send(b"abc", 1)
    key = f"uploaded/{uploader.created['id']}"
    assert key in open_uploads(s3)
    assert uploader.call("DELETE", "")[0] == 204
    assert uploader.complete()[0] == 410

    assert ended(["reconcile"], environment).returncode == 0

    assert key not in open_uploads(s3)
    assert uploader.call("GET", "")[1]["status"] == "expired"


@pytest.mark.parametrize("upload_id", ["made-up", "..", "../x", "a/b", ".", "a\\b", "%00", "<x>", "a" * 1024])
def test_an_upload_that_the_client_makes_up_is_lost(service: Service, upload_id: str) -> None:
    """Whatever text it is, the response blames the client, and the asset stays as it is."""
    uploader = create(service, multipart=True, size=3)
    uploader.send(b"abc", 1)
    path = f"{service.url}/v1/assets/{uploader.created['id']}"
    listed = service.http.request("GET", f"{path}/parts", fields={"upload_id": upload_id})
    assert (listed.status, listed.json()["code"]) == (409, "upload_lost")
    members = {"upload_id": upload_id, "parts": [{"number": 1, "etag": uploader.etags[1]}]}
    status, problem = uploader.call("POST", "/complete", members)
    assert (status, problem["code"] in {"upload_lost", "parts_mismatch"}) == (409, True)
    assert uploader.complete()[0] == 200


# --- a store that lacks something -------------------------------------------------------------------------------------


async def _try_behind(fault: Callable[[Message], Fault], s3: LocalS3, check: Callable[[Service], None]) -> None:
    """Run a service on S3 with this fault, and check it."""

    def run(port: int) -> None:
        with serving({**s3.environment(), "AWS_ENDPOINT_URL_S3": f"http://{HOST}:{port}"}) as service:
            check(service)
            assert service.program.end(signal.SIGTERM) == 0

    async with running_proxy(HOST, s3.port, lambda request: (fault(request), 0.0)) as proxy:
        await asyncio.to_thread(run, proxy.port)


def _post(service: Service, **declared: object) -> tuple[int, str]:
    response = service.http.request("POST", f"{service.url}/v1/assets", json=declared)
    members = response.json()
    return response.status, members["upload"]["method"] if response.status == 201 else members["code"]


async def test_a_store_that_takes_no_parts_takes_everything_else(s3: LocalS3) -> None:
    """The log says why. What needs no parts is uploaded with one PUT."""

    def refuse_parts(request: Message) -> Fault:
        return Fault.FAILED if request.method == "PUT" and "partNumber=" in request.target else Fault.NONE

    def check(service: Service) -> None:
        [event] = service.program.events("multipart_unsupported")
        assert (event["level"], event["reason"]) == ("warning", "this store responds 412 to a part, or sends no ETag")
        assert service.program.events("declaration_unsupported") == []
        assert _post(service, multipart=True) == (422, "multipart_unsupported")
        assert _post(service, size=6 * 1024**3) == (422, "multipart_unsupported")
        assert _post(service, size=200 * 1024**2) == (201, "PUT")
        assert _post(service) == (201, "PUT")

    await _try_behind(refuse_parts, s3, check)


async def test_a_store_that_enforces_no_declaration_takes_parts(s3: LocalS3) -> None:
    """The log names what it lacks, one by one."""

    def refuse_declared(request: Message) -> Fault:
        is_declared = request.method == "PUT" and "temp/_probe" in request.target
        return Fault.FAILED if is_declared else Fault.NONE

    def check(service: Service) -> None:
        events = service.program.events("declaration_unsupported")
        assert [event["declaration"] for event in events] == ["checksum", "content_type", "size"]
        assert service.program.events("multipart_unsupported") == []
        assert _post(service, size=1) == (422, "size_unsupported")
        assert _post(service, size=1, multipart=True) == (201, "multipart")

    await _try_behind(refuse_declared, s3, check)


async def test_a_store_without_problems_is_not_logged(s3: LocalS3) -> None:
    """Nothing is refused."""

    def check(service: Service) -> None:
        assert service.program.events("declaration_unsupported") == []
        assert service.program.events("multipart_unsupported") == []
        assert _post(service, multipart=True) == (201, "multipart")

    await _try_behind(lambda _: Fault.NONE, s3, check)


async def test_a_store_that_fails_only_the_check_of_parts_takes_everything_else(s3: LocalS3) -> None:
    """Clients that need parts are told to come back, and the check is repeated until it has a result."""
    is_failing = True

    def fail_parts(request: Message) -> Fault:
        return Fault.BROKEN if is_failing and request.method == "POST" and "uploads" in request.target else Fault.NONE

    def check(service: Service) -> None:
        nonlocal is_failing
        event = service.program.await_event("multipart_unverified")
        assert event["reason"].startswith("S3 responds 500")
        assert _post(service, multipart=True) == (503, "store_unavailable")
        assert _post(service, size=200 * 1024**2) == (201, "PUT")
        assert _post(service) == (201, "PUT")
        is_failing = False
        await_until("the check has a result", lambda: _post(service, multipart=True) == (201, "multipart"))

    await _try_behind(fail_parts, s3, check)
