"""Logs of S3 calls at debug, without keys and URLs. The ids on each line identify the request that made the call."""

import structlog

from assetuploader.cli.config import Config
from assetuploader.instrumentation import CallObserver, StoreCall, noop_observer

log = structlog.get_logger()


def call_logger(config: Config) -> CallObserver:
    """Return an observer that logs calls at debug, and costs nothing at other levels."""
    return _log if config.log_level == "debug" else noop_observer


def combine_observers(first: CallObserver, second: CallObserver) -> CallObserver:
    """Return an observer that calls two others."""
    if second is noop_observer:
        return first

    def observe(call: StoreCall) -> None:
        first(call)
        second(call)

    return observe


def _log(call: StoreCall) -> None:
    log.debug(
        "s3_request_finished",
        operation=call.operation,
        outcome=call.outcome.value,
        milliseconds=round(call.seconds * 1000, 1),
        retries=call.retries,
    )
