"""The requests of a user's client, by plain HTTP."""

import os
import time
from dataclasses import dataclass, field

import urllib3

FINAL_SECONDS = 60.0
POLL_INTERVAL_SECONDS = 0.25
"""Twenty clients that poll much more often would measure themselves."""


@dataclass(slots=True)
class Asset:
    """One asset, from its client's point of view."""

    asset_id: str
    upload_url: str
    body: bytes = field(repr=False)
    etag: str = ""
    marked_at: float = 0.0
    """When the response to its mark came; seconds of the monotonic clock."""
    available_at: float = 0.0
    """When the response to its download came."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the service at this URL."""

    url: str
    http: urllib3.PoolManager

    def create(self, body: bytes | None = None) -> Asset:
        """Create an asset and send its bytes to S3."""
        created = self.http.request("POST", f"{self.url}/asset").json()
        asset = Asset(created["id"], created["upload_url"], body if body is not None else os.urandom(2_000))
        assert self.upload(asset, asset.body) == 200
        return asset

    def upload(self, asset: Asset, body: bytes) -> int:
        """Send bytes to S3; return the status of the response."""
        response = self.http.request("PUT", asset.upload_url, body=body)
        if response.status == 200:
            asset.body, asset.etag = body, response.headers["ETag"]
        return response.status

    def mark(self, asset: Asset, *, pinned: bool) -> int:
        """Mark the asset; return the status of the response."""
        body = {"Status": "uploaded", **({"etag": asset.etag} if pinned else {})}
        status = self.http.request("PUT", f"{self.url}/asset/{asset.asset_id}", json=body).status
        asset.marked_at = time.monotonic()
        return status

    def download(self, asset: Asset) -> bytes | None:
        """Return the asset's bytes, None while it is not final."""
        response = self.http.request("GET", f"{self.url}/asset/{asset.asset_id}")
        if response.status == 404:
            assert response.json()["code"] == "asset_not_uploaded"
            return None
        downloaded = self.http.request("GET", response.json()["Download_url"])
        assert downloaded.status == 200
        return downloaded.data

    def await_final(self, asset: Asset) -> bytes:
        """Wait until the asset is final, and return its bytes."""
        deadline = time.monotonic() + FINAL_SECONDS
        while (body := self.download(asset)) is None:
            assert time.monotonic() < deadline, f"{asset.asset_id} is not final within {FINAL_SECONDS} s"
            time.sleep(POLL_INTERVAL_SECONDS)
        asset.available_at = time.monotonic()
        return body
