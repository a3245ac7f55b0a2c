"""Programs under measurement: start them, wait for them, and read what they used."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil

BIN: Final = Path(sys.executable).parent
START_TIMEOUT_SECONDS: Final = 30.0
POLL_INTERVAL_SECONDS: Final = 0.005


class BenchError(Exception):
    """The measurement failed, or would measure something else than it claims."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources that a program used until it ended."""

    seconds: float
    """Wall clock."""
    cpu_seconds: float
    """User and system time."""
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running program that serves HTTP."""

    pid: int
    start_seconds: float
    """From its start to the first response of its readiness URL."""
    start_cpu_seconds: float


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a running process so far."""
    if sys.platform == "linux":
        return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3): nanoseconds, where psutil has 10 ms
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], ready_url: str) -> Iterator[Server]:
    """Run a server until the end of the block, which begins when this URL responds with a status below 500.

    Raises:
        BenchError: The server did not start.
    """
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 -- our own programs
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _is_ready(ready_url):
            if process.poll() is not None or time.perf_counter() > started + START_TIMEOUT_SECONDS:
                raise BenchError(f"{' '.join(command[:3])} did not start")
            time.sleep(POLL_INTERVAL_SECONDS)
        yield Server(process.pid, time.perf_counter() - started, cpu_seconds(process.pid))
    finally:
        process.kill()  # there are no clients any more, and a drain would take 5 seconds
        process.wait(30)


def run_measured(command: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Run a program to its end.

    Raises:
        BenchError: The program failed.
    """
    measuring = [sys.executable, "-m", "bench.resource_usage", *command]
    ended = subprocess.run(measuring, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode != 0:
        raise BenchError(f"{' '.join(command[:3])} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    seconds, cpu, rss = ended.stdout.split()[-3:]
    return Usage(float(seconds), float(cpu), int(rss))


def _is_ready(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):  # noqa: S310 -- http on loopback
            return True
    except HTTPError as error:
        with error:
            return error.code < 500  # noqa: PLR2004 -- the baselines have no /readyz
    except (URLError, OSError):
        return False
