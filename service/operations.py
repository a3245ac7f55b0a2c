"""The table of operations, the source of routes, `Allow`, metric labels, OpenAPI, the page at /docs and docs/api.md."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from sanic import HTTPResponse

from service import handlers
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
    ASSET_NOT_UPLOADED,
    BAD_ASSET_ID,
    BAD_REQUEST,
    BODY_TOO_LARGE,
    INTERNAL,
    STORE_UNAVAILABLE,
    UPLOAD_MISMATCH,
    Problem,
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
            ASSET_EXPIRED,
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
