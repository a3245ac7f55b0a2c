"""Maps S3's error responses to `assetuploader.errors`."""

from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from assetuploader.errors import (
    ConflictError,
    MultipartUploadLostError,
    ObjectUnreadableError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from assetuploader.s3.http import Response
from assetuploader.s3.xml import parse_error_code

_OTHER_REGION: Final = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "TemporaryRedirect",
        "Redirect",
    }
)
THROTTLING_CODES: Final = frozenset(
    {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"}
)
TRANSIENT_CODES: Final = frozenset({"InternalError", "OperationAborted", "RequestTimeout"})
TRANSIENT_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
THROTTLING_STATUSES: Final = frozenset({429, 503})
_REJECTED_PARTS: Final = frozenset(
    {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "EntityTooLarge", "InvalidRequest", "MalformedXML"}
)
"""What stores respond to a completion that names other parts than they have, or parts of other sizes."""
_SUCCESSES: Final = range(200, 300)


class On404(Enum):
    """What a 404 means for an operation."""

    RETURN_NONE = auto()
    """The object does not exist, which is a result of a read."""
    PRECONDITION_FAILED = auto()
    """The version that a conditional write named does not exist."""
    UPLOAD_LOST = auto()
    """The multipart upload does not exist, if S3's code says so. Otherwise the version that a condition named."""
    UNEXPECTED = auto()


@dataclass(frozen=True, slots=True)
class S3ErrorResponse:
    """A response in which S3 reports an error."""

    status: int
    """It may be 200: S3 begins its response to CopyObject and CompleteMultipartUpload before the work ends."""
    code: str
    """S3's error code; empty in a response to HEAD, which has no body."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".rstrip()

    @property
    def is_transient(self) -> bool:
        """Whether a retry may succeed."""
        return self.status in TRANSIENT_STATUSES or self.code in TRANSIENT_CODES or self.is_throttling

    @property
    def is_throttling(self) -> bool:
        """Whether S3 wants fewer requests."""
        return self.status in THROTTLING_STATUSES or self.code in THROTTLING_CODES


def parse_error(response: Response, on_404: On404, *, begins_early: bool) -> S3ErrorResponse | None:
    """Return the error in a response, or None when the operation succeeded or its 404 is a result.

    An `Error` document with 200 counts only if `begins_early`. The body of GetObject may be any document.
    """
    if response.status in _SUCCESSES:
        code = parse_error_code(response.body) if begins_early else None
        return None if code is None else S3ErrorResponse(response.status, code)
    code = parse_error_code(response.body) if response.body else None
    # A body that is not S3's error document is from something else, such as an ingress without a route.
    if (
        response.status == HTTPStatus.NOT_FOUND
        and on_404 is On404.RETURN_NONE
        and (not response.body or code == "NoSuchKey")
    ):
        return None
    return S3ErrorResponse(response.status, code or "")


def _expected_error(status: int, code: str, on_404: On404, *, is_conditional: bool) -> Exception | None:
    """Return the error for an object or a multipart upload that is not as the operation expects, None for others."""
    match status, code:
        case _, "NoSuchUpload" if on_404 is On404.UPLOAD_LOST:
            return MultipartUploadLostError(code)
        case (200 | 400, _) if on_404 is On404.UPLOAD_LOST and is_conditional and code in _REJECTED_PARTS:
            return PartsRejectedError(code)
        # The client chose the upload id, and stores also reject what cannot be one of theirs.
        case 400, "InvalidRequest" | "InvalidArgument" if on_404 is On404.UPLOAD_LOST:
            return MultipartUploadLostError(code)
        case _, "ConditionalRequestConflict" if is_conditional:
            return ConflictError(code)
        case (412, _) | (_, "PreconditionFailed") if is_conditional:
            return PreconditionFailedError(code)
        case _, "NoSuchKey" if on_404 is On404.PRECONDITION_FAILED or (on_404 is On404.UPLOAD_LOST and is_conditional):
            return PreconditionFailedError(code)
        case 404, code if on_404 is On404.PRECONDITION_FAILED and code != "NoSuchBucket":
            return PreconditionFailedError(code)
        case _:
            return None


def to_store_error(error_response: S3ErrorResponse, on_404: On404, *, is_conditional: bool) -> Exception:
    """Return the error as one of `assetuploader.errors`.

    Only a conditional operation can return a `PreconditionFailedError`. An unknown error is a `StoreUnavailableError`,
    because it proves nothing about the object.
    """
    status, code = error_response.status, error_response.code
    if (expected := _expected_error(status, code, on_404, is_conditional=is_conditional)) is not None:
        return expected
    match status, code:
        case _, "NoSuchBucket":
            return StoreMisconfiguredError("the bucket does not exist: create it, or correct AWS_BUCKET")
        case _, "InvalidBucketName":
            return StoreMisconfiguredError("this cannot be the name of a bucket: correct AWS_BUCKET")
        case (301 | 302 | 307 | 308, _):
            return StoreMisconfiguredError(
                f"S3 redirects ({error_response}): correct AWS_REGION, or the scheme of AWS_ENDPOINT_URL_S3"
            )
        case 400, _ if code in _OTHER_REGION:
            return StoreMisconfiguredError("the bucket is in another region: correct AWS_REGION")
        case (400, "" | "InvalidRequest" | "InvalidArgument") | (403, "InvalidObjectState") | (416, _) if (
            on_404 is On404.RETURN_NONE
        ):
            return ObjectUnreadableError(
                f"S3 responds {error_response} for this object: it is empty, archived, or encrypted with a client's key"
            )
        case 501, _:
            return StoreUnsupportedError(
                f"S3 responds {error_response}: this store lacks a required operation or condition; use another store"
            )
        case _, "RequestTimeTooSkewed":
            return StoreUnavailableError("this machine's clock is more than 15 minutes off S3's: synchronize it (NTP)")
        case (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired"):
            return StoreAccessDeniedError(
                f"S3 responds {error_response}: check the credentials and their IAM policy "
                "(without s3:ListBucket it also responds 403 for an object that does not exist)"
            )
        case _:
            return StoreUnavailableError(f"S3 responds {error_response}")
