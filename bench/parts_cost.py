"""What an upload in parts costs in S3 requests, counted, and in dollars by the size of its parts: `make parts-cost`."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import structlog

from assetuploader.declaration import Declaration
from assetuploader.multipart_service import MultipartService
from assetuploader.parts import MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES, choose_part_bytes
from assetuploader.plain_http import send
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import CompletedPart
from bench.bucket import opened
from bench.s3_cost import FREE, READS, STANDARD, reconcile_once
from bench.server import running_bench_s3
from bench.tables import table

UPLOADS: Final = 20
"""What these share, such as the listing of a run, is less than half a request for each, and is not counted."""
BODY: Final = b"part"
PER_PART: Final = {"HeadObject": 1, "UploadPart": 1}
"""What the API reads before it signs the URL, and the client's PUT. URLs of several parts share their HeadObject."""
MEBIBYTE: Final = 1024**2
GIBIBYTE: Final = 1024**3
PART_BYTES: Final = (MIN_PART_BYTES, choose_part_bytes(0), choose_part_bytes(None), 512 * MEBIBYTE, MAX_PART_BYTES)


def main() -> int:
    """Count the requests, and print them and a table of prices."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # no line for each upload
    with running_bench_s3():
        fixed = asyncio.run(count_requests())
    sys.stdout.write(describe(fixed))
    return 0


async def count_requests() -> Mapping[str, int]:
    """Take uploads of one part from their creation to their sweep, and return the requests of each without its part."""
    counted: Counter[str] = Counter()
    policy = LifecyclePolicy()
    async with opened(lambda call: counted.update((call.operation,))) as bucket:
        service = MultipartService(
            bucket.store, bucket.multipart, bucket.presigner, policy, uuid4, lambda: os.urandom(16)
        )
        for _ in range(UPLOADS):
            asset, upload_id = await service.create(Declaration(size=len(BODY)), datetime.now(UTC))
            [part] = await service.presign_parts(asset.asset_id, upload_id, [1], datetime.now(UTC))
            sent = await send("PUT", part.target.url, bucket.http, body=BODY)
            await service.complete(asset.asset_id, upload_id, [CompletedPart(1, sent.headers["etag"].strip('"'))])
        counted["HeadObject"] -= UPLOADS  # of their parts
        await reconcile_once(bucket)
    rounded = {name: round(number / UPLOADS) for name, number in sorted(counted.items())}
    return {name: number for name, number in rounded.items() if number}


def describe(fixed: Mapping[str, int]) -> str:
    """Return what docs/operations.md says about the cost of parts."""
    requests = ", ".join(f"{name} {number}" for name, number in fixed.items())
    rows = [
        f"| {part_bytes // MEBIBYTE:,} MiB | {MAX_PARTS * part_bytes / GIBIBYTE:,.0f} GiB "
        f"| {GIBIBYTE / part_bytes:,.1f} | {1024 * GIBIBYTE / part_bytes * dollars(PER_PART):.3f} |"
        for part_bytes in PART_BYTES
    ]
    columns = ("parts of", "longest file", "parts per GiB", "dollars per TiB")
    return f"""\
Without its parts, an upload takes {sum(fixed.values())} requests until nothing is left of it but the asset:
{requests}.
They cost {dollars(fixed) * 1_000_000:.2f} dollars per million uploads.

{table(columns, rows)}"""


def dollars(requests: Mapping[str, int]) -> float:
    """Return the price of requests in the storage class Standard."""
    reads = sum(number for name, number in requests.items() if name in READS)
    writes = sum(number for name, number in requests.items() if name not in READS | FREE)
    return (reads * STANDARD.read + writes * STANDARD.write) / 1000


if __name__ == "__main__":
    sys.exit(main())
