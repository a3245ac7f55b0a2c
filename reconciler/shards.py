"""Shards: contiguous ranges of the id space. Ids are random, so all ranges hold about as many assets."""

from dataclasses import dataclass
from typing import Final

from assetuploader.keys import TEMP_PREFIX

_SPACE: Final = 1 << 32
"""Ranges are delimited by the first eight hexadecimal digits of an id."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the id space: number `index` of `count`."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard {self.index} of {self.count} does not exist")

    @property
    def start_after(self) -> str:
        """The key after which the listing begins. It is not an asset's key."""
        return TEMP_PREFIX + _format_prefix(self.index, self.count)

    def holds(self, key: str) -> bool:
        """Return whether this key, which comes after `start_after`, is in the shard."""
        return self.index + 1 == self.count or key < TEMP_PREFIX + _format_prefix(self.index + 1, self.count)

    def holds_id(self, asset_id: str) -> bool:
        """Return whether this asset is in the shard."""
        key = TEMP_PREFIX + asset_id
        return key > self.start_after and self.holds(key)


def _format_prefix(index: int, count: int) -> str:
    return f"{index * _SPACE // count:08x}"
