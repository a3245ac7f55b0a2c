"""The errors of the domain, independent of HTTP and of S3's error codes."""

from enum import StrEnum
from typing import ClassVar


class AssetError(Exception):
    """The asset is not in a state that allows the request."""


class AssetNotFoundError(AssetError):
    """No asset has this id."""


class AssetNotUploadedError(AssetError):
    """The asset is not final yet."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("the asset is not final yet")
        self.retry_after_seconds = retry_after_seconds
        """How long to wait before the next request: whole seconds, at least 1."""


class AlreadyUploadedError(AssetError):
    """The asset is final and never changes again."""


class AssetNotPendingError(AssetError):
    """The asset is marked: its upload cannot be sent again."""


class DeletesDisabledError(AssetError):
    """The asset is marked or final, and the operator does not allow to delete such assets."""


class UploadMismatchError(AssetError):
    """`temp/` does not hold the pinned or the declared bytes, or holds nothing."""


class AssetExpiredError(AssetError):
    """The asset expired: it was not marked or not uploaded in time, or its pinned bytes were overwritten."""


class WrongUploadMethodError(AssetError):
    """The asset is uploaded in parts and the request is for one PUT, or the other way round."""


class UploadLostError(AssetError):
    """S3 does not have the parts any more, or never had them: the upload must start over with a new asset."""


class PartsMismatchError(AssetError):
    """The parts of a completion are not those that S3 has, or not those that were declared."""


class AssetBusyError(AssetError):
    """Other clients changed the asset in every attempt, or too many wait to change it. A retry may succeed."""


class StoreErrorKind(StrEnum):
    """Why an S3 operation failed. Exit codes, log levels, metrics and the doctor's severities derive from it."""

    UNAVAILABLE = "unavailable"
    ACCESS_DENIED = "access_denied"
    MISCONFIGURED = "misconfigured"
    UNSUPPORTED = "unsupported"


class StoreError(Exception):
    """An S3 operation failed. The message names the cause, and the remedy where one is known."""

    kind: ClassVar[StoreErrorKind] = StoreErrorKind.UNAVAILABLE


class StoreUnavailableError(StoreError):
    """S3 cannot be reached, is slow or throttles, or its response is not understood. Retry later.

    The operation may have taken effect.
    """


class ObjectUnreadableError(StoreError):
    """S3 does not give out this one object: it is encrypted with a key of the client, archived, or too long.

    It says nothing about S3 or about other objects, and a retry does not help.
    """


class StoreAccessDeniedError(StoreError):
    """S3 rejects these credentials, or they lack a permission."""

    kind = StoreErrorKind.ACCESS_DENIED


class StoreMisconfiguredError(StoreError):
    """The bucket, the credentials, the region or the endpoint is missing or wrong."""

    kind = StoreErrorKind.MISCONFIGURED


class StoreUnsupportedError(StoreError):
    """The store lacks something that the state machine relies on. Using it would lose or leak assets."""

    kind = StoreErrorKind.UNSUPPORTED


class PreconditionFailedError(Exception):
    """A conditional write met another version, no version, or a concurrent write (412, 409, and 404 with If-Match).

    It is never a final result: read again. The conflicting write may be the caller's own, if its response was lost.
    """


class ConflictError(PreconditionFailedError):
    """Another write happened at the same time (409)."""


class MultipartUploadLostError(Exception):
    """S3 does not have this multipart upload, or not any more: it was completed or aborted, or never existed.

    Amazon also wants all parts again after a completion that met a deletion (409). It is never a final result: read
    again, because the completion may be the caller's own, if its response was lost.
    """


class PartsRejectedError(Exception):
    """S3 cannot make an object of the parts that a completion names. The multipart upload remains."""
