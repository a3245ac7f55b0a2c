"""Overlap and kill: eight reconcilers on the same due assets, killed at random, until every asset is final."""

import asyncio
import os
import random
import re
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from assetuploader.asset_service import AssetService
from assetuploader.state_machine import LifecyclePolicy
from dev.seaweedfs import HOST, LocalS3
from tests.faults.lifecycles import opened_bucket
from tests.support.fault_proxy import Fault, running_proxy
from tests.support.fleet import running_product
from tests.support.http_messages import Message
from tests.support.load_client import request_url

PROCESSES: Final = 8
KILLS: Final = 24
_COPIED: Final = re.compile(r"/uploaded/([0-9a-f-]{36})")


@dataclass(slots=True)
class Overlap:
    """One run of the check."""

    s3: LocalS3
    number: int
    """How many assets."""
    bodies: dict[str, bytes] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)
    """Copies that S3 made, by asset."""
    kills: int = 0
    runs: int = 0
    violations: list[str] = field(default_factory=list)

    def observe(self, request: Message, response: Message) -> None:
        """Count the copies that took effect."""
        if "x-amz-copy-source" in request.headers and response.start.split(" ")[1] == "200":
            copied = _COPIED.search(request.target)
            if copied and b"<Error>" not in response.body:
                self.copies[copied[1]] = self.copies.get(copied[1], 0) + 1

    async def run(self) -> None:
        """Create the assets, run the reconcilers, and inspect the result."""
        async with AsyncExitStack() as stack:
            bucket = await stack.enter_async_context(opened_bucket(self.s3, self.s3.endpoint_url))
            output = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- the stack closes it
            assets = AssetService(
                bucket.store,
                bucket.presigner,
                LifecyclePolicy(upload_url_ttl_seconds=600, finalize_at_once_bytes=0),
                uuid4,
                lambda: os.urandom(16),
            )
            await self._upload(assets)
            proxy = await stack.enter_async_context(running_proxy(HOST, self.s3.port, _no_fault, self.observe))
            product = await stack.enter_async_context(running_product(self.s3, output, f"http://{HOST}:{proxy.port}"))
            rng = random.Random(self.number)  # noqa: S311 -- the same pauses in each run

            async def run_reconciler() -> None:
                """Run one of the eight reconcilers: killed several times, then left to finish."""
                for _ in range(KILLS // PROCESSES):
                    process = await product.reconcile()
                    self.runs += 1
                    try:
                        await asyncio.wait_for(process.wait(), rng.uniform(0.5, 6))
                    except TimeoutError:
                        process.kill()
                        await process.wait()
                        self.kills += 1
                self.runs += 1
                code = await product.reconcile_and_wait()
                if code:
                    self.violations.append(f"a run that was not killed ended with {code}")

            async with asyncio.TaskGroup() as group:
                for _ in range(PROCESSES):
                    group.create_task(run_reconciler())
            await self._require_final(assets)

    async def _upload(self, assets: AssetService) -> None:
        limit = asyncio.Semaphore(16)

        async def upload_one(number: int) -> None:
            async with limit:
                body = f"{number} ".encode() * 100
                created = await assets.create()
                response = await request_url(created.upload.url, "PUT", body)
                await assets.mark(created.asset_id, response.headers["etag"].strip('"'), datetime.now(UTC))
                self.bodies[created.asset_id] = body

        async with asyncio.TaskGroup() as group:
            for number in range(self.number):
                group.create_task(upload_one(number))

    async def _require_final(self, assets: AssetService) -> None:
        remaining = await assets.store.list_objects("temp/", "")
        if remaining.objects:
            self.violations.append(f"{len(remaining.objects)} objects are left in temp/")
        for asset_id, body in self.bodies.items():
            url = await assets.presigner.presign_get(f"uploaded/{asset_id}", 60)
            if (await request_url(url.url, "GET")).body != body:
                self.violations.append(f"{asset_id} has other bytes")
            if self.copies.get(asset_id) != 1:
                self.violations.append(f"{asset_id} was finalized {self.copies.get(asset_id, 0)} times")


def _no_fault(_: Message) -> tuple[Fault, float]:
    return Fault.NONE, 0.0
