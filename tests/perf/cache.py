"""The memory of a full cache of uploaded assets, in a process of its own."""

import gc
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil

from assetuploader.asset_cache import AssetCache
from assetuploader.declaration import Declaration
from assetuploader.state_machine import NOTHING_DECLARED, AssetState, Placeholder, Status, from_metadata, to_metadata
from tests.support.in_memory_s3 import etag_of

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


def measure_cache(entries: int, *, is_declared: bool) -> int:
    """Return the bytes of a cache with this many assets, which declared all or nothing, in a new process.

    Raises:
        CalledProcessError: The process failed.
    """
    done = subprocess.run(  # noqa: S603 -- our own module
        [sys.executable, "-m", "tests.perf.cache", str(entries), str(int(is_declared))],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout)


def _placeholder(number: int, *, is_declared: bool) -> Placeholder:
    """Return a placeholder as it is read from S3, so that it shares no text with another one."""
    name = str(number)
    etag = etag_of(name.encode())
    declaration = NOTHING_DECLARED
    if is_declared:
        digest = sha256(name.encode()).hexdigest()
        metadata = {"album": name, "user": name}
        declaration = Declaration(f"F\u00f6to {name}.png", "image/png", number, digest, metadata=metadata)
    created_at = _NOW + timedelta(seconds=number)
    state = AssetState(Status.UPLOADED, created_at, etag, created_at, declaration)
    headers = {"content-type": f"image/{name}"}
    return Placeholder(etag + "", from_metadata(to_metadata(state)), created_at, headers, number)


def _measure_here(entries: int, *, is_declared: bool) -> int:
    cache = AssetCache()
    gc.collect()
    before = psutil.Process().memory_info().rss
    for number in range(entries):
        cache.put(str(uuid4()), _placeholder(number, is_declared=is_declared))
    assert len(cache) == entries
    return int(psutil.Process().memory_info().rss - before)


if __name__ == "__main__":
    print(_measure_here(int(sys.argv[1]), is_declared=sys.argv[2] == "1"))  # noqa: T201 -- for measure_cache()
