"""The rungs between bare S3 calls and the service: what each of the service's parts costs beside the one before.

`python -m bench.rungs transport PORT`: bare's three handlers, with the product's transport in place of bare calls:
whole, checked answers, bounded and fair connections, time limits, retries, errors.
`python -m bench.rungs life PORT`: also the asset's life: states read and checked, placeholders written, URLs signed.
The service has on top: what clients send checked, ids, one deadline, problem documents, metrics and a line of log.
"""

import os
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sanic import HTTPResponse, Request, Sanic, empty, json

from assetstore.assets import Assets, create, mark, resolve
from assetstore.door import Said
from assetstore.protocol import Rules, uploaded_key
from assetstore.s3.connect import connect
from bench.bare import URL

_SAID = Said({"status": "marked", "expires-at": "2026-01-01T00:00:00Z"}, {"status": "marked", "expires-at": "2026"})


def build_transport() -> Sanic[Any, Any]:
    """The product's transport, and nothing else of it."""
    app: Sanic[Any, Any] = Sanic("transport", configure_logging=False)
    door = connect(os.environ["AWS_REGION"], os.environ["AWS_BUCKET"], None).door

    @app.post("/asset")
    async def post(request: Request) -> HTTPResponse:  # noqa: ARG001 -- the route's
        asset_id = str(uuid4())
        await door.put_if(uploaded_key(asset_id), os.urandom(16), _SAID, etag=None)
        return json({"upload_url": URL, "id": asset_id, "expires_at": "2026-01-01T00:00:00Z"}, 201)

    @app.put("/asset/<asset_id:str>")
    async def put(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001
        head = await door.head(uploaded_key(asset_id))
        await door.put_if(uploaded_key(asset_id), os.urandom(16), _SAID, etag=head.etag if head else None)
        return empty(202)

    @app.get("/asset/<asset_id:str>")
    async def get(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001
        await door.head(uploaded_key(asset_id))
        return json({"Download_url": URL})

    return app


def build_life() -> Sanic[Any, Any]:
    """The asset's life over the product's transport."""
    app: Sanic[Any, Any] = Sanic("life", configure_logging=False)
    bucket = connect(os.environ["AWS_REGION"], os.environ["AWS_BUCKET"], None)
    assets = Assets(bucket.door, bucket.signer, Rules(), uuid4, lambda: os.urandom(16))

    @app.post("/asset")
    async def post(request: Request) -> HTTPResponse:  # noqa: ARG001
        made = await create(assets)
        expires_at = made.upload.expires_at.isoformat()
        return json({"upload_url": made.upload.url, "id": made.asset_id, "expires_at": expires_at}, 201)

    @app.put("/asset/<asset_id:str>")
    async def put(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001
        await mark(assets, asset_id, None)
        return empty(202)

    @app.get("/asset/<asset_id:str>")
    async def get(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001
        return json({"Download_url": (await resolve(assets, asset_id, 900, datetime.now(UTC))).url})

    return app


if __name__ == "__main__":
    served = build_transport() if sys.argv[1] == "transport" else build_life()
    served.config.MOTD = False
    served.run("127.0.0.1", int(sys.argv[2]), single_process=True, access_log=False, backlog=1024)
