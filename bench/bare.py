"""The least that it can cost in Python: the same S3 calls, signed, over kept-alive connections, and nothing else.

`python -m bench.bare serve PORT` answers the three requests, `python -m bench.bare reconcile` finalizes what is in
`temp/`. No retries, deadlines, errors, checks, logs or metrics; of S3's answers only the ETag is read, and presigned
URLs are constants. What the product costs above this is what it does besides.
"""

import asyncio
import os
import re
import sys
import time
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import uvloop
from sanic import HTTPResponse, Request, Sanic, empty, json

from assetstore.protocol import TEMP_PREFIX, temp_key, uploaded_key
from assetstore.s3.connect import connect
from assetstore.s3.sigv4 import EMPTY_SHA256, Keys, Scope, Signature, Target, sign_headers

CONCURRENCY: Final = 32
_ETAG: Final = re.compile(rb'(?i)\r\netag: *"([^"]+)"')
_SAID: Final = [
    ("x-amz-meta-expires-at", "2026-01-01T00:00:00Z"),
    ("x-amz-meta-status", "marked"),
    ("x-amz-tagging", "status=marked&expires-at=2026-01-01T00%3A00%3A00Z"),
]
URL: Final = "https://bucket.s3.eu-central-1.amazonaws.com/uploaded/constant"


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.waiter.set_result(data)

    async def ask(self, request: bytes) -> bytes:
        self.waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiter


class Bare:
    """Asks S3, and believes that each answer comes in one piece and is the right one."""

    def __init__(self) -> None:
        endpoint, self.bucket = urlsplit(os.environ["AWS_ENDPOINTURL_S3"]), os.environ["AWS_BUCKET"]
        self.host, self.hostname, self.port = endpoint.netloc, endpoint.hostname or "", endpoint.port or 80
        keys = Keys(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        self.by = Signature(keys, Scope(os.environ["AWS_REGION"]), int(time.time()))
        self.idle: list[_Connection] = []

    async def ask(self, method: str, key: str, headers: list[tuple[str, str]], body: bytes = b"") -> bytes:
        """S3's answer, as it came."""
        path = f"/{self.bucket}/{key}"
        digest = sha256(body).hexdigest() if body else EMPTY_SHA256
        lines = sign_headers(Target(method, self.host, path), headers, digest, self.by)
        if self.idle:
            connection = self.idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self.hostname, self.port)
        length = f"content-length: {len(body)}\r\n" if method == "PUT" else ""
        answer = await connection.ask(f"{method} {path} HTTP/1.1\r\n{lines}{length}\r\n".encode() + body)
        self.idle.append(connection)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise AssertionError(answer[:200])  # the measurement would be of something else
        return answer

    async def etag(self, key: str) -> str:
        """The object's ETag, by a HEAD."""
        found = _ETAG.search(await self.ask("HEAD", key, []))
        if found is None:
            raise AssertionError(f"{key} has no ETag")
        return found[1].decode()


def build_app() -> Sanic[Any, Any]:
    """The service."""
    app: Sanic[Any, Any] = Sanic("bare", configure_logging=False)
    app.config.MOTD = False
    s3 = Bare()

    @app.post("/asset")
    async def create(request: Request) -> HTTPResponse:  # noqa: ARG001 -- the route's
        asset_id = str(uuid4())
        await s3.ask("PUT", uploaded_key(asset_id), [("if-none-match", "*"), *_SAID], os.urandom(16))
        return json({"upload_url": URL, "id": asset_id, "expires_at": "2026-01-01T00:00:00Z"}, 201)

    @app.put("/asset/<asset_id:str>")
    async def mark(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001
        etag = await s3.etag(uploaded_key(asset_id))
        await s3.ask("PUT", uploaded_key(asset_id), [("if-match", etag), *_SAID], os.urandom(16))
        return empty(202)

    @app.get("/asset/<asset_id:str>")
    async def resolve(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001
        await s3.ask("HEAD", uploaded_key(asset_id), [])
        return json({"Download_url": URL})

    return app


async def reconcile() -> None:
    """Finalize every asset in `temp/`; listing and deleting are the product's own, one call for a thousand."""
    s3, bucket = Bare(), connect(os.environ["AWS_REGION"], os.environ["AWS_BUCKET"], None)

    async def finalize(ids: list[str]) -> None:
        while ids:
            asset_id = ids.pop()
            target, source = await s3.etag(uploaded_key(asset_id)), await s3.etag(temp_key(asset_id))
            headers = [
                ("if-match", target),
                ("x-amz-copy-source", f"{s3.bucket}/{temp_key(asset_id)}"),
                ("x-amz-copy-source-if-match", source),
                ("x-amz-metadata-directive", "REPLACE"),
                ("x-amz-tagging-directive", "REPLACE"),
                *_SAID,
            ]
            await s3.ask("PUT", uploaded_key(asset_id), headers)

    while (page := await bucket.door.list_page(TEMP_PREFIX, "")).objects:
        keys = [listed.key for listed in page.objects]
        ids = [key.removeprefix(TEMP_PREFIX) for key in keys]
        await asyncio.gather(*[finalize(ids) for _ in range(CONCURRENCY)])
        await bucket.door.delete_many(keys)
    await bucket.close()


if __name__ == "__main__":
    if sys.argv[1] == "reconcile":
        uvloop.run(reconcile())
    else:
        build_app().run("127.0.0.1", int(sys.argv[2]), single_process=True, access_log=False, backlog=1024)
