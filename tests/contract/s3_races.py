"""`make s3-races`: how often two conditional writes of one version, sent at once, both succeed. They never should.

The conformance check tries one condition after the other, so it cannot see this. SeaweedFS takes one lock for PutObject
and another for CopyObject, and sometimes lets both through.
"""

import asyncio
import os
from typing import TYPE_CHECKING, Any

from assetuploader.errors import PreconditionFailedError
from assetuploader.s3.bucket import open_bucket
from assetuploader.store import ObjectAttributes, ObjectStore
from dev.seaweedfs import REGION, free_port, running_s3

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ATTEMPTS = 1000
ATTRIBUTES = ObjectAttributes({"purpose": "race"}, {"purpose": "race"})
PAIRS = (("PutObject", "PutObject"), ("CopyObject", "CopyObject"), ("PutObject", "CopyObject"))


async def both_won(store: ObjectStore, pair: tuple[str, str], key: str) -> bool:
    """Send two writes that name the same version, at once; return whether both succeeded.

    Raises:
        StoreError: One of the requests failed.
    """
    source_etag = await store.put_object(f"temp/{key}", b"upload", ATTRIBUTES, if_none_match="*")
    etag = await store.put_object(f"uploaded/{key}", os.urandom(16), ATTRIBUTES, if_none_match="*")
    writes: dict[str, Callable[[], Coroutine[Any, Any, str]]] = {
        "PutObject": lambda: store.put_object(f"uploaded/{key}", os.urandom(16), ATTRIBUTES, if_match=etag),
        "CopyObject": lambda: store.copy_object(
            f"temp/{key}", f"uploaded/{key}", ATTRIBUTES, source_if_match=source_etag, if_match=etag
        ),
    }
    results = await asyncio.gather(*(writes[name]() for name in pair), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, PreconditionFailedError):
            raise result
    return all(isinstance(result, str) for result in results)


async def _measure() -> None:
    bucket = open_bucket(REGION, "assets", None)
    try:
        for pair in PAIRS:
            double_wins = 0
            for number in range(ATTEMPTS):
                double_wins += await both_won(bucket.store, pair, f"race-{'-'.join(pair)}-{number}")
            print(f"{' and '.join(pair)} at once, {ATTEMPTS:,} times: both succeeded {double_wins} times", flush=True)  # noqa: T201
    finally:
        await bucket.aclose()


if __name__ == "__main__":
    with running_s3(free_port(), "assets") as server:
        os.environ.update(server.environment())
        asyncio.run(_measure())
