"""A store that fails one call, before or after it takes effect."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from assetuploader.errors import StoreUnavailableError
from assetuploader.store import (
    CompletedPart,
    ListPage,
    ObjectAttributes,
    ObjectInfo,
    OpenUploadPage,
    UploadedPart,
    UploadMarker,
)
from tests.support.in_memory_s3 import InMemoryS3

T = TypeVar("T")


@dataclass(slots=True)
class FlakyStore:
    """An `ObjectStore` and `MultipartStore` that passes calls to another one and fails one of them."""

    store: InMemoryS3
    calls_until_failure: int = -1
    """How many calls succeed before one fails; negative: none fails."""
    takes_effect: bool = False
    """Whether the failing call takes effect."""
    has_failed: bool = False

    async def _call_or_fail(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.calls_until_failure -= 1
        if self.calls_until_failure != -1:
            return await call()
        self.has_failed = True
        if self.takes_effect:
            await call()
        raise StoreUnavailableError("S3 could not be reached")

    async def head_object(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head_object`."""
        return await self._call_or_fail(lambda: self.store.head_object(key))

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """See `ObjectStore.put_object`."""
        return await self._call_or_fail(
            lambda: self.store.put_object(key, body, attributes, if_match=if_match, if_none_match=if_none_match)
        )

    async def copy_object(  # noqa: PLR0913 -- the interface's
        self,
        source: str,
        target: str,
        attributes: ObjectAttributes,
        *,
        source_if_match: str,
        if_match: str,
        max_seconds: float | None = None,
    ) -> str:
        """See `ObjectStore.copy_object`."""
        return await self._call_or_fail(
            lambda: self.store.copy_object(
                source,
                target,
                attributes,
                source_if_match=source_if_match,
                if_match=if_match,
                max_seconds=max_seconds,
            )
        )

    async def get_object(self, key: str, max_bytes: int, *, if_match: str | None = None) -> bytes | None:
        """See `ObjectStore.get_object`."""
        return await self._call_or_fail(lambda: self.store.get_object(key, max_bytes, if_match=if_match))

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """See `ObjectStore.list_objects`."""
        return await self._call_or_fail(lambda: self.store.list_objects(prefix, start_after))

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """See `ObjectStore.delete_object`."""
        return await self._call_or_fail(lambda: self.store.delete_object(key, if_match=if_match))

    async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `ObjectStore.delete_objects`."""
        return await self._call_or_fail(lambda: self.store.delete_objects(keys))

    async def create_multipart_upload(self, key: str, attributes: ObjectAttributes) -> str:
        """See `MultipartStore.create_multipart_upload`."""
        return await self._call_or_fail(lambda: self.store.create_multipart_upload(key, attributes))

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """See `MultipartStore.complete_multipart_upload`."""
        return await self._call_or_fail(
            lambda: self.store.complete_multipart_upload(key, upload_id, parts, if_match=if_match, size=size)
        )

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """See `MultipartStore.abort_multipart_upload`."""
        return await self._call_or_fail(lambda: self.store.abort_multipart_upload(key, upload_id))

    async def list_parts(self, key: str, upload_id: str) -> Sequence[UploadedPart]:
        """See `MultipartStore.list_parts`."""
        return await self._call_or_fail(lambda: self.store.list_parts(key, upload_id))

    async def list_multipart_uploads(self, prefix: str, marker: UploadMarker | None = None) -> OpenUploadPage:
        """See `MultipartStore.list_multipart_uploads`."""
        return await self._call_or_fail(lambda: self.store.list_multipart_uploads(prefix, marker))
