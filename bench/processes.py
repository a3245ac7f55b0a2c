"""Programs under measurement: started, waited for, and asked what they used."""

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
START_SECONDS: Final = 30.0


class BenchError(Exception):
    """The measurement cannot be made, or measured something else than it says."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a program that has ended used."""

    seconds: float
    """By the clock on the wall."""
    cpu_seconds: float
    """User and system time."""
    peak_rss_bytes: int


def cpu_seconds(pid: int) -> float:
    """User and system time of a running process so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], url: str) -> Iterator[psutil.Process]:
    """A server that answers at this URL; stopped at the end."""
    process = subprocess.Popen(  # noqa: S603 -- our own programs
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{command[:3]} did not come up")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def ran(command: Sequence[str], environment: Mapping[str, str]) -> Used:
    """Run a program to its end.

    Raises:
        BenchError: it failed.
    """
    # Its usage is told by the kernel, to the parent that waits for it.
    measuring = [sys.executable, "-m", "bench.measured", *command]
    ended = subprocess.run(measuring, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode != 0:
        raise BenchError(f"{command[:3]} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    seconds, cpu, rss = ended.stdout.split()[-3:]
    return Used(float(seconds), float(cpu), int(rss))


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):  # noqa: S310 -- http on loopback
            return True
    except HTTPError as error:
        error.close()
        return True
    except (URLError, OSError):
        return False
