"""`assetuploader serve`: prove the store, then answer the API until told to stop."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sanic import Sanic

from assetstore.door import Bucket
from assetstore.errors import StoreError, StoreUnavailableError
from assetstore.probe import probe_conditions, probe_copy_source
from cli.calls import call_logger, to_both
from cli.config import Config
from cli.logs import configure_logs
from cli.open import open_assets, open_bucket
from reconciler.exits import Exit, exit_on
from service.app import build_app
from service.context import Context, Readiness
from service.metrics import Metrics, serve_metrics
from service.readiness_metrics import ReadinessCollector
from service.reconciler_metrics import ReconcilerCollector
from service.reports import REFRESH_SECONDS, Reports
from service.requests import PatientProtocol, name_request
from service.s3_metrics import S3Metrics

PROBE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 3.0
BACKLOG: Final = 1024
"""Connections that may wait to be accepted: one more is dropped, and tries again after a whole second."""

log = structlog.get_logger()


def serve(config: Config, host: str, port: int, metrics_port: int) -> int:
    """Serve until told to stop; the exit code."""
    configure_logs(config.log_level, config.log_format, name_request)
    readiness, metrics = Readiness(), Metrics()
    try:
        s3_metrics = S3Metrics()
        bucket = open_bucket(config, to_both(s3_metrics.observe, call_logger(config)))
        s3_metrics.open_connections = bucket.open_connections
        metrics.registry.register(s3_metrics)
        asyncio.run(_prove_and_close(open_bucket(config)))
        readiness.is_store_proven = True
    except StoreUnavailableError as error:
        log.warning("store_not_proven", reason=str(error), retry_seconds=RETRY_SECONDS)
    except StoreError as error:
        return _refuse(error)
    context = Context(
        open_assets(config, bucket), config.download_url_seconds, lambda: datetime.now(UTC), metrics, readiness
    )
    reports = Reports(bucket.reports)
    metrics.registry.register(ReadinessCollector(readiness))
    metrics.registry.register(ReconcilerCollector(reports))
    app = build_app(context, config.drain_seconds)
    failures: list[StoreError] = []
    background: list[asyncio.Task[None]] = []

    @app.after_server_start
    async def _begin(app: Sanic[Any, Any]) -> None:
        if not readiness.is_store_proven:
            background.append(asyncio.create_task(_prove_at_last(app, bucket, readiness, failures)))
        background.append(asyncio.create_task(_keep_reading(reports)))

    @app.after_server_stop
    async def _close(_: Sanic[Any, Any]) -> None:
        for task in background:  # Sanic leaves its own tasks to the garbage collector: an error in the log, or a crash
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await bucket.close()

    try:
        serve_metrics(metrics, host, metrics_port)
    except OSError as error:
        return _cannot_listen(host, metrics_port, error)
    try:
        app.run(host, port, single_process=True, access_log=False, protocol=PatientProtocol, backlog=BACKLOG)
    except OSError as error:
        return _cannot_listen(host, port, error)
    return _refuse(failures[0]) if failures else Exit.OK


async def _keep_reading(reports: Reports) -> None:
    while True:
        await reports.refresh(datetime.now(UTC))
        await asyncio.sleep(REFRESH_SECONDS)


async def _prove_and_close(bucket: Bucket) -> None:
    try:
        await _prove(bucket)
    finally:
        await bucket.close()  # connections do not outlive their event loop


async def _prove(bucket: Bucket) -> None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe_conditions(bucket.door)
            await probe_copy_source(bucket.inner_signer, bucket.name)
    except TimeoutError:
        raise StoreUnavailableError(f"S3 did not answer within {PROBE_SECONDS:.0f} s") from None


async def _prove_at_last(
    app: Sanic[Any, Any], bucket: Bucket, readiness: Readiness, failures: list[StoreError]
) -> None:
    while not readiness.is_store_proven:
        await asyncio.sleep(RETRY_SECONDS)
        try:
            await _prove(bucket)
        except StoreUnavailableError as error:
            log.warning("store_not_proven", reason=str(error), retry_seconds=RETRY_SECONDS)
        except StoreError as error:
            failures.append(error)
            app.stop()
            return
        else:
            readiness.is_store_proven = True
            log.info("store_proven")


def _refuse(error: StoreError) -> int:
    log.error("store_refused", reason=str(error))
    return exit_on(error)


def _cannot_listen(host: str, port: int, error: OSError) -> int:
    print(f"assetuploader: cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)  # noqa: T201
    return Exit.CONFIG
