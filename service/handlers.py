"""One handler for each row of the API: HTTP in, one assetstore call, HTTP out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sanic import HTTPResponse, Request, json
from sanic.response import empty
from structlog.contextvars import bind_contextvars

from assetstore.assets import create, mark, resolve
from assetstore.errors import StoreError, StoreUnavailableError
from assetstore.probe import PROBE_KEY
from assetstore.protocol import is_asset_id
from service.bodies import check_empty, parse_mark, parse_timeout, read_body
from service.context import Context
from service.problems import BadAssetIdError

STORE_SECONDS: Final = 2.5
"""A client hears 503 within three seconds, whatever S3 does."""
HEALTH_SECONDS: Final = 1.5


async def post_asset(request: Request) -> HTTPResponse:
    """`POST /asset`."""
    context: Context = request.app.ctx.context
    check_empty(await read_body(request))
    async with _store(context):
        created = await create(context.assets)
    bind_contextvars(asset_id=created.asset_id)
    body = {
        "upload_url": created.upload.url,
        "id": created.asset_id,
        "expires_at": created.upload.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json(body, 201, {"Location": f"/asset/{created.asset_id}"})


async def put_asset(request: Request, asset_id: str) -> HTTPResponse:
    """`PUT /asset/{id}`: the client's mark."""
    context: Context = request.app.ctx.context
    _check_asset_id(asset_id)
    body = parse_mark(request.headers.getone("content-type", None), await read_body(request))
    async with _store(context):
        await mark(context.assets, asset_id, body.pin)
    return empty(202)


async def get_asset(request: Request, asset_id: str) -> HTTPResponse:
    """`GET /asset/{id}[?timeout=SECONDS]`."""
    context: Context = request.app.ctx.context
    _check_asset_id(asset_id)
    arguments = request.get_args(keep_blank_values=True)
    seconds = parse_timeout(arguments.getlist("timeout", []), context.download_url_seconds)
    async with _store(context):
        download = await resolve(context.assets, asset_id, seconds, context.now())
    return json({"Download_url": download.url})


async def healthcheck(request: Request) -> HTTPResponse:
    """`GET /healthcheck`: whether S3 answers, within two seconds whatever it does."""
    context: Context = request.app.ctx.context
    try:
        async with asyncio.timeout(HEALTH_SECONDS):
            await context.assets.door.head(PROBE_KEY)
        is_up = context.readiness.is_store_proven
    except (StoreError, TimeoutError):
        is_up = False
    return json({"Status": "UP"}) if is_up else json({"Status": "DOWN"}, 503)


async def livez(request: Request) -> HTTPResponse:  # noqa: ARG001
    """`GET /livez`: the process answers."""
    return json({"status": "alive"})


async def readyz(request: Request) -> HTTPResponse:
    """`GET /readyz`: started, the store once proven, and not draining."""
    readiness = request.app.ctx.context.readiness
    if not readiness.is_ready:
        return json({"status": "draining" if readiness.is_draining else "starting"}, 503)
    return json({"status": "ready"})


def _check_asset_id(asset_id: str) -> None:
    if not is_asset_id(asset_id):
        raise BadAssetIdError
    bind_contextvars(asset_id=asset_id)


@asynccontextmanager
async def _store(context: Context) -> AsyncIterator[None]:
    if not context.readiness.is_store_proven:
        raise StoreUnavailableError("this store has not been proven fit yet: it could not be reached at start")
    try:
        async with asyncio.timeout(STORE_SECONDS):
            yield
    except TimeoutError:
        raise StoreUnavailableError(f"S3 did not answer within {STORE_SECONDS} s") from None
