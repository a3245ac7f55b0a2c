"""A bucket in memory, as far as shard reports need one."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from assetuploader.errors import ObjectUnreadableError, StoreUnavailableError
from assetuploader.store import ListedObject, ListPage, ObjectAttributes

PAGE_SIZE = 1000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(slots=True)
class InMemoryReports:
    """A `ShardReportStore`. Tests read and set its objects."""

    objects: dict[str, bytes] = field(default_factory=dict)
    is_away: bool = False

    async def list_objects(self, prefix: str, start_after: str) -> ListPage:
        """See `ObjectStore.list_objects`."""
        self._response()
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > start_after)
        page = [ListedObject(key, NOON) for key in keys[:PAGE_SIZE]]
        return ListPage(page, is_truncated=len(keys) > PAGE_SIZE, server_time=NOON)

    async def get_object(self, key: str, max_bytes: int) -> bytes | None:
        """See `ShardReportStore.get_object`."""
        self._response()
        found = self.objects.get(key)
        if found is not None and len(found) > max_bytes:
            raise ObjectUnreadableError("too long")
        return found

    async def put_object(self, key: str, body: bytes, attributes: ObjectAttributes) -> str:
        """See `ShardReportStore.put_object`."""
        self._response()
        assert attributes.headers == {"content-type": "application/json"}
        self.objects[key] = body
        return "etag"

    def _response(self) -> None:
        if self.is_away:
            raise StoreUnavailableError("S3 is unavailable")
