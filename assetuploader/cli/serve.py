"""`assetuploader serve`: verify the store, and serve the API until the process is stopped."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sanic import Sanic

from assetuploader.asset_cache import TTL_SECONDS, TTL_SECONDS_WITH_DELETES, AssetCache
from assetuploader.capabilities import Capability, find_capabilities
from assetuploader.cli.config import Config
from assetuploader.cli.exit_codes import ExitCode, exit_code_for
from assetuploader.cli.logs import configure_logs
from assetuploader.cli.s3_call_logging import call_logger, combine_observers
from assetuploader.cli.wiring import open_asset_service, open_bucket, open_multipart_service
from assetuploader.conformance import (
    check_conditional_delete,
    check_conditional_writes,
    check_unsigned_copy_source,
)
from assetuploader.errors import StoreError, StoreUnavailableError
from assetuploader.multipart_check import find_multipart_problem
from assetuploader.s3.clock import Clock
from assetuploader.store import Bucket
from service.app import build_app
from service.asset_cache_metrics import AssetCacheCollector
from service.context import Context
from service.http_protocol import ServiceProtocol
from service.listening import available_host, listen
from service.metrics import Metrics
from service.metrics_server import serving_metrics
from service.readiness import Readiness
from service.reconciler_metrics import ReconcilerCollector
from service.requests import add_request_context
from service.s3_metrics import S3Metrics
from service.shard_report_cache import REFRESH_INTERVAL_SECONDS, ShardReportCache

VERIFY_TIMEOUT_SECONDS: Final = 10.0
VERIFY_RETRY_SECONDS: Final = 3.0
MAX_PARTS_CHECKS: Final = 20
"""How often the check of uploads in parts is repeated: for a minute. Some stores always respond with a server error."""
BACKLOG: Final = 1024
"""How many connections may wait to be accepted. The client's TCP stack retries a dropped one after a second."""

log = structlog.get_logger()


@dataclass(slots=True)
class _BackgroundTasks:
    """What runs beside the requests: the metrics port, the check of the store, and the refresh of the shard reports."""

    bucket: Bucket
    readiness: Readiness
    reports: ShardReportCache
    metrics_server: AbstractAsyncContextManager[None]
    deletes: bool
    """Whether clients may delete final assets."""
    fatal_error: StoreError | None = None
    """Why the store cannot be used. No retry would help, so the service stops."""

    @asynccontextmanager
    async def lifespan(self, app: Sanic[Any, Any]) -> AsyncGenerator[None]:
        """Run the tasks, and close the bucket at the end."""
        async with self.bucket, self.metrics_server:
            tasks = [
                asyncio.create_task(self._refresh_reports_forever()),
                asyncio.create_task(self._check_parts_until_known()),
            ]
            if not self.readiness.store_verified:
                tasks.append(asyncio.create_task(self._verify_store_until_ready(app)))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _verify_store_until_ready(self, app: Sanic[Any, Any]) -> None:
        while not self.readiness.store_verified:
            await asyncio.sleep(VERIFY_RETRY_SECONDS)
            try:
                await _verify_store(self.bucket, self.readiness, deletes=self.deletes)
            except StoreUnavailableError as error:
                log.warning("store_unverified", reason=str(error), retry_seconds=VERIFY_RETRY_SECONDS)
            except StoreError as error:
                self.fatal_error = error
                app.stop()
                return
            else:
                log.info("store_verified")

    async def _check_parts_until_known(self) -> None:
        """Repeat the check of uploads in parts if it alone failed."""
        checks_left = MAX_PARTS_CHECKS
        while self.readiness.takes_parts is None and checks_left:
            await asyncio.sleep(VERIFY_RETRY_SECONDS)
            if self.readiness.store_verified and self.readiness.takes_parts is None:
                checks_left -= 1
                await _check_parts(self.bucket, self.readiness)
        if self.readiness.takes_parts is None:
            self.readiness.takes_parts = False
            log.warning("multipart_unsupported", reason="every check of uploads in parts failed")

    async def _refresh_reports_forever(self) -> None:
        while True:
            await self.reports.refresh(datetime.now(UTC))
            await asyncio.sleep(REFRESH_INTERVAL_SECONDS)


def serve(config: Config, host: str, port: int, metrics_port: int) -> int:
    """Serve until the process is stopped, and return the exit code."""
    configure_logs(config.log_level, config.log_format, add_request_context)
    host = available_host(host)
    readiness = Readiness()
    metrics = Metrics(readiness)
    s3_metrics = S3Metrics(metrics.registry)
    s3_clock = Clock()
    try:
        bucket = open_bucket(config, combine_observers(s3_metrics.observe, call_logger(config)), s3_clock)
    except StoreError as error:
        return _exit_on_store_error(error)
    try:
        asyncio.run(_verify_store_before_start(open_bucket(config, clock=s3_clock), readiness, deletes=config.deletes))
    except StoreUnavailableError as error:
        log.warning("store_unverified", reason=str(error), retry_seconds=VERIFY_RETRY_SECONDS)
    except StoreError as error:
        return _exit_on_store_error(error)
    metrics.export("assetuploader_s3_requests_in_flight", "Requests to S3 in flight.", bucket.requests_in_flight)
    metrics.export(
        "assetuploader_s3_clock_offset_seconds", "S3's clock minus this pod's.", lambda: s3_clock.offset_seconds
    )
    reports = ShardReportCache(bucket.reports)
    metrics.registry.register(ReconcilerCollector(reports))
    try:
        metrics_socket = listen(host, metrics_port)
    except OSError as error:
        return _exit_on_taken_port(host, metrics_port, error)
    background = _BackgroundTasks(
        bucket, readiness, reports, serving_metrics(metrics.registry, metrics_socket), config.deletes
    )
    cache = AssetCache(TTL_SECONDS_WITH_DELETES if config.deletes else TTL_SECONDS)
    metrics.registry.register(AssetCacheCollector(cache))
    context = Context(
        open_asset_service(config, bucket, cache),
        open_multipart_service(config, bucket),
        config.download_url_ttl_seconds,
        lambda: datetime.fromtimestamp(s3_clock.now(), UTC),
        metrics,
        readiness,
        config.multipart_bytes,
        config.deletes,
    )
    app = build_app(context, config.drain_seconds, background.lifespan)
    try:
        listener = listen(host, port, BACKLOG)
    except OSError as error:
        return _exit_on_taken_port(host, port, error)
    app.run(sock=listener, single_process=True, access_log=False, protocol=ServiceProtocol, backlog=BACKLOG)
    return ExitCode.OK if background.fatal_error is None else _exit_on_store_error(background.fatal_error)


async def _verify_store_before_start(bucket: Bucket, readiness: Readiness, *, deletes: bool) -> None:
    async with bucket:  # a bucket of its own: connections end with their event loop, and Sanic makes another one
        await _verify_store(bucket, readiness, deletes=deletes)


async def _verify_store(bucket: Bucket, readiness: Readiness, *, deletes: bool) -> None:
    """Check the store, and tell `readiness` what it can do."""
    try:
        async with asyncio.timeout(VERIFY_TIMEOUT_SECONDS):
            await check_conditional_writes(bucket.store)
            await check_unsigned_copy_source(bucket)
            if deletes:
                await check_conditional_delete(bucket.store)
            # At once: they use different keys, and each sends a dozen requests in turn.
            capabilities, _ = await asyncio.gather(find_capabilities(bucket), _check_parts(bucket, readiness))
    except TimeoutError:
        raise StoreUnavailableError(f"S3 did not respond within {VERIFY_TIMEOUT_SECONDS:.0f} s") from None
    for missing in sorted(frozenset(Capability) - capabilities):
        log.warning("declaration_unsupported", declaration=missing)
    readiness.capabilities = capabilities
    readiness.store_verified = True


async def _check_parts(bucket: Bucket, readiness: Readiness) -> None:
    """Check whether the store takes uploads in parts. A store that fails only this check serves everything else."""
    try:
        problem = await find_multipart_problem(bucket)
    except StoreUnavailableError as error:
        log.warning("multipart_unverified", reason=str(error), retry_seconds=VERIFY_RETRY_SECONDS)
        return
    readiness.takes_parts = problem is None
    if problem is not None:
        log.warning("multipart_unsupported", reason=problem)


def _exit_on_store_error(error: StoreError) -> int:
    log.error("startup_failed", reason=str(error))
    return exit_code_for(error)


def _exit_on_taken_port(host: str, port: int, error: OSError) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    is_system_error = error.errno is not None and error.errno > 0  # not so when the host has no address
    cause = os.strerror(error.errno or 0) if is_system_error else error.strerror
    reason = f"cannot listen on {address} ({cause}): choose another host or port"
    print(f"assetuploader: {reason}", file=sys.stderr)  # noqa: T201
    return ExitCode.CONFIG
