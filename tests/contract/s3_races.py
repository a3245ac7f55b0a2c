"""`make s3-races`: how often two conditional writes of one version, sent at once, both succeed. They never should.

The conformance check tries one condition after the other, so it cannot see this. SeaweedFS takes one lock for PutObject
and another for CopyObject, and sometimes lets both through. versitygw ignores If-Match on CopyObject, so only PutObject
races there.
"""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

from assetuploader.errors import PreconditionFailedError
from assetuploader.s3.bucket import open_bucket
from assetuploader.store import ObjectAttributes, ObjectStore
from dev.seaweedfs import REGION, LocalS3, free_port, running_s3
from dev.versitygw import VersitygwNotInstallableError, running_versitygw

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

ATTEMPTS = 1000
ATTRIBUTES = ObjectAttributes({"purpose": "race"}, {"purpose": "race"})
PUTS = ("PutObject", "PutObject")
PAIRS = (PUTS, ("CopyObject", "CopyObject"), ("PutObject", "CopyObject"))


async def winners(store: ObjectStore, pair: tuple[str, str], key: str) -> int:
    """Send two writes that name the same version, at once; return how many succeeded.

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
    return sum(isinstance(result, str) for result in results)


async def _measure(name: str, server: LocalS3, pairs: "Iterable[tuple[str, str]]") -> None:
    os.environ.update(server.environment())
    bucket = open_bucket(REGION, server.bucket, None)
    try:
        for pair in pairs:
            double_wins = 0
            for number in range(ATTEMPTS):
                double_wins += await winners(bucket.store, pair, f"race-{'-'.join(pair)}-{number}") == len(pair)
            print(  # noqa: T201
                f"{name}: {' and '.join(pair)} at once, {ATTEMPTS:,} times: both succeeded {double_wins} times",
                flush=True,
            )
    finally:
        await bucket.aclose()


def main() -> None:
    """Measure SeaweedFS, and versitygw where it can be built."""
    with running_s3(free_port(), "assets") as server:
        asyncio.run(_measure("SeaweedFS", server, PAIRS))
    try:
        with running_versitygw(free_port(), "assets") as server:
            asyncio.run(_measure("versitygw", server, [PUTS]))
    except VersitygwNotInstallableError as error:
        print(f"versitygw is not measured: {error}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
