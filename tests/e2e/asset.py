"""An asset's life, as a client outside the cluster leads it: plain HTTP, no code of the project."""

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
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body, parsed."""
        return json.loads(self.body)


def send(
    method: str,
    url: str,
    connect_to: Address | None = None,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request. Connects elsewhere than the URL says when told to, and keeps the URL's Host, which may be signed."""
    parts = urlsplit(url)
    host, port = connect_to or (parts.hostname or "", parts.port or 80)
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, {"Host": parts.netloc, **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Client:
    """A client of one service: where the API is, and where its S3 is, when that's not where the URLs say."""

    url: str
    api: Address | None = None
    s3: Address | None = None

    def is_served(self) -> bool:
        """Whether the service stores."""
        return send("POST", f"{self.url}/asset", self.api).status == 201

    def create(self) -> tuple[str, str]:
        """A new asset: its id, and its upload URL."""
        answer = send("POST", f"{self.url}/asset", self.api)
        assert answer.status == 201, answer
        created = answer.json()
        return created["id"], created["upload_url"]

    def upload(self, upload_url: str, content: bytes) -> str:
        """Send the bytes to S3; the ETag."""
        answer = send("PUT", upload_url, self.s3, content)
        assert answer.status == 200, answer
        return answer.headers["etag"]

    def mark(self, asset_id: str, etag: str | None) -> None:
        """Say that the upload is done, and with an ETag, which."""
        body = {"Status": "uploaded"} | ({"etag": etag} if etag else {})
        headers = {"Content-Type": "application/json"}
        answer = send("PUT", f"{self.url}/asset/{asset_id}", self.api, json.dumps(body).encode(), headers)
        assert answer.status == 202, answer

    def store(self, content: bytes, *, is_pinned: bool) -> str:
        """Create, upload and mark; the id."""
        asset_id, upload_url = self.create()
        etag = self.upload(upload_url, content)
        self.mark(asset_id, etag if is_pinned else None)
        return asset_id

    def look(self, asset_id: str) -> str | None:
        """The download URL, once the asset is final."""
        answer = send("GET", f"{self.url}/asset/{asset_id}", self.api)
        if answer.status == 404 and answer.json()["code"] == "asset_not_uploaded":
            return None
        assert answer.status == 200, answer
        download_url: str = answer.json()["Download_url"]
        return download_url

    def download(self, asset_id: str, seconds: float) -> bytes:
        """Wait until it is final, and fetch it."""
        url = wait_until(f"asset {asset_id} is final", lambda: self.look(asset_id), seconds)
        answer = send("GET", url, self.s3)
        assert answer.status == 200, answer
        return answer.body


@contextmanager
def connected(release: Release) -> Iterator[Client]:
    """A client of a release, outside the cluster, through port-forwards to its Service and its S3."""
    with (
        release.cluster.forward(release.namespace, f"service/{release.fullname}", "http") as api,
        release.cluster.forward(release.namespace, f"service/{release.s3_service}", "s3") as s3,
    ):
        yield Client("http://assets.example.com", ("127.0.0.1", api), ("127.0.0.1", s3))
