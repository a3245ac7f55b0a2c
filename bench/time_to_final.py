"""How long clients wait from the mark of their upload until it can be downloaded, at a service that is running.

    python bench/time_to_final.py http://127.0.0.1:8080

It needs only aiohttp, so that a pod of the service can run it, too.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Final

import aiohttp

POLL_INTERVAL_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Load:
    """What the clients do."""

    url: str
    """Of the service."""
    assets: int = 200
    clients: int = 16
    """How many are busy at a time."""
    size: int = 1_000_000
    """Of each upload, in bytes."""


async def measure(load: Load) -> list[float]:
    """Take the assets through their lifecycle, each marked with its pin; return the seconds from mark to final.

    Raises:
        RuntimeError: A request failed, an asset was not final in time, or its bytes were not those that were sent.
    """
    limit = asyncio.Semaphore(load.clients)
    common = os.urandom(load.size)  # to make a megabyte of random bytes takes as long as to copy it on S3
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2 * load.clients)) as session:

        async def wait_for_one() -> float:
            async with limit:
                return await _take_one(session, load, os.urandom(16) + common[16:])

        return await asyncio.gather(*(wait_for_one() for _ in range(load.assets)))


async def _take_one(session: aiohttp.ClientSession, load: Load, body: bytes) -> float:
    async with session.post(f"{load.url}/asset") as response:
        created = await response.json()
    async with session.put(created["upload_url"], data=body) as response:
        _require(response, 200)
        etag = response.headers["ETag"]
    marked_at = time.monotonic()
    async with session.put(f"{load.url}/asset/{created['id']}", json={"Status": "uploaded", "etag": etag}) as response:
        _require(response, 202)
    while True:
        async with session.get(f"{load.url}/asset/{created['id']}") as response:
            seconds = time.monotonic() - marked_at
            if response.status == 200:  # noqa: PLR2004 -- OK
                download_url = (await response.json())["Download_url"]
                break
        if seconds > TIMEOUT_SECONDS:
            raise RuntimeError(f"an asset is not final {seconds:.0f} s after its mark: is the reconciler running?")
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
    async with session.get(download_url) as response:
        if await response.read() != body:
            raise RuntimeError("the download differs from the upload")
    return seconds


def _require(response: aiohttp.ClientResponse, status: int) -> None:
    if response.status != status:
        raise RuntimeError(f"{response.method} {response.url.path}: {response.status} instead of {status}")


def summarize(load: Load, seconds: Sequence[float]) -> str:
    """Return one line with the percentiles."""
    cuts = quantiles(seconds, n=100)
    return (
        f"{load.assets} assets of {load.size:,} bytes, {load.clients} clients: mark to final "
        f"p50 {cuts[49] * 1000:.0f} ms, p95 {cuts[94] * 1000:.0f} ms, slowest {max(seconds) * 1000:.0f} ms"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how long clients wait from mark to final.")
    parser.add_argument("url", help="of the service")
    parser.add_argument("--assets", type=int, default=Load.assets)
    parser.add_argument("--clients", type=int, default=Load.clients)
    parser.add_argument("--bytes", type=int, default=Load.size)
    args = parser.parse_args()
    load = Load(args.url.rstrip("/"), args.assets, args.clients, args.bytes)
    print(summarize(load, asyncio.run(measure(load))))  # noqa: T201 -- a command


if __name__ == "__main__":
    main()
