"""A bucket with any number of assets in constant memory: each page is generated when it is listed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from assetuploader.keys import TEMP_PREFIX
from assetuploader.state_machine import AssetState, Status, to_metadata
from assetuploader.store import (
    ListedObject,
    ListPage,
    ObjectAttributes,
    ObjectInfo,
)
from tests.support.in_memory_s3 import PAGE_SIZE, START, etag_of

_DUE: Final = to_metadata(AssetState(Status.MARKED, START - timedelta(days=1)))
_WAITING: Final = to_metadata(AssetState(Status.MARKED, START + timedelta(days=1)))
_PENDING: Final = to_metadata(AssetState(Status.PENDING, START + timedelta(minutes=5)))
_ETAG: Final = etag_of(b"bytes")


@dataclass(slots=True)
class EndlessS3:
    """An `ObjectStore`: of three assets one is due, one waits for its expiry and one is not marked."""

    count: int
    deleted: int = 0

    def _key(self, number: int) -> str:
        return f"{TEMP_PREFIX}{number * (1 << 32) // self.count:08x}-0000-4000-8000-{number:012x}"

    async def head_object(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.head_object`."""
        metadata: Mapping[str, str] = {}
        if not key.startswith(TEMP_PREFIX):
            metadata = (_DUE, _WAITING, _PENDING)[int(key[-12:], 16) % 3]
        return ObjectInfo(_ETAG, 5, START, metadata, {"content-type": "text/plain"})

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """See `ObjectStore.put_object`: nothing here needs it."""
        raise NotImplementedError

    async def copy_object(  # noqa: PLR0913 -- the interface's
        self,
        source: str,  # noqa: ARG002 -- the interface's, as all below
        target: str,  # noqa: ARG002
        attributes: ObjectAttributes,  # noqa: ARG002
        *,
        source_if_match: str,  # noqa: ARG002
        if_match: str,  # noqa: ARG002
        max_seconds: float | None = None,  # noqa: ARG002
    ) -> str:
        """See `ObjectStore.copy_object`."""
        return _ETAG

    async def get_object(self, key: str, max_bytes: int, *, if_match: str | None = None) -> bytes | None:
        """See `ObjectStore.get_object`: nothing here needs it."""
        raise NotImplementedError

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:  # noqa: ARG002
        """See `ObjectStore.list_objects`."""
        after = start_after.rpartition("-")
        first = int(after[2], 16) + 1 if after[1] else 0
        last = min(first + PAGE_SIZE, self.count)
        return ListPage(
            [ListedObject(self._key(number), START) for number in range(first, last)],
            is_truncated=last < self.count,
            server_time=START,
        )

    async def delete_object(self, key: str, *, if_match: str) -> None:
        """See `ObjectStore.delete_object`: nothing here needs it."""
        raise NotImplementedError

    async def delete_objects(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `ObjectStore.delete_objects`."""
        self.deleted += len(keys)
        return {}
