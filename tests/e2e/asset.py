"""A client outside the cluster that creates, uploads, marks and downloads assets, without the product's code."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.cluster import Release, wait_until

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the parsed body."""
        return json.loads(self.body)


def send(
    method: str,
    url: str,
    connect_to: Address | None = None,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Send one request. With `connect_to`, connect there, but keep the URL's host in the request: it may be signed."""
    parts = urlsplit(url)
    host, port = connect_to or (parts.hostname or "", parts.port or 80)
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, {"Host": parts.netloc, **(headers or {})})
        response = connection.getresponse()
        return Response(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Client:
    """A client of one release, with the addresses of its API and its S3 if they differ from those in the URLs."""

    url: str
    api: Address | None = None
    s3: Address | None = None

    def can_create(self) -> bool:
        """Return whether the API creates assets."""
        return send("POST", f"{self.url}/asset", self.api).status == 201

    def create(self) -> tuple[str, str]:
        """Create an asset; return its id and its upload URL."""
        response = send("POST", f"{self.url}/asset", self.api)
        assert response.status == 201, response
        created = response.json()
        return created["id"], created["upload_url"]

    def upload(self, upload_url: str, content: bytes) -> str:
        """Upload the bytes to S3; return the ETag."""
        response = send("PUT", upload_url, self.s3, content)
        assert response.status == 200, response
        return response.headers["etag"]

    def mark(self, asset_id: str, etag: str | None) -> None:
        """Mark the upload as done; with an ETag, pin it."""
        body = {"Status": "uploaded"} | ({"etag": etag} if etag else {})
        headers = {"Content-Type": "application/json"}
        response = send("PUT", f"{self.url}/asset/{asset_id}", self.api, json.dumps(body).encode(), headers)
        assert response.status == 202, response

    def store(self, content: bytes, *, is_pinned: bool) -> str:
        """Create, upload and mark an asset; return its id."""
        asset_id, upload_url = self.create()
        etag = self.upload(upload_url, content)
        self.mark(asset_id, etag if is_pinned else None)
        return asset_id

    def create_in_parts(self, size: int) -> "PartsUpload":
        """Create an asset that is uploaded in parts."""
        created = self.post("/v1/assets", {"multipart": True, "size": size}, 201)
        upload = created["upload"]
        return PartsUpload(self, created["id"], upload["upload_id"], upload["part_size"], upload["part_count"])

    def post(self, path: str, members: object, status: int) -> Any:  # noqa: ANN401 - JSON
        """Send JSON to the API; require this status, and return the parsed response."""
        headers = {"Content-Type": "application/json"}
        response = send("POST", f"{self.url}{path}", self.api, json.dumps(members).encode(), headers)
        assert response.status == status, response
        return response.json()

    def cancel(self, asset_id: str) -> None:
        """Cancel an asset that waits for its bytes."""
        response = send("DELETE", f"{self.url}/v1/assets/{asset_id}", self.api)
        assert response.status == 204, response

    def download_url(self, asset_id: str) -> str | None:
        """Return the download URL, or None while the asset is not final."""
        response = send("GET", f"{self.url}/asset/{asset_id}", self.api)
        if response.status == 404 and response.json()["code"] == "asset_not_uploaded":
            return None
        assert response.status == 200, response
        url: str = response.json()["Download_url"]
        return url

    def download(self, asset_id: str, seconds: float) -> bytes:
        """Wait until the asset is final, and return its bytes."""
        url = wait_until(f"asset {asset_id} is final", lambda: self.download_url(asset_id), seconds)
        response = send("GET", url, self.s3)
        assert response.status == 200, response
        return response.body


@dataclass(frozen=True, slots=True)
class PartsUpload:
    """An upload in parts."""

    client: Client
    asset_id: str
    upload_id: str
    part_size: int
    part_count: int

    def send_part(self, number: int, content: bytes) -> Response:
        """Send one part of this content to a URL of its own; return S3's response."""
        members = {"upload_id": self.upload_id, "part_numbers": [number]}
        [part] = self.client.post(f"/v1/assets/{self.asset_id}/parts", members, 200)["parts"]
        first = (number - 1) * self.part_size
        return send("PUT", part["url"], self.client.s3, content[first : first + self.part_size])

    def complete(self, etags: list[str]) -> str:
        """Complete the upload with parts of these ETags; return the asset's status."""
        parts = [{"number": number, "etag": etag} for number, etag in enumerate(etags, 1)]
        members = {"upload_id": self.upload_id, "parts": parts}
        status: str = self.client.post(f"/v1/assets/{self.asset_id}/complete", members, 200)["status"]
        return status


@contextmanager
def connected(release: Release) -> Iterator[Client]:
    """Connect a client to a release through port-forwards to its Service and its S3."""
    with (
        release.cluster.forward(release.namespace, f"service/{release.fullname}", "http") as api,
        release.cluster.forward(release.namespace, f"service/{release.s3_service}", "s3") as s3,
    ):
        yield Client("http://assets.example.com", ("127.0.0.1", api), ("127.0.0.1", s3))
