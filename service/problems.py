"""Errors as RFC 9457 problem documents: one table, one handler."""

from dataclasses import dataclass
from typing import Final

import structlog
from sanic.exceptions import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RequestCancelled,
    RequestTimeout,
    SanicException,
)

from assetstore.errors import (
    AlreadyUploadedError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotUploadedError,
    StoreDeniedError,
    StoreError,
    UploadMismatchError,
)
from service.answers import PROBLEM_TYPE, Answer
from service.bodies import BadRequestError
from service.requests import ApiRequest

RETRY_AFTER_SECONDS: Final = 2

log = structlog.get_logger()


class BadAssetIdError(Exception):
    """The path names no asset id."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told about one kind of error."""

    status: int
    code: str
    title: str
    detail: str


INTERNAL: Final = Problem(500, "internal", "Internal error", "This is our fault. Report it with the request_id.")
CLIENT_CLOSED: Final = Problem(499, "client_closed", "The client has gone", "Nobody will read this.")
"""Counted and logged, never sent. nginx' number for it."""

PROBLEMS: Final[dict[type[Exception], Problem]] = {
    BadAssetIdError: Problem(
        400,
        "bad_asset_id",
        "Not an asset id",
        "An asset id is a UUIDv4 in lower case: the id that POST /asset answered.",
    ),
    BadRequestError: Problem(400, "bad_request", "Bad request", "The detail says what to send instead."),
    AssetNotFoundError: Problem(404, "asset_not_found", "No such asset", "No asset has this id."),
    AssetNotUploadedError: Problem(
        404,
        "asset_not_uploaded",
        "Not final yet",
        "The asset is not final yet. Mark it once its bytes are uploaded; then ask again after Retry-After seconds.",
    ),
    AlreadyUploadedError: Problem(
        409,
        "already_uploaded",
        "Already final",
        "The asset is final and never changes again. GET it, or create another.",
    ),
    UploadMismatchError: Problem(
        409,
        "upload_mismatch",
        "Other bytes were uploaded",
        "No upload with this ETag is there. Upload again while the upload URL lives, and mark with the new ETag.",
    ),
    AssetExpiredError: Problem(410, "asset_expired", "Given up", "The asset was given up. Create a new one."),
    PayloadTooLarge: Problem(413, "body_too_large", "Too large", "The request is too large: files go to upload_url."),
    StoreError: Problem(
        503, "store_unavailable", "S3 is unavailable", "S3 does not answer. Try again after Retry-After."
    ),
    MethodNotAllowed: Problem(405, "method_not_allowed", "Method not allowed", "The Allow header lists the methods."),
    NotFound: Problem(404, "not_found", "No such page", "There is nothing at this path. /docs lists what there is."),
    RequestTimeout: Problem(408, "bad_request", "Too slow", "The request did not arrive in time. Send it again."),
    BadRequest: Problem(400, "bad_request", "Bad request", "This is not an HTTP request that can be read."),
}


def answer_problem(request: ApiRequest, error: BaseException) -> Answer:
    """The problem document for any exception: the one place where exceptions become HTTP."""
    problem = _problem(error)
    headers = {}
    if isinstance(error, AssetNotUploadedError):
        headers["Retry-After"] = str(error.retry_after_seconds)
    elif problem.status == 503:  # noqa: PLR2004
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, SanicException):
        headers.update({name: str(value) for name, value in (error.headers or {}).items()})
    if isinstance(error, MethodNotAllowed):
        headers.setdefault("Allow", _methods_of_parametrized_paths(request))
    if isinstance(error, StoreError):
        log.log(40 if isinstance(error, StoreDeniedError) else 30, "store_failed", reason=str(error))
    elif problem is INTERNAL:
        log.error("internal_error", exc_info=error)
    request.problem_code = problem.code
    body = {
        "type": f"/docs#{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": str(error) if isinstance(error, BadRequestError) else problem.detail,
        "code": problem.code,
        "request_id": request.id,
    }
    return Answer(body, problem.status, headers, PROBLEM_TYPE)


def _methods_of_parametrized_paths(request: ApiRequest) -> str:
    """What Sanic leaves out for a path with a parameter: ours all allow the same."""
    routes = [route for route in request.app.router.routes if "<" in route.path]
    return ", ".join(sorted({method for route in routes for method in route.methods}))


def _problem(error: BaseException) -> Problem:
    if isinstance(error, RequestCancelled):  # Sanic hands it on like any other error
        return CLIENT_CLOSED
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return PROBLEMS[kind]
    if isinstance(error, SanicException) and 400 <= error.status_code < 500:  # noqa: PLR2004
        return Problem(error.status_code, "bad_request", "Bad request", "This request cannot be answered as it is.")
    return INTERNAL
