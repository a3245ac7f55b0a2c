"""A bucket in memory, as far as reports need one."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from assetstore.door import Listed, Page
from assetstore.errors import StoreUnavailableError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(slots=True)
class MemoryReports:
    """`assetstore.door.ReportStore`; tests read and set what it has."""

    objects: dict[str, bytes] = field(default_factory=dict)
    is_away: bool = False

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""
        self._answer()
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > start_after)
        return Page([Listed(key, NOON) for key in keys], is_last=True, listed_at=NOON)

    async def get(self, key: str, limit_bytes: int) -> bytes | None:
        """See `ReportStore.get`."""
        self._answer()
        found = self.objects.get(key)
        if found is not None and len(found) > limit_bytes:
            raise StoreUnavailableError("too long")
        return found

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """See `ReportStore.put`."""
        self._answer()
        assert content_type == "application/json"
        self.objects[key] = body

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailableError("S3 is away")
