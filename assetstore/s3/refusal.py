"""S3's errors in our words, in this one place."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from assetstore.errors import (
    PreconditionFailedError,
    StoreDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnfitError,
)
from assetstore.s3.documents import read_error_code
from assetstore.s3.message import Answer

_OTHER_REGION: Final = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "TemporaryRedirect",
        "Redirect",
    }
)
_PATIENCE_CODES: Final = frozenset(
    {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"}
)
_PASSING_CODES: Final = frozenset({"InternalError", "OperationAborted", "RequestTimeout"})
_PASSING_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_PATIENCE_STATUSES: Final = frozenset({429, 503})
_SUCCESSES: Final = range(200, 300)


class Missing(Enum):
    """What it means that S3 answers 404."""

    IS_AN_ANSWER = auto()
    """There is no such object: so says a read."""
    FAILS_THE_CONDITION = auto()
    """The version that a conditional write named is gone."""
    IS_NOT_UNDERSTOOD = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """S3 answered that it did not do it."""

    status: int
    """200, too: S3 begins to answer CopyObject before it knows how it ends."""
    code: str
    """S3's code; empty in the answer to a HEAD, which has no body to tell it."""

    def __str__(self) -> str:
        return f"answers {self.status} {self.code}".rstrip()

    @property
    def may_pass(self) -> bool:
        """Whether asking again soon may help."""
        return self.status in _PASSING_STATUSES or self.code in _PASSING_CODES or self.asks_for_patience

    @property
    def asks_for_patience(self) -> bool:
        """Whether S3 wants fewer requests."""
        return self.status in _PATIENCE_STATUSES or self.code in _PATIENCE_CODES


def refusal_of(answer: Answer, missing: Missing) -> Refusal | None:
    """How S3 refused, or None when it did what was asked."""
    if answer.status in _SUCCESSES:
        # An error inside a 200 answer: only CopyObject's may be one, and no success of ours holds this text.
        if b"<Error>" not in answer.body[:1024]:
            return None
        code = read_error_code(answer.body)
        return None if code is None else Refusal(answer.status, code)
    code = read_error_code(answer.body) if answer.body else None
    if answer.status == 404 and missing is Missing.IS_AN_ANSWER and code != "NoSuchBucket":  # noqa: PLR2004
        return None
    return Refusal(answer.status, code or "")


def error_of(refusal: Refusal, missing: Missing, *, is_conditional: bool) -> Exception:
    """The refusal as one of `assetstore.errors`.

    That a condition failed is believed only of a call that had one.

    What is not understood is *unavailable*, never *not found*: nothing is concluded from it.
    """
    status, code = refusal.status, refusal.code
    match status, code:
        case _, "NoSuchBucket":
            return StoreMisconfiguredError("the bucket does not exist: create it, or correct AWS_BUCKET")
        case _, "InvalidBucketName":
            return StoreMisconfiguredError("no bucket can have this name: correct AWS_BUCKET")
        case (412, _) | (_, "PreconditionFailed" | "ConditionalRequestConflict") if is_conditional:
            return PreconditionFailedError(code)
        case (404, _) | (_, "NoSuchKey") if missing is Missing.FAILS_THE_CONDITION:
            return PreconditionFailedError(code)
        case (301 | 302 | 307 | 308, _):
            return StoreMisconfiguredError("the bucket is in another region: correct AWS_REGION")
        case 400, _ if code in _OTHER_REGION:
            return StoreMisconfiguredError("the bucket is in another region: correct AWS_REGION")
        case 501, _:
            return StoreUnfitError(f"this store {refusal}: it lacks a call or a condition that is needed")
        case _, "RequestTimeTooSkewed":
            return StoreUnavailableError("this machine's clock is more than 15 minutes off S3's")
        case (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired"):
            return StoreDeniedError(
                f"S3 {refusal}: check the credentials and their IAM policy "
                "(without s3:ListBucket it answers 403 for an object that does not exist, too)"
            )
        case _:
            return StoreUnavailableError(f"S3 {refusal}")
