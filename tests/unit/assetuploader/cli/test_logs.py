"""The format of logs. Each test runs its own process, because logging is configured for the whole process."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys
import structlog
from assetuploader.cli.logs import configure_logs
configure_logs({level!r}, {log_format!r})
structlog.contextvars.bind_contextvars(request_id="id")
log = structlog.get_logger()
log.debug("a_debug", n=1)
log.info("an_info", text="x\\ny", url=None)
logging.getLogger("sanic.root").info("https://x/?X-Amz-Signature=1")
logging.getLogger("botocore.auth").debug("https://x/?X-Amz-Signature=2")
logging.getLogger("urllib3.connectionpool").debug("https://x/?X-Amz-Signature=3")
logging.getLogger("someone.else").warning("a warning of %s", "theirs")
try:
    secret = "a local's value"
    1 / 0
except ZeroDivisionError as error:
    log.error("an_error", exc_info=error)
"""


def _run(script: str) -> str:
    """Run a script in its own process; return its standard error."""
    completed = subprocess.run(  # noqa: S603 -- our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert completed.stdout == ""
    return completed.stderr


def _log(level: str, log_format: str | None) -> str:
    return _run(SCRIPT.format(level=level, log_format=log_format))


def test_each_event_is_one_line_of_json() -> None:
    """Each line has event, level, time and values as members; so have the lines of other libraries."""
    events = [json.loads(line) for line in _log("info", "json").splitlines()]

    assert len(events) == 3
    assert all(event.pop("timestamp").endswith("Z") for event in events)
    assert events[0] == {"event": "an_info", "level": "info", "request_id": "id", "text": "x\ny", "url": None}
    assert events[1] == {"event": "a warning of theirs", "level": "warning", "request_id": "id"}
    assert (events[2]["event"], events[2]["level"]) == ("an_error", "error")
    assert "ZeroDivisionError" in events[2]["exception"]


OBJECTS = """
import structlog
from assetuploader.s3.sigv4 import Credentials
from assetuploader.cli.logs import configure_logs
configure_logs("info", "json")
for more in ({}, {"half": "\\ud800"}, {"names": {1: 2}}, {"number": 2**70}):
    structlog.get_logger().info("keys", keys=Credentials("AK", "the secret key"), **more)
"""


def test_an_object_is_logged_by_its_repr() -> None:
    """What an object's repr hides stays hidden, also in lines that orjson cannot write."""
    lines = [json.loads(line) for line in _run(OBJECTS).splitlines()]
    assert [line["keys"] for line in lines] == ["Credentials(access_key_id='AK')"] * 4
    assert [line["event"] for line in lines] == ["keys"] * 4


@pytest.mark.parametrize("log_format", ["json", "console", None])
def test_no_library_writes_urls_and_no_traceback_contains_values(log_format: str | None) -> None:
    """At debug, libraries that sign URLs are silent, and a traceback contains no values of local variables."""
    output = _log("debug", log_format)

    assert "a_debug" in output
    assert "X-Amz-Signature" not in output
    assert "local's value'" not in output
    assert output.count("a local's value") <= 1  # in the line of code


def test_a_pipe_gets_json_or_text_without_colours() -> None:
    """Without a configured format, a pipe gets JSON; the console format has no colours there."""
    assert json.loads(_log("info", None).splitlines()[0])["event"] == "an_info"

    console = _log("info", "console")
    assert "an_info" in console
    assert "\x1b" not in console


def test_the_level_is_the_least_severe_that_is_written() -> None:
    """At level error, only errors are written."""
    events = [json.loads(line)["event"] for line in _log("error", "json").splitlines()]

    assert events == ["an_error"]
