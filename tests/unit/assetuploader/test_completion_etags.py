"""What a completion concludes from the ETag of the final object, on stores that compute ETags in different ways."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from assetuploader.errors import AlreadyUploadedError
from assetuploader.keys import uploaded_key
from assetuploader.multipart_service import MultipartService
from assetuploader.state_machine import NOTHING_DECLARED
from assetuploader.store import CompletedPart, ObjectInfo
from tests.support.builders import POLICY, asset_id
from tests.support.in_memory_s3 import InMemoryS3, etag_of

ASSET = asset_id(1)
PARTS = [CompletedPart(1, etag_of(b"A")), CompletedPart(2, etag_of(b"B"))]


class OtherEtags(InMemoryS3):
    """A bucket that computes the ETags of multipart objects in a way of its own."""

    is_kms_used = False

    async def head_object(self, key: str) -> ObjectInfo | None:
        """Say whether a key of KMS is the reason."""
        info = await InMemoryS3.head_object(self, key)
        return info and replace(info, has_opaque_etag=self.is_kms_used)

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """Complete, and change the ETag."""
        await InMemoryS3.complete_multipart_upload(self, key, upload_id, parts, if_match=if_match, size=size)
        self.objects[key] = replace(self.objects[key], etag="opaque-2")
        return "opaque-2"


async def send_parts(s3: InMemoryS3) -> tuple[MultipartService, str]:
    """Create an asset and send its parts; return the service and the upload id."""
    service = MultipartService(s3, s3, s3, POLICY, lambda: UUID(ASSET), lambda: b"nonce")
    _, upload_id = await service.create(NOTHING_DECLARED, s3.now)
    for number, body in enumerate((b"A", b"B"), 1):
        s3.store_part(s3.uploads[upload_id], upload_id, number, body)
    return service, upload_id


async def test_an_etag_that_kms_makes_opaque_counts_if_the_completion_returned_it() -> None:
    """Nothing else tells that the object is of these parts. A repeated completion cannot tell."""
    s3 = OtherEtags()
    s3.is_kms_used = True
    service, upload_id = await send_parts(s3)
    completed = await service.complete(ASSET, upload_id, PARTS)
    assert (completed.is_final, s3.objects[uploaded_key(ASSET)].body) == (True, b"AB")
    with pytest.raises(AlreadyUploadedError):
        await service.complete(ASSET, upload_id, PARTS)


async def test_another_etag_that_the_completion_returned_does_not_count() -> None:
    """It may be that of other parts, which another completion named at the same time."""
    service, upload_id = await send_parts(OtherEtags())
    with pytest.raises(AlreadyUploadedError):
        await service.complete(ASSET, upload_id, PARTS)
