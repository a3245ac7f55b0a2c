"""Logs: one line for each event, JSON in pods and readable on a terminal; other libraries' logs the same way."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

import orjson
import structlog

# These write URLs, at DEBUG whole and signed ones; what of theirs matters comes as an error.
_LOUD: Final = ("botocore", "boto3", "urllib3", "kubernetes", "asyncio")

_HOW: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_UTC_Z


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


def configure_logs(
    level: str,
    log_format: Literal["json", "console"] | None,
    add_names: structlog.typing.Processor = structlog.contextvars.merge_contextvars,
) -> None:
    """Send every log to standard error; `add_names` says in each line what it is about."""
    is_console = log_format == "console" or (log_format is None and sys.stderr.isatty())
    ours = [add_names]
    if is_console:
        ours += [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
        render: structlog.typing.Processor = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=20
        )
    else:
        render = _as_json
    # Our own lines do not pass through `logging`: that takes longer than all else about a line.
    structlog.configure(
        processors=[*ours, render],
        logger_factory=_Stderr,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = _Stream()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*ours, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    hush()
    for name in ("sanic.root", "sanic.error", "sanic.server", "sanic.websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)


def hush() -> None:
    """Hear only the errors of libraries that write URLs into their logs."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)


class _Stderr:
    """Where structlog's lines end: whatever `sys.stderr` is now, as above."""

    __slots__ = ()

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")

    log = debug = info = warning = error = critical = exception = msg


def _as_json(_: object, method: str, line: structlog.typing.EventDict) -> str:
    """One line of JSON: what structlog's own processors for level, time, exception and JSON do, in one step.

    Each request has such a line, and four steps take three times as long.
    """
    line["level"] = method
    line["timestamp"] = datetime.now(UTC)
    if "exc_info" in line:
        structlog.processors.format_exc_info(None, method, line)
    try:
        # Dataclasses by their repr, as anything else that is no JSON: some hide a secret in it.
        return orjson.dumps(line, default=repr, option=_HOW).decode()
    except TypeError:  # what orjson refuses: keys that are no text, integers above 64 bits, half a surrogate pair
        line["timestamp"] = line["timestamp"].isoformat().replace("+00:00", "Z")
        return json.dumps(line, default=repr)
