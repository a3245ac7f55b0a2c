"""Logs: one line for each event, JSON in pods and readable on a terminal; other libraries' logs the same way."""

import logging
import sys
from typing import Final, Literal, TextIO

import structlog

# These write URLs, at DEBUG whole and signed ones; what of theirs matters comes as an error.
_LOUD: Final = ("botocore", "boto3", "urllib3", "kubernetes", "asyncio")


class _Stream(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is now: a progress bar puts itself in between."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise NotImplementedError


def configure_logs(level: str, log_format: Literal["json", "console"] | None) -> None:
    """Send every log to standard error."""
    is_console = log_format == "console" or (log_format is None and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    if is_console:
        rendered: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=20
            )
        ]
    else:
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    handler = _Stream()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in ("sanic.root", "sanic.error", "sanic.server", "sanic.websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-1],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
