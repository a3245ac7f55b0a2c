"""The programs as processes: their logs and exit codes."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import urllib3

from dev.seaweedfs import HOST, free_port
from tests.support.product import COMMAND, COVERAGE, await_until

STOP_TIMEOUT_SECONDS: Final = 20.0
SETTINGS: Final = {
    **COVERAGE,
    "ASSETUPLOADER_LOG_FORMAT": "json",
    "ASSETUPLOADER_DRAIN_SECONDS": "0",
    "AWS_EC2_METADATA_DISABLED": "true",  # no credentials means none, at once
}


@dataclass(slots=True)
class Program:
    """A running `assetuploader`, whose log is read as it is written."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the logged events of this name so far."""
        return [event for event in map(json.loads, self.lines) if event["event"] == name]

    def errors(self) -> list[dict[str, Any]]:
        """Return the errors logged so far."""
        return [event for event in map(json.loads, self.lines) if event["level"] == "error"]

    def await_event(self, name: str) -> dict[str, Any]:
        """Wait for the first event of this name, and return it."""
        found: list[dict[str, Any]] = await_until(f"{name} is logged", lambda: self.events(name))
        return found[0]

    def end(self, number: int) -> int:
        """Send the signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_SECONDS)


@contextmanager
def started(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[Program]:
    """Start a program, and end it afterwards."""
    with subprocess.Popen(  # noqa: S603 -- our own command
        [COMMAND, *arguments], env={**SETTINGS, **environment}, stderr=subprocess.PIPE, text=True
    ) as process:
        program = Program(process)
        reader = threading.Thread(target=_read, args=(program,))
        reader.start()
        try:
            yield program
        finally:
            process.kill()
            reader.join()


def _read(program: Program) -> None:
    assert program.process.stderr is not None
    for line in program.process.stderr:
        program.lines.append(line)


def ended(arguments: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, and return it."""
    return subprocess.run(  # noqa: S603 -- our own command
        [COMMAND, *arguments],
        env={**SETTINGS, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and its address."""

    program: Program
    url: str
    http: urllib3.PoolManager

    def status(self, path: str, method: str = "GET") -> int:
        """Return the status of its response; 0 while it does not listen."""
        try:
            return self.http.request(method, self.url + path).status
        except urllib3.exceptions.HTTPError:
            return 0


@contextmanager
def serving(environment: Mapping[str, str], awaited: str = "/healthcheck") -> Iterator[Service]:
    """Start a service, wait until it responds 200 on that path, and end it afterwards."""
    port = free_port()
    arguments = ["serve", "--host", HOST, "--port", str(port), "--metrics-port", str(free_port())]
    with started(arguments, environment) as program, urllib3.PoolManager(timeout=10, retries=False) as http:
        service = Service(program, f"http://{HOST}:{port}", http)
        await_until(f"{awaited} responds 200", lambda: service.status(awaited) == 200 or program.process.poll())
        assert program.process.poll() is None, program.lines
        yield service
