"""The layers between the minimal baseline and the service: what each part of the product costs.

`python -m bench.layers s3-client PORT` is the minimal baseline with the product's S3 client in place of aiohttp alone:
limits, timeouts, retries and errors. `python -m bench.layers asset-service PORT` adds the asset's lifecycle: states
checked, placeholders written, URLs signed. On top of that, `assetuploader serve` checks requests, assigns request ids,
sets a deadline, maps errors to problem documents, counts metrics and writes a log line.
"""

import os
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sanic import HTTPResponse, Request, Sanic, empty, json

from assetuploader.asset_service import AssetService
from assetuploader.keys import uploaded_key
from assetuploader.s3.bucket import open_bucket
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import ObjectAttributes
from bench.baseline_minimal import DOWNLOAD_URL

_STATE = {"status": "marked", "expires-at": "2126-01-01T00:00:00Z"}


def build_s3_client_app() -> Sanic[Any, Any]:
    """Build the minimal baseline on the product's S3 client."""
    app: Sanic[Any, Any] = Sanic("s3-client", configure_logging=False)
    attributes = ObjectAttributes(_STATE, _STATE)

    @app.before_server_start
    async def start(app: Sanic[Any, Any]) -> None:
        app.ctx.s3 = open_bucket(os.environ["AWS_REGION"], os.environ["AWS_BUCKET"], None).store

    @app.post("/asset")
    async def post(request: Request) -> HTTPResponse:
        asset_id = str(uuid4())
        await request.app.ctx.s3.put_object(uploaded_key(asset_id), os.urandom(16), attributes, if_none_match="*")
        return json({"upload_url": DOWNLOAD_URL, "id": asset_id, "expires_at": "2126-01-01T00:00:00Z"}, 201)

    @app.put("/asset/<asset_id:str>")
    async def put(request: Request, asset_id: str) -> HTTPResponse:
        s3, key = request.app.ctx.s3, uploaded_key(asset_id)
        etag = (await s3.head_object(key)).etag
        await s3.put_object(key, os.urandom(16), attributes, if_match=etag)
        return empty(202)

    @app.get("/asset/<asset_id:str>")
    async def get(request: Request, asset_id: str) -> HTTPResponse:
        await request.app.ctx.s3.head_object(uploaded_key(asset_id))
        return json({"Download_url": DOWNLOAD_URL})

    return app


def build_asset_service_app() -> Sanic[Any, Any]:
    """Build the asset's lifecycle on the product's S3 client."""
    app: Sanic[Any, Any] = Sanic("asset-service", configure_logging=False)

    @app.before_server_start
    async def start(app: Sanic[Any, Any]) -> None:
        bucket = open_bucket(os.environ["AWS_REGION"], os.environ["AWS_BUCKET"], None)
        app.ctx.assets = AssetService(bucket.store, bucket.presigner, LifecyclePolicy(), uuid4, lambda: os.urandom(16))

    @app.post("/asset")
    async def post(request: Request) -> HTTPResponse:
        created = await request.app.ctx.assets.create()
        expires_at = created.upload.expires_at.isoformat()
        return json({"upload_url": created.upload.url, "id": created.asset_id, "expires_at": expires_at}, 201)

    @app.put("/asset/<asset_id:str>")
    async def put(request: Request, asset_id: str) -> HTTPResponse:
        await request.app.ctx.assets.mark(asset_id, None, datetime.now(UTC))
        return empty(202)

    @app.get("/asset/<asset_id:str>")
    async def get(request: Request, asset_id: str) -> HTTPResponse:
        download = await request.app.ctx.assets.resolve(asset_id, 900, datetime.now(UTC))
        return json({"Download_url": download.url})

    return app


if __name__ == "__main__":
    served = build_s3_client_app() if sys.argv[1] == "s3-client" else build_asset_service_app()
    served.config.MOTD = False
    served.run("127.0.0.1", int(sys.argv[2]), single_process=True, access_log=False, backlog=1024)
