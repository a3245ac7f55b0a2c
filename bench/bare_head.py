"""The least that a GET can cost: Sanic, and one HEAD to S3 whose answer is not even read.

`python -m bench.bare_head PORT`. No retries, deadlines, errors, signed URL, log or metrics;
the same signature, and kept-alive connections.
"""

import asyncio
import os
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from sanic import HTTPResponse, Request, Sanic, json

from assetstore.s3.sigv4 import EMPTY_SHA256, Keys, Scope, Signature, Target, sign_headers


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.waiter.set_result(data)

    async def ask(self, request: bytes) -> bytes:
        self.waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiter


def build_app() -> Sanic[Any, Any]:
    """The application."""
    app: Sanic[Any, Any] = Sanic("bare-head", configure_logging=False)
    app.config.MOTD = False
    endpoint, bucket = urlsplit(os.environ["AWS_ENDPOINT_URL_S3"]), os.environ["AWS_BUCKET"]
    keys = Keys(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    by = Signature(keys, Scope(os.environ["AWS_REGION"]), int(time.time()))
    idle: list[_Connection] = []

    @app.get("/asset/<asset_id:str>")
    async def answer(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001 -- the route's
        path = f"/{bucket}/uploaded/{asset_id}"
        lines = sign_headers(Target("HEAD", endpoint.netloc, path), (), EMPTY_SHA256, by)
        if idle:
            connection = idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, endpoint.hostname or "", endpoint.port or 80)
        head = await connection.ask(f"HEAD {path} HTTP/1.1\r\n{lines}\r\n".encode())
        idle.append(connection)
        if not head.startswith(b"HTTP/1.1 200"):
            raise AssertionError(head[:40])  # the measurement would be of something else
        return json({"Download_url": "https://bucket.s3.eu-central-1.amazonaws.com/uploaded/constant"})

    return app


if __name__ == "__main__":
    build_app().run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, backlog=1024)
