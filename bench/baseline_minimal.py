"""The minimal baseline: the product's S3 requests, signed and sent with aiohttp, and only their status is checked.

`python -m bench.baseline_minimal serve PORT` serves the three routes, `python -m bench.baseline_minimal reconcile`
finalizes what is in `temp/`. There are no retries, deadlines, checks, logs or metrics. Presigned URLs are constants.
"""

import asyncio
import os
import ssl
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import uvloop
from sanic import HTTPResponse, Request, Sanic, empty, json
from yarl import URL

from assetuploader.keys import TEMP_PREFIX, temp_key, uploaded_key
from assetuploader.s3.sigv4 import EMPTY_SHA256, Credentials, Scope, SigningTarget, SigV4Signer
from bench.bucket import opened

CONCURRENCY: Final = 32
DOWNLOAD_URL: Final = "https://bucket.s3.eu-central-1.amazonaws.com/uploaded/constant"
_ATTRIBUTES: Final = [
    ("x-amz-meta-expires-at", "2126-01-01T00:00:00Z"),
    ("x-amz-meta-status", "marked"),
    ("x-amz-tagging", "status=marked&expires-at=2126-01-01T00%3A00%3A00Z"),
]


class MinimalS3:
    """An S3 client that sends signed requests, and fails on any status but 200."""

    def __init__(self) -> None:
        self._endpoint, self.bucket = os.environ["AWS_ENDPOINT_URL_S3"], os.environ["AWS_BUCKET"]
        self._host = urlsplit(self._endpoint).netloc
        credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        self._signer = SigV4Signer(credentials, Scope(os.environ["AWS_REGION"]), int(time.time()))
        tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=tls))

    async def send(self, method: str, key: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> str:
        """Send one request, and return the ETag of its response."""
        path = f"/{self.bucket}/{key}"
        digest = sha256(body).hexdigest() if body else EMPTY_SHA256
        signed = self._signer.sign_headers(SigningTarget(method, self._host, path), headers, digest)
        url = URL(self._endpoint + path, encoded=True)
        async with self._session.request(method, url, headers=signed, data=body or None) as response:
            await response.read()
            if response.status != 200:  # noqa: PLR2004 -- an error has other costs than a success
                raise AssertionError(f"{method} {path}: {response.status}")
            return response.headers.get("etag", "").strip('"')

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def build_app() -> Sanic[Any, Any]:
    """Build the service."""
    app: Sanic[Any, Any] = Sanic("baseline-minimal", configure_logging=False)
    app.config.MOTD = False

    @app.before_server_start
    async def start(app: Sanic[Any, Any]) -> None:
        app.ctx.s3 = MinimalS3()

    @app.after_server_stop
    async def stop(app: Sanic[Any, Any]) -> None:
        await app.ctx.s3.close()

    @app.post("/asset")
    async def create(request: Request) -> HTTPResponse:
        asset_id = str(uuid4())
        headers = [("if-none-match", "*"), *_ATTRIBUTES]
        await request.app.ctx.s3.send("PUT", uploaded_key(asset_id), headers, os.urandom(16))
        return json({"upload_url": DOWNLOAD_URL, "id": asset_id, "expires_at": "2126-01-01T00:00:00Z"}, 201)

    @app.put("/asset/<asset_id:str>")
    async def mark(request: Request, asset_id: str) -> HTTPResponse:
        s3, key = request.app.ctx.s3, uploaded_key(asset_id)
        etag = await s3.send("HEAD", key)
        await s3.send("PUT", key, [("if-match", etag), *_ATTRIBUTES], os.urandom(16))
        return empty(202)

    @app.get("/asset/<asset_id:str>")
    async def resolve(request: Request, asset_id: str) -> HTTPResponse:
        await request.app.ctx.s3.send("HEAD", uploaded_key(asset_id))
        return json({"Download_url": DOWNLOAD_URL})

    return app


async def reconcile() -> None:
    """Finalize every asset in `temp/`. The product's own client lists and deletes, one request for 1,000 objects."""
    s3 = MinimalS3()

    async def finalize(ids: list[str]) -> None:
        while ids:
            asset_id = ids.pop()
            target_etag = await s3.send("HEAD", uploaded_key(asset_id))
            source_etag = await s3.send("HEAD", temp_key(asset_id))
            headers = [
                ("if-match", target_etag),
                ("x-amz-copy-source", f"{s3.bucket}/{temp_key(asset_id)}"),
                ("x-amz-copy-source-if-match", source_etag),
                ("x-amz-metadata-directive", "REPLACE"),
                ("x-amz-tagging-directive", "REPLACE"),
                *_ATTRIBUTES,
            ]
            await s3.send("PUT", uploaded_key(asset_id), headers)

    async with opened() as bucket:
        while (listed := await bucket.store.list_objects(TEMP_PREFIX, "")).objects:
            keys = [one.key for one in listed.objects]
            ids = [key.removeprefix(TEMP_PREFIX) for key in keys]
            await asyncio.gather(*[finalize(ids) for _ in range(CONCURRENCY)])
            await bucket.store.delete_objects(keys)
    await s3.close()


if __name__ == "__main__":
    if sys.argv[1] == "reconcile":
        uvloop.run(reconcile())
    else:
        build_app().run("127.0.0.1", int(sys.argv[2]), single_process=True, access_log=False, backlog=1024)
