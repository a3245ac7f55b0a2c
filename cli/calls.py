"""Each call to S3 as a line of the log, at debug: never a key or a URL; the ids on the line say whose it is."""

import structlog

from assetstore.calls import Called, Observe, observe_nothing
from cli.config import Config

log = structlog.get_logger()


def call_logger(config: Config) -> Observe:
    """What logs calls at debug; at other levels nothing, at no cost."""
    return _log if config.log_level == "debug" else observe_nothing


def _log(called: Called) -> None:
    log.debug(
        "s3_called",
        operation=called.operation,
        outcome=called.ending.value,
        milliseconds=round(called.seconds * 1000, 1),
        retries=called.retries,
    )


def to_both(first: Observe, second: Observe) -> Observe:
    """An observer that tells two others."""
    if second is observe_nothing:
        return first

    def observe(called: Called) -> None:
        first(called)
        second(called)

    return observe
