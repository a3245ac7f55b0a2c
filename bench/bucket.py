"""What lies in the bucket before a measurement, written by the product's own transport because it is quick."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from assetstore.door import Said
from assetstore.protocol import State, Status, temp_key, to_metadata, to_tags, uploaded_key
from assetstore.s3.connect import connect

CONNECTIONS: Final = 48


def write_assets(
    environment: Mapping[str, str], count: int, status: Status, *, upload: bytes | None = None
) -> list[str]:
    """Make so many assets of this status, due if marked, with these bytes in `temp/`; their ids."""
    os.environ.update(environment)
    return asyncio.run(_write_assets(environment, count, status, upload))


def write_objects(environment: Mapping[str, str], keys: Sequence[str], body: bytes) -> None:
    """Write the same bytes to all these keys."""
    os.environ.update(environment)

    async def write() -> None:
        bucket = connect(environment["AWS_REGION"], environment["AWS_BUCKET"], None, connections=CONNECTIONS)
        await _each(keys, lambda key: bucket.reports.put(key, body, "application/octet-stream"))
        await bucket.close()

    asyncio.run(write())


async def _write_assets(environment: Mapping[str, str], count: int, status: Status, upload: bytes | None) -> list[str]:
    bucket = connect(environment["AWS_REGION"], environment["AWS_BUCKET"], None, connections=CONNECTIONS)
    long_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    soon = long_ago + timedelta(hours=2)
    state = State(status, long_ago if status is Status.MARKED else soon)
    said = Said(to_metadata(state), to_tags(state))

    async def write(asset_id: str) -> None:
        await bucket.door.put_if(uploaded_key(asset_id), os.urandom(16), said, etag=None)
        if upload is not None:
            await bucket.reports.put(temp_key(asset_id), upload, "application/octet-stream")

    ids = [str(uuid4()) for _ in range(count)]
    await _each(ids, write)
    await bucket.close()
    return ids


async def _each(items: Sequence[str], act: Callable[[str], Awaitable[None]]) -> None:
    left = iter(items)

    async def work() -> None:
        for item in left:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())


def clear(environment: Mapping[str, str], prefix: str) -> int:
    """Delete all objects with this prefix; how many there were."""
    os.environ.update(environment)

    async def delete() -> int:
        bucket = connect(environment["AWS_REGION"], environment["AWS_BUCKET"], None)
        count = 0
        while (page := await bucket.door.list_page(prefix, "")).objects:
            await bucket.door.delete_many([one.key for one in page.objects])
            count += len(page.objects)
        await bucket.close()
        return count

    return asyncio.run(delete())
