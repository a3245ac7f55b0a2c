"""Fill and clear the bucket between measurements, with the product's own S3 client, because it is fast."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from assetuploader.instrumentation import CallObserver, noop_observer
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.s3.bucket import open_bucket
from assetuploader.state_machine import AssetState, Status, to_metadata, to_tags
from assetuploader.store import Bucket, ObjectAttributes

CONNECTIONS: Final = 48


@asynccontextmanager
async def opened(on_call: CallObserver = noop_observer) -> AsyncIterator[Bucket]:
    """Open the bucket that the environment names."""
    region, name = os.environ["AWS_REGION"], os.environ["AWS_BUCKET"]
    async with open_bucket(region, name, None, max_connections=CONNECTIONS, on_call=on_call) as bucket:
        yield bucket


def write_assets(count: int, status: Status, *, upload: bytes | None = None) -> list[str]:
    """Write `count` assets with this status and these bytes in `temp/`, and return their ids. Marked ones are due."""
    return asyncio.run(_write_assets(count, status, upload))


def write_objects(keys: Sequence[str], body: bytes) -> None:
    """Write the same bytes to all these keys."""

    async def write() -> None:
        async with opened() as bucket:
            await _for_each(keys, lambda key: bucket.store.put_object(key, body, ObjectAttributes()))

    asyncio.run(write())


def clear(prefix: str, kept: str = "") -> int:
    """Delete all objects with this prefix, and return their number; that with the key `kept` does not count."""

    async def delete() -> int:
        count = 0
        async with opened() as bucket:
            while (listed := await bucket.store.list_objects(prefix, "")).objects:
                await bucket.store.delete_objects([one.key for one in listed.objects])
                count += sum(one.key != kept for one in listed.objects)
        return count

    return asyncio.run(delete())


async def _write_assets(count: int, status: Status, upload: bytes | None) -> list[str]:
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    soon = long_ago + timedelta(hours=2)
    state = AssetState(status, long_ago if status is Status.MARKED else soon)
    attributes = ObjectAttributes(to_metadata(state), to_tags(state))
    ids = [str(uuid4()) for _ in range(count)]
    async with opened() as bucket:

        async def write(asset_id: str) -> None:
            await bucket.store.put_object(uploaded_key(asset_id), os.urandom(16), attributes, if_none_match="*")
            if upload is not None:
                await bucket.store.put_object(temp_key(asset_id), upload, ObjectAttributes())

        await _for_each(ids, write)
    return ids


async def _for_each(items: Sequence[str], act: Callable[[str], Awaitable[object]]) -> None:
    remaining = iter(items)

    async def work() -> None:
        for item in remaining:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
