"""The conformance check: whether this store honours what the state machine relies on. Every program runs it at start.

Several S3-compatible stores respond 200 where a condition should have failed. Such a store loses assets although the
programs work correctly, so they refuse to use it. The checks leave small objects of their own.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from assetuploader.errors import PreconditionFailedError, StoreUnavailableError, StoreUnsupportedError
from assetuploader.keys import CHECK_UPLOAD_KEY, UPLOADED_PREFIX
from assetuploader.plain_http import send
from assetuploader.store import Bucket, ObjectAttributes, ObjectInfo, ObjectStore

CHECK_KEY: Final = UPLOADED_PREFIX + "_probe"
CHECK_DELETE_KEY: Final = UPLOADED_PREFIX + "_probe-delete"
CHECK_ATTRIBUTES: Final = ObjectAttributes(metadata={"purpose": "probe"}, tags={"purpose": "probe"})

_CHECK_BODY: Final = b"probe"
_OTHER_ETAG: Final = "0" * 32


async def check_conditional_writes(store: ObjectStore) -> None:
    """Check that the store rejects writes and copies whose condition fails, and that it keeps metadata.

    Raises:
        StoreUnsupportedError: The store failed a check; the message names it.
        StoreError: S3 did not respond, rejects these credentials, or the bucket does not exist.
    """
    check_object = await prepare_check_object(store)
    for check in conditional_write_checks(store, check_object):
        await check.run()


async def prepare_check_object(store: ObjectStore) -> ObjectInfo:
    """Create the object that the checks use, unless an earlier check did.

    Raises:
        StoreUnsupportedError: The store does not keep metadata.
        StoreError: S3 did not respond, rejects these credentials, or the bucket does not exist.
    """
    with suppress(PreconditionFailedError):  # an earlier check wrote it
        await store.put_object(CHECK_KEY, _CHECK_BODY, CHECK_ATTRIBUTES, if_none_match="*")
    info = await store.head_object(CHECK_KEY)
    if info is None:
        raise StoreUnavailableError(f"{CHECK_KEY} disappeared during the conformance check; try again")
    if not _is_intact(info):
        # Somebody overwrote it. A store that does not keep metadata loses that of the new object, too.
        await store.put_object(CHECK_KEY, _CHECK_BODY, CHECK_ATTRIBUTES, if_match=info.etag)
        info = await store.head_object(CHECK_KEY)
    if info is None or not _is_intact(info):
        raise StoreUnsupportedError("this store does not keep object metadata (x-amz-meta-*): use another store")
    return info


def _is_intact(check_object: ObjectInfo) -> bool:
    """Return whether it has the metadata of the check. Stores and backup tools may add some of their own."""
    return CHECK_ATTRIBUTES.metadata.items() <= check_object.metadata.items()


@dataclass(frozen=True, slots=True)
class ConditionCheck:
    """A conditional write that the store must reject, because its condition fails."""

    name: str
    write: Callable[[], Awaitable[str]]

    async def run(self) -> None:
        """Try the write.

        Raises:
            StoreUnsupportedError: The store accepted the write.
            StoreError: The request to S3 failed.
        """
        try:
            await self.write()
        except PreconditionFailedError:
            return
        raise StoreUnsupportedError(f"this store ignores conditions: {self.name} wrote although its condition failed")


def conditional_write_checks(store: ObjectStore, check_object: ObjectInfo) -> list[ConditionCheck]:
    """Return one check for each condition that the state machine relies on."""
    etag = check_object.etag

    def copy(source_if_match: str, if_match: str) -> Awaitable[str]:
        return store.copy_object(
            CHECK_KEY, CHECK_KEY, CHECK_ATTRIBUTES, source_if_match=source_if_match, if_match=if_match
        )

    return [
        ConditionCheck(
            "PutObject with If-None-Match: *",
            lambda: store.put_object(CHECK_KEY, _CHECK_BODY, CHECK_ATTRIBUTES, if_none_match="*"),
        ),
        ConditionCheck(
            "PutObject with If-Match",
            lambda: store.put_object(CHECK_KEY, _CHECK_BODY, CHECK_ATTRIBUTES, if_match=_OTHER_ETAG),
        ),
        ConditionCheck("CopyObject with x-amz-copy-source-if-match", lambda: copy(_OTHER_ETAG, etag)),
        ConditionCheck("CopyObject with If-Match", lambda: copy(etag, _OTHER_ETAG)),
    ]


async def check_conditional_delete(store: ObjectStore) -> None:
    """Check that the store does not delete another version than a condition names. Only deletions of assets need it.

    The object stays: several programs may check at the same time, and stores differ in what they say of a missing one.

    Raises:
        StoreUnsupportedError: The store ignores the condition.
        StoreError: S3 did not respond, rejects these credentials, or the bucket does not exist.
    """
    with suppress(PreconditionFailedError):  # an earlier check wrote it
        await store.put_object(CHECK_DELETE_KEY, _CHECK_BODY, CHECK_ATTRIBUTES, if_none_match="*")
    try:
        await store.delete_object(CHECK_DELETE_KEY, if_match=_OTHER_ETAG)
    except PreconditionFailedError:
        return
    raise StoreUnsupportedError(
        "this store ignores conditions: DeleteObject with If-Match deleted although its condition failed"
    )


async def check_unsigned_copy_source(bucket: Bucket) -> None:
    """Check that an upload URL cannot copy: its holder could otherwise read any object of the store.

    Raises:
        StoreUnsupportedError: This store obeys an unsigned `x-amz-copy-source`.
        StoreUnavailableError: S3 did not respond, or responded with a server error.
    """
    upload = await bucket.internal_presigner.presign_put(CHECK_UPLOAD_KEY, 60)
    headers = {"x-amz-copy-source": f"/{bucket.name}/{CHECK_KEY}"}
    response = await send("PUT", upload.url, bucket.http, headers=headers)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise StoreUnavailableError(f"S3 responds {response.status} to the conformance check; try again later")
    if response.status < HTTPStatus.MULTIPLE_CHOICES and b"CopyObjectResult" in response.body:
        raise StoreUnsupportedError(
            "this store obeys an unsigned x-amz-copy-source on a presigned PUT: "
            "the holder of an upload URL could read any object with it"
        )
