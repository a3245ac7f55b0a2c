"""One handler for each row of the API: HTTP in, one assetstore call, HTTP out."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from assetstore.assets import create, mark, resolve
from assetstore.errors import StoreError, StoreUnavailableError
from assetstore.probe import PROBE_KEY
from assetstore.protocol import is_asset_id, spell_instant
from service.answers import Answer
from service.bodies import check_empty, parse_mark, parse_timeout, read_body
from service.context import STORE_SECONDS, Context
from service.problems import BadAssetIdError
from service.requests import ApiRequest

T = TypeVar("T")

HEALTH_SECONDS: Final = 1.5


async def post_asset(request: ApiRequest) -> Answer:
    """`POST /asset`."""
    context: Context = request.app.ctx.context
    check_empty(await read_body(request))
    created = await _from_store(context, create(context.assets))
    request.asset_id = created.asset_id
    body = {
        "upload_url": created.upload.url,
        "id": created.asset_id,
        "expires_at": spell_instant(created.upload.expires_at),
    }
    return Answer(body, 201, {"Location": f"/asset/{created.asset_id}"})


async def put_asset(request: ApiRequest, asset_id: str) -> Answer:
    """`PUT /asset/{id}`: the client's mark."""
    context: Context = request.app.ctx.context
    _check_asset_id(request, asset_id)
    body = parse_mark(request.headers.getone("content-type", None), await read_body(request))
    await _from_store(context, mark(context.assets, asset_id, body.pin))
    return Answer(None, 202)


async def get_asset(request: ApiRequest, asset_id: str) -> Answer:
    """`GET /asset/{id}[?timeout=SECONDS]`."""
    context: Context = request.app.ctx.context
    _check_asset_id(request, asset_id)
    seconds = context.download_url_seconds
    if request.query_string:
        arguments = request.get_args(keep_blank_values=True)
        seconds = parse_timeout(arguments.getlist("timeout", []), seconds)
    download = await _from_store(context, resolve(context.assets, asset_id, seconds, context.now()))
    return Answer({"Download_url": download.url})


async def healthcheck(request: ApiRequest) -> Answer:
    """`GET /healthcheck`: whether S3 answers, within two seconds whatever it does."""
    context: Context = request.app.ctx.context
    try:
        async with asyncio.timeout(HEALTH_SECONDS):
            await context.assets.door.head(PROBE_KEY)
        is_up = context.readiness.is_store_proven
    except (StoreError, TimeoutError):
        is_up = False
    return Answer({"Status": "UP"}) if is_up else Answer({"Status": "DOWN"}, 503)


async def livez(request: ApiRequest) -> Answer:  # noqa: ARG001
    """`GET /livez`: the process answers."""
    return Answer({"status": "alive"})


async def readyz(request: ApiRequest) -> Answer:
    """`GET /readyz`: started, the store once proven, and not draining."""
    readiness = request.app.ctx.context.readiness
    if not readiness.is_ready:
        return Answer({"status": "draining" if readiness.is_draining else "starting"}, 503)
    return Answer({"status": "ready"})


def _check_asset_id(request: ApiRequest, asset_id: str) -> None:
    if not is_asset_id(asset_id):
        raise BadAssetIdError
    request.asset_id = asset_id


async def _from_store(context: Context, asked: Coroutine[Any, Any, T]) -> T:
    if not context.readiness.is_store_proven:
        asked.close()
        raise StoreUnavailableError("this store has not been proven fit yet: it could not be reached at start")
    try:
        return await context.store_deadline.wait_for(asked)
    except TimeoutError:
        raise StoreUnavailableError(f"S3 did not answer within {STORE_SECONDS} s") from None
