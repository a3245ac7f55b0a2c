"""The handlers of the operations: read the request, call the asset service once, return a response."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, Final, TypeVar

from assetuploader.conformance import CHECK_KEY
from assetuploader.errors import StoreError, StoreUnavailableError
from assetuploader.keys import format_timestamp, is_asset_id
from service.context import STORE_TIMEOUT_SECONDS, Context
from service.models import (
    AliveResponse,
    CreatedAssetResponse,
    DownloadResponse,
    DownResponse,
    MarkRequest,
    NotReadyResponse,
    ReadyResponse,
    ResolveQuery,
    UpResponse,
)
from service.parsing import check_empty, parse_body, parse_query, read_body
from service.problems import InvalidAssetIdError
from service.requests import ApiRequest
from service.responses import JsonResponse

T = TypeVar("T")

HEALTHCHECK_TIMEOUT_SECONDS: Final = 1.5


async def create_asset(request: ApiRequest) -> JsonResponse:
    """Create an asset."""
    context: Context = request.app.ctx.context
    check_empty(await read_body(request))
    created = await call_store(context, context.assets.create())
    request.asset_id = created.asset_id
    body = CreatedAssetResponse(
        upload_url=created.upload.url,
        id=created.asset_id,
        expires_at=format_timestamp(created.upload.expires_at),
    )
    return JsonResponse(body, HTTPStatus.CREATED, {"Location": request.relative_to_root(f"asset/{created.asset_id}")})


async def mark_asset(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Record that the client finished its upload."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    mark = parse_body(MarkRequest, request.headers.getone("content-type", None), await read_body(request))
    async with context.marks.turn(asset_id):
        await call_store(context, context.assets.mark(asset_id, mark.pin, context.now()))
    return JsonResponse(None, HTTPStatus.ACCEPTED)


async def get_asset(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Return a download URL."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    expires_in = parse_query(ResolveQuery, request).timeout or context.download_url_ttl_seconds
    download = await call_store(context, context.assets.resolve(asset_id, expires_in, context.now()))
    return JsonResponse(DownloadResponse(download_url=download.url))


async def healthcheck(request: ApiRequest) -> JsonResponse:
    """Return whether S3 responds and the store is verified, within two seconds whatever S3 does."""
    context: Context = request.app.ctx.context
    try:
        async with asyncio.timeout(HEALTHCHECK_TIMEOUT_SECONDS):
            check_object = await context.assets.store.head_object(CHECK_KEY)
        is_up = check_object is not None and context.readiness.store_verified
    except (StoreError, TimeoutError):
        is_up = False
    return JsonResponse(UpResponse()) if is_up else JsonResponse(DownResponse(), HTTPStatus.SERVICE_UNAVAILABLE)


async def livez(request: ApiRequest) -> JsonResponse:  # noqa: ARG001
    """Return that the process responds."""
    return JsonResponse(AliveResponse())


async def readyz(request: ApiRequest) -> JsonResponse:
    """Return whether the service has started, has verified its store and is not draining."""
    context: Context = request.app.ctx.context
    if context.readiness.is_ready:
        return JsonResponse(ReadyResponse())
    body = NotReadyResponse(status="draining" if context.readiness.is_draining else "starting")
    return JsonResponse(body, HTTPStatus.SERVICE_UNAVAILABLE)


def parse_asset_id(request: ApiRequest, text: str) -> str:
    """Return the asset id in a path, in lower case: some clients change the case of UUIDs."""
    asset_id = text.lower()
    if not is_asset_id(asset_id):
        raise InvalidAssetIdError
    request.asset_id = asset_id
    return asset_id


def require_verified_store(context: Context) -> None:
    """Require that the store has passed the conformance check.

    Raises:
        StoreUnavailableError: It has not.
    """
    if not context.readiness.store_verified:
        raise StoreUnavailableError("the store is not verified yet: it could not be reached when the service started")


async def call_store(
    context: Context, call: Coroutine[Any, Any, T], timeout_seconds: float = STORE_TIMEOUT_SECONDS
) -> T:
    """Return what the asset service returns, if the store is verified and responds in time.

    Raises:
        StoreUnavailableError: The store is not verified, or did not respond within `timeout_seconds`.
    """
    try:
        require_verified_store(context)
    except StoreUnavailableError:
        call.close()
        raise
    try:
        async with asyncio.timeout(timeout_seconds):
            return await call
    except TimeoutError:
        raise StoreUnavailableError(f"S3 did not respond within {timeout_seconds} s") from None
