"""The handlers of `/v1`: read the request, call the asset service, return a response."""

import asyncio
import re
from http import HTTPStatus
from typing import Any, Final

from assetuploader.asset_service import Asset, PendingAsset
from assetuploader.capabilities import Capability
from assetuploader.declaration import Declaration
from assetuploader.errors import (
    AlreadyUploadedError,
    StoreError,
    StoreUnavailableError,
)
from assetuploader.keys import format_timestamp
from assetuploader.multipart_service import MultipartAsset, PresignedPart
from assetuploader.parts import choose_part_bytes
from assetuploader.state_machine import AssetState, excess_metadata_bytes
from service.context import COMPLETION_TIMEOUT_SECONDS, PART_LIST_TIMEOUT_SECONDS, STORE_TIMEOUT_SECONDS, Context
from service.handlers import call_store, parse_asset_id, require_verified_store
from service.parsing import check_empty, parse_body, parse_members, parse_optional_body, parse_query, read_body
from service.problems import (
    InlineNotAllowedError,
    MetadataTooLargeError,
    MultipartUnsupportedError,
    UnsupportedDeclarationError,
    describe_problem,
)
from service.requests import ApiRequest
from service.responses import JsonResponse
from service.v1_models import (
    MAX_BATCH_BYTES,
    MAX_COMPLETION_BYTES,
    AssetResponse,
    BatchItem,
    BatchRequest,
    BatchResponse,
    CompleteRequest,
    DeclarationRequest,
    DownloadQuery,
    ListedPart,
    MultipartTarget,
    PartListQuery,
    PartListResponse,
    PartUrl,
    PartUrlsRequest,
    PartUrlsResponse,
    PendingAssetResponse,
    UploadTarget,
)

RETRY_AFTER: Final = "Retry-After"
_SHOWN_TYPES: Final = re.compile(
    r"(?:(?:image|audio|video)/(?![^;]*xml)[a-z0-9.+-]+|application/pdf|text/plain) *(?:;[^,]*)?",
    re.ASCII | re.IGNORECASE,
)
"""What cannot contain scripts. Browsers parse every type that ends in `+xml` as a document, and take the last one
of `image/png,text/html`."""


async def create_asset(request: ApiRequest) -> JsonResponse:
    """Create an asset whose upload is as declared."""
    context: Context = request.app.ctx.context
    declared = parse_optional_body(
        DeclarationRequest, request.headers.getone("content-type", None), await read_body(request)
    )
    created = await call_store(context, _create(context, declared))
    request.asset_id = created.id
    return JsonResponse(created, HTTPStatus.CREATED, {"Location": request.relative_to_root(f"v1/assets/{created.id}")})


async def create_assets(request: ApiRequest) -> JsonResponse:
    """Create several assets. Each has its own result."""
    context: Context = request.app.ctx.context
    body = await read_body(request, MAX_BATCH_BYTES)
    batch = parse_optional_body(BatchRequest, request.headers.getone("content-type", None), body)
    require_verified_store(context)

    async def create_one(members: Any) -> PendingAssetResponse:  # noqa: ANN401 -- any JSON
        return await _create(context, parse_members(DeclarationRequest, members))

    tasks = [asyncio.create_task(create_one(members)) for members in batch.assets]
    try:
        await asyncio.wait(tasks, timeout=STORE_TIMEOUT_SECONDS)
    finally:  # also when the client leaves
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    if all(isinstance(result, StoreError | asyncio.CancelledError) for result in results):
        raise StoreUnavailableError("S3 created none of the assets of a batch")
    return JsonResponse(BatchResponse(assets=[_describe_result(request, task) for task in tasks]))


async def get_asset(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Return an asset in whichever state it is."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    query = parse_query(DownloadQuery, request)
    asset = await call_store(context, context.assets.get(asset_id, context.now()))
    return await _respond(context, asset, query)


async def get_content(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Redirect to a download URL."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    query = parse_query(DownloadQuery, request)
    asset = await call_store(context, context.assets.get(asset_id, context.now()))
    asset.require_final()
    return JsonResponse(None, HTTPStatus.FOUND, {"Location": await _presign_download(context, asset, query)})


async def complete_asset(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Record that the client finished its upload, and finalize the asset if that is possible at once."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    sent = await read_body(request, MAX_COMPLETION_BYTES)
    body = parse_optional_body(CompleteRequest, request.headers.getone("content-type", None), sent)
    async with context.marks.turn(asset_id):
        if body.upload_id is not None and body.parts is not None:
            completing = context.multipart.complete(asset_id, body.upload_id, body.parts)
            asset = await call_store(context, completing, COMPLETION_TIMEOUT_SECONDS)
        else:
            asset = await call_store(context, _complete(context, asset_id, body.etag))
    return await _respond(context, asset, parse_members(DownloadQuery, {}), HTTPStatus.ACCEPTED)


async def presign_parts(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Return URLs for some of the parts of an upload."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    body = parse_body(PartUrlsRequest, request.headers.getone("content-type", None), await read_body(request))
    presigning = context.multipart.presign_parts(
        asset_id, body.upload_id, body.part_numbers, context.now(), size=body.size
    )
    return JsonResponse(PartUrlsResponse(parts=list(map(_describe_part_url, await call_store(context, presigning)))))


async def list_parts(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Return the parts that S3 has."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    query = parse_query(PartListQuery, request)
    asset, parts = await call_store(
        context, context.multipart.list_parts(asset_id, query.upload_id), PART_LIST_TIMEOUT_SECONDS
    )
    return JsonResponse(
        PartListResponse(
            upload_id=query.upload_id,
            part_size=asset.part_bytes,
            part_count=asset.part_count,
            expires_at=format_timestamp(asset.state.upload_expires_at),
            parts=[ListedPart(number=part.number, size=part.size, etag=part.etag) for part in parts],
        )
    )


async def refresh_upload_url(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Return a new upload URL for a pending asset."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    check_empty(await read_body(request))
    async with context.marks.turn(asset_id):
        refreshed = await call_store(context, context.assets.refresh_upload_url(asset_id))
    return JsonResponse(_describe_pending(refreshed))


async def delete_asset(request: ApiRequest, asset_id: str) -> JsonResponse:
    """Cancel a pending asset, or delete a final one."""
    context: Context = request.app.ctx.context
    asset_id = parse_asset_id(request, asset_id)
    check_empty(await read_body(request))
    async with context.marks.turn(asset_id):
        await call_store(context, context.assets.delete(asset_id, may_delete_promised=context.may_delete_promised))
    return JsonResponse(None, HTTPStatus.NO_CONTENT)


async def _create(context: Context, declared: DeclarationRequest) -> PendingAssetResponse:
    declaration, now = declared.to_declaration(), context.now()
    is_multipart = _is_multipart(context, declared)
    part_bytes = choose_part_bytes(declaration.size) if is_multipart else None
    excess = excess_metadata_bytes(declaration, now, part_bytes)
    if excess:
        raise MetadataTooLargeError(excess)
    if is_multipart:
        asset, upload_id = await context.multipart.create(declaration, now)
        return _describe_multipart(asset, upload_id)
    _require_enforceable(context, declaration)
    return _describe_pending(await context.assets.create(declaration, now))


def _is_multipart(context: Context, declared: DeclarationRequest) -> bool:
    """Return whether the upload has parts. A file that one PUT can take needs none on a store that cannot take them.

    Raises:
        MultipartUnsupportedError: It needs parts, and the store cannot take them.
        StoreUnavailableError: It needs parts, and whether the store can take them is not known yet.
    """
    if not declared.is_multipart(context.multipart_bytes):
        return False
    if context.readiness.takes_parts:
        return True
    if not declared.multipart and not declared.is_too_long_for_put:
        return False
    if context.readiness.takes_parts is None:
        raise StoreUnavailableError("the check of uploads in parts failed, and is being repeated")
    raise MultipartUnsupportedError


def _require_enforceable(context: Context, declaration: Declaration) -> None:
    """Require that the store enforces what is declared.

    Raises:
        UnsupportedDeclarationError: It does not.
    """
    needed = {
        Capability.SIZE: declaration.size is not None,
        Capability.CONTENT_TYPE: declaration.content_type is not None,
        Capability.CHECKSUM: declaration.sha256 is not None,
        Capability.WRITE_ONCE: declaration.write_once,
    }
    for capability, is_needed in needed.items():
        if is_needed and capability not in context.readiness.capabilities:
            raise UnsupportedDeclarationError(capability)


async def _complete(context: Context, asset_id: str, etag: str | None) -> Asset:
    try:
        return await context.assets.mark(asset_id, etag, context.now())
    except AlreadyUploadedError:  # a repeated request is no error, if it means the final bytes
        asset = await context.assets.get(asset_id, context.now())
        if etag not in {None, asset.placeholder.etag}:
            raise
        return asset


async def _respond(
    context: Context, asset: Asset, query: DownloadQuery, status_until_final: HTTPStatus = HTTPStatus.OK
) -> JsonResponse:
    url = await _presign_download(context, asset, query) if asset.is_final else None
    headers = {} if asset.retry_after_seconds is None else {RETRY_AFTER: str(asset.retry_after_seconds)}
    status = HTTPStatus.OK if asset.is_final else status_until_final
    return JsonResponse(AssetResponse(**_describe_asset(asset), download_url=url), status, headers)


async def _presign_download(context: Context, asset: Asset, query: DownloadQuery) -> str:
    is_inline = query.disposition == "inline"
    # A browser shows it as a page of the store's host.
    if is_inline and not _SHOWN_TYPES.fullmatch(asset.placeholder.headers.get("content-type", "")):
        raise InlineNotAllowedError
    expires_in = query.expires_in or context.download_url_ttl_seconds
    return (await context.assets.presign_download(asset, expires_in, is_inline=is_inline)).url


def _describe_asset(asset: Asset) -> dict[str, Any]:
    placeholder = asset.placeholder
    described = _describe_state(asset.asset_id, placeholder.state)
    if asset.is_final:
        described.update(
            content_type=placeholder.headers.get("content-type"), size=placeholder.size, etag=placeholder.etag
        )
    return described


def _describe_pending(pending: PendingAsset) -> PendingAssetResponse:
    upload = UploadTarget(
        url=pending.upload.url,
        headers=pending.state.declaration.upload_headers,
        expires_at=format_timestamp(pending.upload.expires_at),
    )
    return PendingAssetResponse(**_describe_state(pending.asset_id, pending.state), download_url=None, upload=upload)


def _describe_multipart(asset: MultipartAsset, upload_id: str) -> PendingAssetResponse:
    upload = MultipartTarget(
        upload_id=upload_id,
        part_size=asset.part_bytes,
        part_count=asset.part_count,
        expires_at=format_timestamp(asset.state.upload_expires_at),
    )
    return PendingAssetResponse(**_describe_state(asset.asset_id, asset.state), download_url=None, upload=upload)


def _describe_part_url(part: PresignedPart) -> PartUrl:
    return PartUrl(
        number=part.number,
        url=part.target.url,
        headers={"content-length": str(part.size)},
        expires_at=format_timestamp(part.target.expires_at),
    )


def _describe_state(asset_id: str, state: AssetState) -> dict[str, Any]:
    declaration = state.declaration
    return {
        "id": asset_id,
        "status": state.status.value,
        "created_at": None if state.created_at is None else format_timestamp(state.created_at),
        "expires_at": format_timestamp(state.upload_expires_at),
        "filename": declaration.filename,
        "content_type": declaration.content_type,
        "size": declaration.size,
        "sha256": declaration.sha256,
        "etag": state.pin,
        "metadata": dict(declaration.metadata),
    }


def _describe_result(request: ApiRequest, task: "asyncio.Task[PendingAssetResponse]") -> BatchItem:
    error: BaseException | None
    if task.cancelled():
        error = StoreUnavailableError(f"S3 did not respond within {STORE_TIMEOUT_SECONDS} s")
    else:
        error = task.exception()
    if error is None:
        return BatchItem(status=HTTPStatus.CREATED, asset=task.result(), problem=None)
    problem = describe_problem(request, error)
    return BatchItem(status=problem.status, asset=None, problem=problem)
