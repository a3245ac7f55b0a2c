"""Whether a store can be trusted with uploads in parts. It is tried when the service starts, because stores differ.

A store that fails the check keeps everything else. Source of what stores do wrong: the check itself, run on SeaweedFS,
versitygw, MinIO, Garage and moto.
"""

from contextlib import suppress
from http import HTTPStatus
from typing import Final

from assetuploader.conformance import CHECK_ATTRIBUTES, CHECK_KEY
from assetuploader.errors import (
    MultipartUploadLostError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from assetuploader.keys import UPLOADED_PREFIX
from assetuploader.parts import implied_etag
from assetuploader.plain_http import send
from assetuploader.store import Bucket, CompletedPart, ObjectAttributes, PartTarget

CHECK_MULTIPART_KEY: Final = UPLOADED_PREFIX + "_probe-multipart"
_ATTRIBUTES: Final = ObjectAttributes(metadata={"purpose": "multipart-probe"}, tags={"purpose": "multipart-probe"})
_BODY: Final = b"part"
_OTHER_ETAG: Final = "0" * 32
_URL_TTL_SECONDS: Final = 60
_ATTEMPTS: Final = 5
"""Other programs that start at this moment write the same key."""


class _UnsupportedError(Exception):
    """The store failed the check; the message says how."""


async def find_multipart_problem(bucket: Bucket) -> str | None:
    """Return why this store cannot take uploads in parts, None when it can.

    Raises:
        StoreUnavailableError: S3 did not respond, or responded with a server error.
        StoreMisconfiguredError: The bucket does not exist, or the endpoint or the region is wrong.
    """
    try:
        await _check_completion(bucket)
        await _check_abort(bucket)
    except (_UnsupportedError, StoreUnsupportedError) as error:
        return str(error)
    except StoreAccessDeniedError as error:
        return f"the check was denied: {error}"
    except (MultipartUploadLostError, PartsRejectedError):
        return "the store loses the parts of an upload"
    return None


async def _check_completion(bucket: Bucket) -> None:
    """Check that only the signed part is taken, and that a completion replaces only the version that it names."""
    with suppress(PreconditionFailedError):  # an earlier check wrote it
        await bucket.store.put_object(CHECK_MULTIPART_KEY, _BODY, CHECK_ATTRIBUTES, if_none_match="*")
    upload_id = await bucket.multipart.create_multipart_upload(CHECK_MULTIPART_KEY, _ATTRIBUTES)
    try:
        await _require_no_copy(bucket, upload_id)
        status, _ = await _send_part(bucket, upload_id, _BODY + b".", len(_BODY))
        if status < HTTPStatus.MULTIPLE_CHOICES:
            raise _UnsupportedError("this store takes a part of another length than its URL was signed for")
        status, etag = await _send_part(bucket, upload_id, _BODY, len(_BODY))
        if status != HTTPStatus.OK or not etag:
            raise _UnsupportedError(f"this store responds {status} to a part, or sends no ETag")
        parts = [CompletedPart(1, etag)]
        try:
            await _complete(bucket, upload_id, parts, _OTHER_ETAG)
        except PreconditionFailedError:
            pass
        else:
            raise _UnsupportedError("this store ignores conditions: CompleteMultipartUpload with If-Match")
        await _complete_current(bucket, upload_id, parts)
    finally:
        with suppress(StoreUnavailableError, StoreAccessDeniedError, StoreUnsupportedError):
            await bucket.multipart.abort_multipart_upload(CHECK_MULTIPART_KEY, upload_id)


async def _require_no_copy(bucket: Bucket, upload_id: str) -> None:
    """Require that a part URL cannot copy: its holder could otherwise read any object of the store."""
    copy_source = {"x-amz-copy-source": f"/{bucket.name}/{CHECK_KEY}"}
    target = await bucket.internal_presigner.presign_part(
        CHECK_MULTIPART_KEY, _URL_TTL_SECONDS, PartTarget(upload_id, 1, 0)
    )
    response = await send("PUT", target.url, bucket.http, headers=copy_source)
    _require_response(response.status)
    if response.status < HTTPStatus.MULTIPLE_CHOICES and b"CopyPartResult" in response.body:
        raise _UnsupportedError(
            "this store obeys an unsigned x-amz-copy-source on a presigned part: the holder of a part URL could read "
            "any object with it"
        )


async def _complete_current(bucket: Bucket, upload_id: str, parts: list[CompletedPart]) -> None:
    """Complete over the current version, and require the attributes that the upload was created with."""
    for _ in range(_ATTEMPTS):
        head = await bucket.store.head_object(CHECK_MULTIPART_KEY)
        if head is None:
            break
        try:
            await _complete(bucket, upload_id, parts, head.etag)
        except PreconditionFailedError:
            continue
        head = await bucket.store.head_object(CHECK_MULTIPART_KEY)
        if head is None or not _ATTRIBUTES.metadata.items() <= head.metadata.items():
            raise _UnsupportedError("this store loses the metadata of a multipart upload")
        if not head.has_opaque_etag and head.etag != implied_etag(part.etag for part in parts):
            raise _UnsupportedError("this store computes the ETag of an object in another way from those of its parts")
        return
    raise StoreUnavailableError(f"{CHECK_MULTIPART_KEY} was written by others during the check; try again")


async def _check_abort(bucket: Bucket) -> None:
    """Check that an aborted upload is gone."""
    upload_id = await bucket.multipart.create_multipart_upload(CHECK_MULTIPART_KEY, _ATTRIBUTES)
    await bucket.multipart.abort_multipart_upload(CHECK_MULTIPART_KEY, upload_id)
    try:
        await bucket.multipart.list_parts(CHECK_MULTIPART_KEY, upload_id)
    except MultipartUploadLostError:
        return
    raise _UnsupportedError("this store keeps a multipart upload that was aborted")


async def _complete(bucket: Bucket, upload_id: str, parts: list[CompletedPart], if_match: str) -> None:
    await bucket.multipart.complete_multipart_upload(
        CHECK_MULTIPART_KEY, upload_id, parts, if_match=if_match, size=len(_BODY)
    )


async def _send_part(bucket: Bucket, upload_id: str, body: bytes, signed_length: int) -> tuple[int, str]:
    """Send part 1 to a URL for this length; return the status and the ETag of the response."""
    target = await bucket.internal_presigner.presign_part(
        CHECK_MULTIPART_KEY, _URL_TTL_SECONDS, PartTarget(upload_id, 1, signed_length)
    )
    response = await send("PUT", target.url, bucket.http, body=body)
    _require_response(response.status)
    return response.status, response.headers.get("etag", "").strip('"')


def _require_response(status: int) -> None:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
        raise StoreUnavailableError(f"S3 responds {status} to the check of uploads in parts; try again later")
