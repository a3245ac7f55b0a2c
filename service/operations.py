"""The table of operations, the source of routes, `Allow`, metric labels, OpenAPI, the page at /docs and docs/api.md."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from sanic import HTTPResponse

from service import handlers, v1_handlers
from service.models import (
    AliveResponse,
    CreatedAssetResponse,
    DownloadResponse,
    DownResponse,
    MarkRequest,
    NotReadyResponse,
    ReadyResponse,
    RequestModel,
    ResolveQuery,
    UpResponse,
)
from service.problems import (
    ALREADY_UPLOADED,
    ASSET_BUSY,
    ASSET_EXPIRED,
    ASSET_NOT_FOUND,
    ASSET_NOT_PENDING,
    ASSET_NOT_UPLOADED,
    BAD_ASSET_ID,
    BAD_REQUEST,
    BODY_TOO_LARGE,
    DELETES_DISABLED,
    INLINE_NOT_ALLOWED,
    INTERNAL,
    METADATA_TOO_LARGE,
    MULTIPART_UNSUPPORTED,
    PARTS_MISMATCH,
    STORE_UNAVAILABLE,
    UNSUPPORTED,
    UPLOAD_LOST,
    UPLOAD_MISMATCH,
    WRONG_UPLOAD_METHOD,
    Problem,
)
from service.v1_models import (
    AssetResponse,
    BatchRequest,
    BatchResponse,
    CompleteRequest,
    DeclarationRequest,
    DownloadQuery,
    PartListQuery,
    PartListResponse,
    PartUrlsRequest,
    PartUrlsResponse,
    PendingAssetResponse,
)

Handler = Callable[..., Coroutine[Any, Any, HTTPResponse]]
"""Receives the request, and the path's parameters in their order."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response that is not a problem."""

    status: HTTPStatus
    description: str
    model: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers and their descriptions."""


@dataclass(frozen=True, slots=True, eq=False)  # Sanic hashes the context of a route
class Operation:
    """One method of one resource."""

    operation_id: str
    method: str
    """GET includes HEAD."""
    paths: tuple[str, ...]
    """Templates such as `/asset/{id}`: the canonical one, which labels metrics and logs, then its aliases."""
    handler: Handler
    summary: str
    description: str = ""
    tag: str = "Assets"
    """The group in which the documentation lists it."""
    query: type[RequestModel] | None = None
    body: type[RequestModel] | None = None
    responses: tuple[Response, ...] = ()
    problems: tuple[Problem, ...] = ()
    needs_body: bool = True
    """Whether a request must have the body. Without one, it is the same as `{}`."""
    is_probe: bool = False
    """Called every few seconds by a machine: a success is logged at debug."""

    @property
    def route(self) -> str:
        """The canonical path template."""
        return self.paths[0]

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods to route to the handler."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


V1: Final = "Assets, version 1"
_RETRY_AFTER: Final = {"Retry-After": "When to ask again, in seconds, while a change is to be expected."}
_DECLARATION_PROBLEMS: Final = (METADATA_TOO_LARGE, *UNSUPPORTED.values(), MULTIPART_UNSUPPORTED)
_PENDING_PARTS_PROBLEMS: Final = (
    BAD_ASSET_ID,
    BAD_REQUEST,
    ASSET_NOT_FOUND,
    ALREADY_UPLOADED,
    WRONG_UPLOAD_METHOD,
    ASSET_EXPIRED,
    STORE_UNAVAILABLE,
    INTERNAL,
)
"""Those of an asset that waits for its parts."""

OPERATIONS: Final = (
    Operation(
        "createAsset",
        "POST",
        ("/asset", "/assets"),
        handlers.create_asset,
        summary="Create an asset",
        description=(
            "Creates a pending asset and returns a URL for its bytes. `PUT` the bytes to `upload_url` before "
            "`expires_at`. If you send them several times, the last bytes count."
        ),
        responses=(
            Response(
                HTTPStatus.CREATED,
                "A new asset, pending.",
                CreatedAssetResponse,
                {"Location": "The path of the asset."},
            ),
        ),
        problems=(BAD_REQUEST, BODY_TOO_LARGE, STORE_UNAVAILABLE, INTERNAL),
    ),
    Operation(
        "getAsset",
        "GET",
        ("/asset/{id}", "/assets/{id}"),
        handlers.get_asset,
        summary="Get a download URL",
        description=(
            "Returns a URL to download the bytes of a final asset. Browsers save them under the file name in the "
            "`Content-Disposition` of the upload, made safe."
        ),
        query=ResolveQuery,
        responses=(Response(HTTPStatus.OK, "The asset is final.", DownloadResponse),),
        problems=(
            BAD_ASSET_ID,
            BAD_REQUEST,
            ASSET_NOT_FOUND,
            ASSET_NOT_UPLOADED,
            ASSET_EXPIRED,
            ASSET_BUSY,
            STORE_UNAVAILABLE,
            INTERNAL,
        ),
    ),
    Operation(
        "markAsset",
        "PUT",
        ("/asset/{id}", "/assets/{id}"),
        handlers.mark_asset,
        summary="Mark an asset as uploaded",
        description=(
            "With `etag`, the ETag header of S3's response to the upload, the asset is pinned to those bytes and is "
            "final within seconds. Without it, the asset is final some time after the upload URL has expired. The "
            "names of members may be in any case. After expires_at, a mark "
            "without an upload is refused. Until the asset is final, everyone who knows its id "
            "may mark it again, and the last mark counts."
        ),
        body=MarkRequest,
        responses=(Response(HTTPStatus.ACCEPTED, "The mark is stored."),),
        problems=(
            BAD_ASSET_ID,
            BAD_REQUEST,
            ASSET_NOT_FOUND,
            ALREADY_UPLOADED,
            UPLOAD_MISMATCH,
            WRONG_UPLOAD_METHOD,
            ASSET_EXPIRED,
            ASSET_BUSY,
            BODY_TOO_LARGE,
            STORE_UNAVAILABLE,
            INTERNAL,
        ),
    ),
    Operation(
        "createDeclaredAsset",
        "POST",
        ("/v1/assets",),
        v1_handlers.create_asset,
        summary="Create an asset with a declaration",
        description=(
            "Creates a pending asset and returns how to upload its bytes. What you declare is enforced: S3 rejects "
            "other bytes. Without a body nothing is declared. A large file is uploaded in parts: `upload` then has the "
            "method `multipart`, and `POST /v1/assets/{id}/parts` returns the URLs."
        ),
        tag=V1,
        body=DeclarationRequest,
        needs_body=False,
        responses=(
            Response(
                HTTPStatus.CREATED,
                "A new asset, pending.",
                PendingAssetResponse,
                {"Location": "The path of the asset."},
            ),
        ),
        problems=(BAD_REQUEST, *_DECLARATION_PROBLEMS, BODY_TOO_LARGE, STORE_UNAVAILABLE, INTERNAL),
    ),
    Operation(
        "createAssets",
        "POST",
        ("/v1/assets:batch",),
        v1_handlers.create_assets,
        summary="Create up to 100 assets",
        description="Each has its own result, in the order of the request. One mistake does not reject the others.",
        tag=V1,
        body=BatchRequest,
        responses=(Response(HTTPStatus.OK, "The results.", BatchResponse),),
        problems=(BAD_REQUEST, BODY_TOO_LARGE, STORE_UNAVAILABLE, INTERNAL),
    ),
    Operation(
        "describeAsset",
        "GET",
        ("/v1/assets/{id}",),
        v1_handlers.get_asset,
        summary="Get an asset in any state",
        description=(
            "Returns what is known about the asset. Once it is final, `download_url` is there. Until then, ask again "
            "after `Retry-After` seconds."
        ),
        tag=V1,
        query=DownloadQuery,
        responses=(Response(HTTPStatus.OK, "The asset.", AssetResponse, _RETRY_AFTER),),
        problems=(
            BAD_ASSET_ID,
            BAD_REQUEST,
            ASSET_NOT_FOUND,
            INLINE_NOT_ALLOWED,
            ASSET_BUSY,
            STORE_UNAVAILABLE,
            INTERNAL,
        ),
    ),
    Operation(
        "getContent",
        "GET",
        ("/v1/assets/{id}/content",),
        v1_handlers.get_content,
        summary="Download the bytes",
        description="Redirects to a download URL: for links, `<img src>` and `curl -L`.",
        tag=V1,
        query=DownloadQuery,
        responses=(
            Response(HTTPStatus.FOUND, "The asset is final.", headers={"Location": "The download URL, at S3."}),
        ),
        problems=(
            BAD_ASSET_ID,
            BAD_REQUEST,
            ASSET_NOT_FOUND,
            ASSET_NOT_UPLOADED,
            ASSET_EXPIRED,
            INLINE_NOT_ALLOWED,
            ASSET_BUSY,
            STORE_UNAVAILABLE,
            INTERNAL,
        ),
    ),
    Operation(
        "completeAsset",
        "POST",
        ("/v1/assets/{id}/complete",),
        v1_handlers.complete_asset,
        summary="Complete an upload",
        description=(
            "Says that the bytes are uploaded. With `etag`, the ETag header of S3's response to the upload, the asset "
            "is final at once, or within seconds if it is large. Without it, the asset is final some time after the "
            "upload URL has expired. An upload in parts is completed with `upload_id` and `parts`, and is final at "
            "once, however large it is. Repeating the request is no error."
        ),
        tag=V1,
        body=CompleteRequest,
        needs_body=False,
        responses=(
            Response(HTTPStatus.OK, "The asset is final.", AssetResponse),
            Response(HTTPStatus.ACCEPTED, "The asset is marked, and becomes final soon.", AssetResponse, _RETRY_AFTER),
        ),
        problems=(
            BAD_ASSET_ID,
            BAD_REQUEST,
            ASSET_NOT_FOUND,
            ALREADY_UPLOADED,
            UPLOAD_MISMATCH,
            WRONG_UPLOAD_METHOD,
            PARTS_MISMATCH,
            UPLOAD_LOST,
            ASSET_EXPIRED,
            ASSET_BUSY,
            BODY_TOO_LARGE,
            STORE_UNAVAILABLE,
            INTERNAL,
        ),
    ),
    Operation(
        "createPartUrls",
        "POST",
        ("/v1/assets/{id}/parts",),
        v1_handlers.presign_parts,
        summary="Get URLs for parts",
        description=(
            "Returns URLs for up to 100 parts of an upload. `PUT` each part to its URL, several at once if you like, "
            "and keep the ETag header of each response. Ask again when a URL has expired."
        ),
        tag=V1,
        body=PartUrlsRequest,
        responses=(Response(HTTPStatus.OK, "The URLs.", PartUrlsResponse),),
        problems=(*_PENDING_PARTS_PROBLEMS, PARTS_MISMATCH, BODY_TOO_LARGE),
    ),
    Operation(
        "listParts",
        "GET",
        ("/v1/assets/{id}/parts",),
        v1_handlers.list_parts,
        summary="List the parts that S3 has",
        description="To resume an upload: send the parts that are missing.",
        tag=V1,
        query=PartListQuery,
        responses=(Response(HTTPStatus.OK, "The parts, in order.", PartListResponse),),
        problems=(*_PENDING_PARTS_PROBLEMS, UPLOAD_LOST),
    ),
    Operation(
        "refreshUploadUrl",
        "POST",
        ("/v1/assets/{id}/upload-url",),
        v1_handlers.refresh_upload_url,
        summary="Get another upload URL",
        description=(
            "Returns a new upload URL for a pending asset, and moves its expiry on: a slow client does not lose its "
            "upload. What was declared holds for the new URL, too."
        ),
        tag=V1,
        responses=(Response(HTTPStatus.OK, "The asset, still pending.", PendingAssetResponse),),
        problems=(
            BAD_ASSET_ID,
            BAD_REQUEST,
            ASSET_NOT_FOUND,
            ASSET_NOT_PENDING,
            ALREADY_UPLOADED,
            WRONG_UPLOAD_METHOD,
            ASSET_EXPIRED,
            ASSET_BUSY,
            BODY_TOO_LARGE,
            STORE_UNAVAILABLE,
            INTERNAL,
        ),
    ),
    Operation(
        "deleteAsset",
        "DELETE",
        ("/v1/assets/{id}",),
        v1_handlers.delete_asset,
        summary="Cancel or delete an asset",
        description=(
            "Cancels a pending asset. Deletes a marked or final one, if the operator allows it. An asset that does not "
            "exist counts as deleted, so the request can be repeated."
        ),
        tag=V1,
        responses=(Response(HTTPStatus.NO_CONTENT, "The asset is cancelled or deleted."),),
        problems=(
            BAD_ASSET_ID,
            BAD_REQUEST,
            DELETES_DISABLED,
            ASSET_BUSY,
            BODY_TOO_LARGE,
            STORE_UNAVAILABLE,
            INTERNAL,
        ),
    ),
    Operation(
        "healthcheck",
        "GET",
        ("/healthcheck",),
        handlers.healthcheck,
        summary="Check whether S3 responds",
        description="Calls S3 once, and responds within two seconds.",
        responses=(
            Response(HTTPStatus.OK, "S3 responds.", UpResponse),
            Response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "S3 does not respond, the bucket was deleted, or the store is not verified yet.",
                DownResponse,
            ),
        ),
        tag="Health",
        is_probe=True,
    ),
    Operation(
        "livez",
        "GET",
        ("/livez",),
        handlers.livez,
        summary="Check whether the process responds",
        responses=(Response(HTTPStatus.OK, "The process responds.", AliveResponse),),
        tag="Health",
        is_probe=True,
    ),
    Operation(
        "readyz",
        "GET",
        ("/readyz",),
        handlers.readyz,
        summary="Check whether to send requests here",
        description=(
            "Does not call S3. The service becomes ready when it has reached S3 once and has verified the store; "
            "a later outage of S3 does not change that."
        ),
        responses=(
            Response(HTTPStatus.OK, "Ready.", ReadyResponse),
            Response(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Starting (the store is not verified yet) or draining.",
                NotReadyResponse,
            ),
        ),
        tag="Health",
        is_probe=True,
    ),
)


def find_allowed_methods(operations: Iterable[Operation], path: str) -> list[str]:
    """Return the methods that operations have at this path, sorted. Trailing slashes do not matter."""
    segments = path.rstrip("/").split("/")
    return sorted(
        {
            method
            for operation in operations
            if any(_matches(template.split("/"), segments) for template in operation.paths)
            for method in operation.methods
        }
    )


def _matches(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        part.startswith("{") or part == segment for part, segment in zip(template, segments, strict=True)
    )
