"""A door that fails one call, before or after it takes effect."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from assetstore.door import Door, Head, Page, Said
from assetstore.errors import StoreUnavailableError

T = TypeVar("T")


@dataclass(slots=True)
class FlakyDoor:
    """`assetstore.door.Door` over another, with one failure to come."""

    door: Door
    calls_until_failure: int = -1
    """How many calls still go through before one fails; negative: none fails."""
    takes_effect: bool = False
    """Whether the call that fails has taken effect."""
    has_failed: bool = False

    async def _through(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.calls_until_failure -= 1
        if self.calls_until_failure != -1:
            return await call()
        self.has_failed = True
        if self.takes_effect:
            await call()
        raise StoreUnavailableError("S3 could not be reached")

    async def head(self, key: str) -> Head | None:
        """See `Door.head`."""
        return await self._through(lambda: self.door.head(key))

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """See `Door.put_if`."""
        return await self._through(lambda: self.door.put_if(key, body, said, etag=etag))

    async def copy_if(self, source: str, source_etag: str, target: str, target_etag: str, said: Said) -> str:
        """See `Door.copy_if`."""
        return await self._through(lambda: self.door.copy_if(source, source_etag, target, target_etag, said))

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""
        return await self._through(lambda: self.door.list_page(prefix, start_after))

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `Door.delete_many`."""
        return await self._through(lambda: self.door.delete_many(keys))
