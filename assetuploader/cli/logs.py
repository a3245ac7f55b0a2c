"""Logs on standard error: one line for each event, as JSON in pods and readable on a terminal."""

import json
import logging
import sys
from typing import Any, Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import Processor

NOISY_LOGGERS: Final = ("botocore", "boto3", "urllib3", "kubernetes", "asyncio", "aiohttp")
"""Libraries that log URLs at DEBUG, some of them presigned. Only their errors are logged."""
_SANIC_LOGGERS: Final = ("sanic.root", "sanic.error", "sanic.server", "sanic.websockets")


def configure_logs(
    level: str,
    log_format: Literal["json", "console"] | None,
    add_context: Processor = structlog.contextvars.merge_contextvars,
) -> None:
    """Send all logs to standard error, those of libraries in the same format.

    `add_context` is the processor that adds context to each line, such as the id of the request.
    """
    is_console = log_format == "console" or (log_format is None and sys.stderr.isatty())
    processors: list[Processor] = [
        add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_console:
        renderer: Processor = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=20
        )
    else:
        processors.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    structlog.configure(
        processors=[*processors, renderer],
        logger_factory=StderrLogger,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*processors, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    silence_libraries()
    for name in _SANIC_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def silence_libraries() -> None:
    """Let libraries that log URLs log only errors."""
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


class StderrLogger:
    """A logger that writes lines to the current `sys.stderr`.

    structlog's own loggers keep the stream that was current when they were created. A progress bar replaces it.
    """

    __slots__ = ()

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        """Write one line."""
        sys.stderr.write(f"{line}\n")

    log = debug = info = warning = error = critical = exception = msg


class StderrHandler(logging.StreamHandler[TextIO]):
    """A handler that writes the logs of libraries to the current `sys.stderr`."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """The current `sys.stderr`."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise NotImplementedError


def _to_json(line: Any, **_: object) -> str:  # noqa: ANN401 -- structlog passes its event dictionary
    """Return the line as JSON. Dataclasses are written as their repr, which hides secrets."""
    try:
        return orjson.dumps(line, default=repr, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError:  # keys that are not strings, integers above 64 bits, lone surrogates
        return json.dumps(line, default=repr)
