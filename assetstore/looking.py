"""Looking at assets without touching them, for the people who look after them."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from assetstore.assets import read_placeholder
from assetstore.door import Door, Head
from assetstore.prognosis import Prognosis, foresee
from assetstore.protocol import TEMP_PREFIX, Placeholder, Rules, is_asset_id, temp_key

AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """One asset, as S3 tells of it at one instant."""

    asset_id: str
    placeholder: Placeholder | None
    upload: Head | None
    """What is in `temp/{id}`."""
    now: datetime
    """S3's clock."""
    prognosis: Prognosis


async def look_at(door: Door, asset_id: str, rules: Rules) -> Seen:
    """One asset now.

    Raises:
        StoreError: S3 did not answer.
    """
    page = await door.list_page(temp_key(asset_id), temp_key(asset_id))  # for the clock
    return await _look(door, asset_id, page.listed_at, rules)


async def look_over(door: Door, rules: Rules) -> AsyncGenerator[Seen]:
    """Every asset that has bytes in `temp/`, by id, as the listing comes in: memory is flat, whatever their number.

    Raises:
        StoreError: S3 did not answer.
    """
    start_after = TEMP_PREFIX
    while True:
        page = await door.list_page(TEMP_PREFIX, start_after)
        ids = [key for listed in page.objects if is_asset_id(key := listed.key.removeprefix(TEMP_PREFIX))]
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            for seen in await asyncio.gather(*(_look(door, asset_id, page.listed_at, rules) for asset_id in some)):
                yield seen
        if page.is_last:
            return
        start_after = page.objects[-1].key


async def _look(door: Door, asset_id: str, now: datetime, rules: Rules) -> Seen:
    placeholder = await read_placeholder(door, asset_id)  # before temp/, as everywhere
    upload = await door.head(temp_key(asset_id))
    return Seen(asset_id, placeholder, upload, now, foresee(placeholder, upload, now, rules))
