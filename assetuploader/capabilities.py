"""What a store enforces on upload URLs that have signed headers. Stores differ, so it is tried and not assumed.

A declaration that the store would not enforce is refused when the asset is created, and never ignored. The programs
need none of these capabilities for assets without a declaration.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from assetuploader.errors import StoreUnavailableError
from assetuploader.keys import CHECK_UPLOAD_KEY
from assetuploader.plain_http import send
from assetuploader.store import Bucket


class Capability(StrEnum):
    """Something that a store enforces when a client uploads."""

    SIZE = "size"
    """It rejects an upload of another length."""
    CONTENT_TYPE = "content_type"
    """It rejects an upload of another content type."""
    CHECKSUM = "checksum"
    """It rejects other bytes than those of the SHA-256, and HeadObject returns it."""
    WRITE_ONCE = "write_once"
    """It rejects an upload when there is one already."""


_BODY: Final = b"probe"
_DIGEST: Final = sha256(_BODY)
_CHECKSUM_HEADERS: Final = {"x-amz-checksum-sha256": b64encode(_DIGEST.digest()).decode()}
_TYPE_HEADERS: Final = {"content-type": "text/x-probe"}
_ONCE_HEADERS: Final = {"if-none-match": "*"}
_URL_TTL_SECONDS: Final = 60
_ATTEMPTS: Final = 3
"""Other programs that start at this moment upload to the same key, and the doctor deletes it."""


@dataclass(frozen=True, slots=True)
class _Upload:
    """A client's PUT to the upload URL of the check."""

    body: bytes = _BODY
    headers: Mapping[str, str] = field(default_factory=dict)

    async def is_accepted(self, bucket: Bucket, signed: Mapping[str, str]) -> bool:
        """Send it, and return whether the store took it."""
        return await self.send(bucket, signed) < HTTPStatus.MULTIPLE_CHOICES

    async def send(self, bucket: Bucket, signed: Mapping[str, str]) -> int:
        """Send it to a URL with these signed headers, and return the status of the response."""
        url = await bucket.internal_presigner.presign_put(CHECK_UPLOAD_KEY, _URL_TTL_SECONDS, signed)
        response = await send("PUT", url.url, bucket.http, body=self.body, headers=self.headers)
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and response.status != HTTPStatus.NOT_IMPLEMENTED:
            raise StoreUnavailableError(
                f"S3 responds {response.status} to the check of what it enforces; try again later"
            )
        return response.status


async def find_capabilities(bucket: Bucket) -> frozenset[Capability]:
    """Return what the store enforces, by uploads to the key of the conformance check.

    Raises:
        StoreError: S3 did not respond, responded with a server error, or does not allow reading that key.
    """
    length = {"content-length": str(len(_BODY))}
    found = {
        Capability.SIZE: await _enforces(bucket, length, _Upload(), [_Upload(_BODY + b".")]),
        Capability.CONTENT_TYPE: await _enforces(
            bucket,
            _TYPE_HEADERS,
            _Upload(headers=_TYPE_HEADERS),
            [_Upload(), _Upload(headers={"content-type": "text/x-other"})],
        ),
        Capability.CHECKSUM: await _enforces(
            bucket,
            _CHECKSUM_HEADERS,
            _Upload(headers=_CHECKSUM_HEADERS),
            [_Upload(), _Upload(b"other", _CHECKSUM_HEADERS)],
        )
        and await _returns_checksum(bucket),
        Capability.WRITE_ONCE: await _writes_once(bucket),
    }
    return frozenset(capability for capability, is_enforced in found.items() if is_enforced)


async def _enforces(bucket: Bucket, signed: Mapping[str, str], right: _Upload, wrong: Sequence[_Upload]) -> bool:
    """Return whether a URL with these signed headers takes the right upload, and none of the wrong ones."""
    for upload in wrong:
        if await upload.is_accepted(bucket, signed):
            return False
    return await right.is_accepted(bucket, signed)


async def _returns_checksum(bucket: Bucket) -> bool:
    for _ in range(_ATTEMPTS):
        await _Upload(headers=_CHECKSUM_HEADERS).send(bucket, _CHECKSUM_HEADERS)
        head = await bucket.store.head_object(CHECK_UPLOAD_KEY)
        if head is not None and head.sha256 == _DIGEST.hexdigest():
            return True
    return False


async def _writes_once(bucket: Bucket) -> bool:
    if await _Upload().is_accepted(bucket, _ONCE_HEADERS):
        return False  # a client could leave the header out
    for _ in range(1 + _ATTEMPTS):  # the first one may be the first upload
        if await _Upload(headers=_ONCE_HEADERS).send(bucket, _ONCE_HEADERS) == HTTPStatus.PRECONDITION_FAILED:
            return True
    return False
