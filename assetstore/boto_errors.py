"""botocore's errors in our words, in this one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)

from assetstore.errors import (
    PreconditionFailedError,
    StoreDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnfitError,
)

_OTHER_REGION: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)
_OUR_MISTAKES: Final = (
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)


@contextmanager
def translated(*, missing_is_precondition: bool) -> Iterator[None]:
    """Turn botocore's errors into those of `assetstore.errors`.

    What is not understood is *unavailable*, never *not found*: nothing is concluded from it.
    """
    try:
        yield
    except ClientError as error:
        raise _translate(error, missing_is_precondition=missing_is_precondition) from error
    except CredentialRetrievalError as error:
        raise StoreUnavailableError(f"the AWS credentials could not be fetched: {error}") from error
    except _OUR_MISTAKES as error:
        raise StoreMisconfiguredError(f"boto3 refuses this configuration: {error}") from error
    except BotoCoreError as error:
        # Its text may hold a URL, which may be signed: the kind says enough.
        raise StoreUnavailableError(f"S3 could not be reached ({type(error).__name__})") from error


def _translate(error: ClientError, *, missing_is_precondition: bool) -> Exception:
    code = error.response.get("Error", {}).get("Code", "unknown")
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    match status, code:
        case _, "NoSuchBucket":
            return StoreMisconfiguredError("the bucket does not exist: create it, or correct AWS_BUCKET")
        case (412, _) | (409, "ConditionalRequestConflict"):
            return PreconditionFailedError(code)
        case 404, _ if missing_is_precondition:
            return PreconditionFailedError(code)
        case 301 | 307 | 400, _ if code in _OTHER_REGION:
            return StoreMisconfiguredError("the bucket is in another region: correct AWS_REGION")
        case 401 | 403, "RequestTimeTooSkewed":
            return StoreUnavailableError("this machine's clock is more than 15 minutes off S3's")
        case 401 | 403, _:
            return StoreDeniedError(
                f"S3 answers {status} {code}: check the credentials and their IAM policy "
                "(without s3:ListBucket it answers 403 for an object that does not exist, too)"
            )
        case 501, _:
            return StoreUnfitError(f"this store answers 501 {code}: it lacks a call or a condition that is needed")
        case _:
            return StoreUnavailableError(f"S3 answers {status} {code}")
