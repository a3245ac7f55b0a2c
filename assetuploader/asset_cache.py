"""A bounded cache of the placeholders of uploaded assets, which never change until they are deleted."""

import time
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from assetuploader.state_machine import Placeholder, Status

MAX_ENTRIES: Final = 100_000
TTL_SECONDS: Final = 600.0
TTL_SECONDS_WITH_DELETES: Final = 30.0
"""How long another pod may still give out download URLs of an asset that was deleted."""


class AssetCache:
    """The placeholders of uploaded assets that were read last, by id. No other state is kept: it may change."""

    def __init__(
        self,
        ttl_seconds: float = TTL_SECONDS,
        max_entries: int = MAX_ENTRIES,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._placeholders: TTLCache[str, Placeholder] = TTLCache(max_entries, ttl_seconds, timer)
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._placeholders)

    def get(self, asset_id: str) -> Placeholder | None:
        """Return the placeholder of an uploaded asset, or None if it is not cached."""
        placeholder = self._placeholders.get(asset_id)
        if placeholder is None:
            self.misses += 1
        else:
            self.hits += 1
        return placeholder

    def put(self, asset_id: str, placeholder: Placeholder) -> None:
        """Keep the placeholder if its asset is uploaded; in any other state do nothing."""
        if placeholder.state.status is Status.UPLOADED:
            self._placeholders[asset_id] = placeholder

    def discard(self, asset_id: str) -> None:
        """Forget an asset that was deleted."""
        self._placeholders.pop(asset_id, None)
