"""Errors as RFC 9457 problem documents: one table, one function."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
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

from assetuploader.capabilities import Capability
from assetuploader.errors import (
    AlreadyUploadedError,
    AssetBusyError,
    AssetExpiredError,
    AssetNotFoundError,
    AssetNotPendingError,
    AssetNotUploadedError,
    DeletesDisabledError,
    PartsMismatchError,
    StoreError,
    StoreErrorKind,
    UploadLostError,
    UploadMismatchError,
    WrongUploadMethodError,
)
from assetuploader.state_machine import MAX_METADATA_BYTES
from service.http_protocol import HeadersTooLargeError
from service.models import ProblemResponse
from service.parsing import BadRequestError
from service.requests import ApiRequest
from service.responses import PROBLEM_MEDIA_TYPE, JsonResponse

RETRY_AFTER_SECONDS: Final = 2
LOG_LEVELS: Final[Mapping[StoreErrorKind, int]] = {
    StoreErrorKind.UNAVAILABLE: logging.WARNING,
    StoreErrorKind.ACCESS_DENIED: logging.ERROR,
    StoreErrorKind.MISCONFIGURED: logging.WARNING,
    StoreErrorKind.UNSUPPORTED: logging.WARNING,
}
"""The log level of a request that a store error ended. Denied access is permanent, and nothing else reports it."""

log = structlog.get_logger()


class InvalidAssetIdError(Exception):
    """The id in the path is not an asset id."""


class InlineNotAllowedError(Exception):
    """A browser must not show a file of this type."""


class MetadataTooLargeError(Exception):
    """The declaration does not fit into S3's metadata."""

    def __init__(self, excess_bytes: int) -> None:
        super().__init__(
            f"S3 stores at most {MAX_METADATA_BYTES} bytes of metadata with an asset. Shorten metadata, filename or "
            f"content_type by {excess_bytes} bytes. Spaces and characters beyond ASCII count three bytes and more."
        )


class MultipartUnsupportedError(Exception):
    """The store cannot take uploads in parts safely."""


class UnsupportedDeclarationError(Exception):
    """The store does not enforce a declaration that needs this."""

    def __init__(self, capability: Capability) -> None:
        super().__init__(capability)
        self.capability = capability


@dataclass(frozen=True, slots=True)
class Problem:
    """The response to one kind of error."""

    status: int
    code: str
    title: str
    detail: str
    """What to do, for people."""
    has_retry_after: bool = False


INTERNAL: Final = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal",
    "Internal error",
    "The service has a defect. Report it with the request_id.",
)
BAD_ASSET_ID: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "bad_asset_id",
    "Not an asset id",
    "An asset id is a UUIDv4: the id in the response to POST /asset.",
)
BAD_REQUEST: Final = Problem(
    HTTPStatus.BAD_REQUEST, "bad_request", "Bad request", "The response's detail describes what to send instead."
)
ASSET_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND, "asset_not_found", "No such asset", "No asset has this id. Check it, or POST /asset."
)
ASSET_NOT_UPLOADED: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "asset_not_uploaded",
    "Not final yet",
    "The asset is not final yet. Mark it when its bytes are uploaded, then try again after Retry-After seconds.",
    has_retry_after=True,
)
ALREADY_UPLOADED: Final = Problem(
    HTTPStatus.CONFLICT,
    "already_uploaded",
    "Already final",
    "The asset is final and never changes again. GET it, or create another one.",
)
UPLOAD_MISMATCH: Final = Problem(
    HTTPStatus.CONFLICT,
    "upload_mismatch",
    "Other bytes were uploaded",
    "The uploaded bytes do not have this ETag, or nothing is uploaded. "
    "Upload again before the upload URL expires, and mark the asset with the new ETag. Later, create a new asset.",
)
ASSET_EXPIRED: Final = Problem(HTTPStatus.GONE, "asset_expired", "Expired", "The asset expired. Create a new one.")
ASSET_BUSY: Final = Problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "asset_busy",
    "Too many marks at once",
    "Too many clients mark this asset at the same time. Repeat the request after Retry-After seconds.",
    has_retry_after=True,
)
ASSET_NOT_PENDING: Final = Problem(
    HTTPStatus.CONFLICT,
    "asset_not_pending",
    "Not pending",
    "The asset is marked, and becomes final with the bytes that were uploaded. Create another asset for other bytes.",
)
MULTIPART_UNSUPPORTED: Final = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "multipart_unsupported",
    "No uploads in parts",
    "The S3 store of this service cannot take uploads in parts safely. Send the file with one PUT, which takes up to "
    "5 GiB.",
)
WRONG_UPLOAD_METHOD: Final = Problem(
    HTTPStatus.CONFLICT,
    "wrong_upload_method",
    "Another way to upload",
    "An asset in parts is completed by POST /v1/assets/{id}/complete with upload_id and parts, and has part URLs "
    "instead of an upload URL. An asset that is uploaded with one PUT has neither upload_id nor parts.",
)
PARTS_MISMATCH: Final = Problem(
    HTTPStatus.CONFLICT,
    "parts_mismatch",
    "Other parts",
    "There is no part of this number, S3 has other parts, or their sum is not the declared size. Nothing is lost: "
    "GET /v1/assets/{id}/parts lists what S3 has. Send what is missing, and repeat the request.",
)
UPLOAD_LOST: Final = Problem(
    HTTPStatus.CONFLICT,
    "upload_lost",
    "No such upload",
    "S3 does not have this upload: it was aborted, or the upload_id is another one. Create a new asset, and send all "
    "parts again.",
)
DELETES_DISABLED: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "deletes_disabled",
    "Deletes are disabled",
    "The operator of this service does not allow to delete an asset that is marked or final.",
)
METADATA_TOO_LARGE: Final = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "metadata_too_large",
    "Too much metadata",
    "S3 stores at most 2 kB of metadata with an asset. Shorten metadata, filename or content_type.",
)
INLINE_NOT_ALLOWED: Final = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "inline_not_allowed",
    "Not to be shown",
    "Browsers may show only images (but no SVG), audio, video, PDF and plain text. Leave disposition out.",
)
BODY_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body_too_large",
    "Too large",
    "The request is too large. The bytes of the file go to upload_url.",
)
STORE_UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "store_unavailable",
    "S3 is unavailable",
    "S3 cannot be used now. Repeat the request after Retry-After seconds: every request may be repeated.",
    has_retry_after=True,
)
HEADERS_TOO_LARGE: Final = Problem(
    431,
    "headers_too_large",
    "Too many headers",
    "The headers are longer than 32 kB. Send fewer or shorter ones. The service needs no cookies.",
)
METHOD_NOT_ALLOWED: Final = Problem(
    HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", "The Allow header lists the methods."
)
PAGE_NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND, "not_found", "No such page", "No resource has this path. /docs lists all paths."
)
TOO_SLOW: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT, "bad_request", "Too slow", "The request did not arrive in time. Send it again."
)
UNREADABLE: Final = Problem(
    HTTPStatus.BAD_REQUEST, "bad_request", "Bad request", "The request is not readable as HTTP."
)
CLIENT_CLOSED: Final = Problem(499, "client_closed", "The client closed the connection", "This response is never sent.")
"""Counted and logged, but never sent. The status is nginx's."""

UNSUPPORTED: Final[Mapping[Capability, Problem]] = {
    capability: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{capability}_unsupported",
        "Not enforced by this store",
        f"The S3 store of this service does not enforce {member}. Leave it out.",
    )
    for capability, member in {
        Capability.SIZE: "size",
        Capability.CONTENT_TYPE: "content_type",
        Capability.CHECKSUM: "sha256",
        Capability.WRITE_ONCE: "write_once",
    }.items()
}
"""A declaration that would be ignored is refused."""

PROBLEMS: Final[Mapping[type[Exception], Problem]] = {
    InvalidAssetIdError: BAD_ASSET_ID,
    BadRequestError: BAD_REQUEST,
    AssetNotFoundError: ASSET_NOT_FOUND,
    AssetNotUploadedError: ASSET_NOT_UPLOADED,
    AlreadyUploadedError: ALREADY_UPLOADED,
    UploadMismatchError: UPLOAD_MISMATCH,
    AssetNotPendingError: ASSET_NOT_PENDING,
    MultipartUnsupportedError: MULTIPART_UNSUPPORTED,
    WrongUploadMethodError: WRONG_UPLOAD_METHOD,
    PartsMismatchError: PARTS_MISMATCH,
    UploadLostError: UPLOAD_LOST,
    DeletesDisabledError: DELETES_DISABLED,
    MetadataTooLargeError: METADATA_TOO_LARGE,
    InlineNotAllowedError: INLINE_NOT_ALLOWED,
    AssetExpiredError: ASSET_EXPIRED,
    AssetBusyError: ASSET_BUSY,
    PayloadTooLarge: BODY_TOO_LARGE,
    HeadersTooLargeError: HEADERS_TOO_LARGE,
    StoreError: STORE_UNAVAILABLE,
    MethodNotAllowed: METHOD_NOT_ALLOWED,
    NotFound: PAGE_NOT_FOUND,
    RequestTimeout: TOO_SLOW,
    BadRequest: UNREADABLE,
}


def problems_by_code() -> dict[str, Problem]:
    """Return one problem for each code: the first one in the table."""
    by_code: dict[str, Problem] = {}
    for problem in (*PROBLEMS.values(), *UNSUPPORTED.values(), INTERNAL):
        by_code.setdefault(problem.code, problem)
    return by_code


def problem_response(
    request: ApiRequest, error: BaseException, extra_headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """Log an exception and return its problem document. Nothing else turns exceptions into HTTP."""
    problem = _find_problem(error)
    body = _describe(request, error, problem)
    headers = {}
    if problem.has_retry_after:
        seconds = error.retry_after_seconds if isinstance(error, AssetNotUploadedError) else RETRY_AFTER_SECONDS
        headers["Retry-After"] = str(seconds)
    if isinstance(error, SanicException):
        headers.update({name: str(value) for name, value in (error.headers or {}).items()})
    headers.update(extra_headers or {})
    request.problem_code = problem.code
    return JsonResponse(body, problem.status, headers, PROBLEM_MEDIA_TYPE)


def describe_problem(request: ApiRequest, error: BaseException) -> ProblemResponse:
    """Log an exception and return the body of its problem document."""
    return _describe(request, error, _find_problem(error))


def _describe(request: ApiRequest, error: BaseException, problem: Problem) -> ProblemResponse:
    if isinstance(error, StoreError):
        log.log(LOG_LEVELS[error.kind], "store_request_failed", reason=str(error))
    elif problem is INTERNAL:
        log.error("internal_error", exc_info=error)
    return ProblemResponse(
        type=request.relative_to_root(f"docs#{problem.code}"),
        title=problem.title,
        status=problem.status,
        detail=str(error) if isinstance(error, BadRequestError | MetadataTooLargeError) else problem.detail,
        code=problem.code,
        request_id=request.id,
    )


def _find_problem(error: BaseException) -> Problem:
    if isinstance(error, RequestCancelled):  # Sanic reports it like any other error
        return CLIENT_CLOSED
    if isinstance(error, UnsupportedDeclarationError):
        return UNSUPPORTED[error.capability]
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return PROBLEMS[kind]
    if isinstance(error, SanicException) and (
        HTTPStatus.BAD_REQUEST <= error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        detail = "The service does not accept this request. /docs describes what it accepts."
        return Problem(error.status_code, "bad_request", "Bad request", detail)
    return INTERNAL
