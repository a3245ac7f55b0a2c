"""Load from wrk, one thread, and what it saw."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import BenchError

_SCRIPT: Final = """
local paths = {{}}
for line in io.lines("{paths}") do paths[#paths + 1] = line end
local next = 0
wrk.method = "{method}"
wrk.body = {body}
wrk.headers["Content-Type"] = "application/json"
request = function()
  next = next % #paths + 1
  return wrk.format(nil, paths[next])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{{"requests": %d, "seconds": %f, "refused": %d, "broken": %d, "p50_us": %f, "p99_us": %f}}\\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, again and again."""

    method: str
    paths: Sequence[str]
    """Asked in turn."""
    body: str | None = None
    is_refused: bool = False
    """The right answer is a 4xx."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


def require_wrk() -> str:
    """Where wrk is.

    Raises:
        BenchError: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise BenchError("wrk is not installed: apt-get install wrk")
    return found


def drive(base_url: str, load: Load, connections: int, seconds: int) -> Seen:
    """Ask for so long over so many kept-alive connections.

    Raises:
        BenchError: an answer was not the right one, or none came.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths, script = Path(folder, "paths"), Path(folder, "load.lua")
        paths.write_text("\n".join(load.paths) + "\n")
        script.write_text(
            _SCRIPT.format(paths=paths, method=load.method, body=json.dumps(load.body) or "nil").replace(
                "wrk.body = null", "wrk.body = nil"
            )
        )
        command = [require_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=10s", f"-s{script}", base_url]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 -- found above
    told = json.loads(ended.stdout.strip().splitlines()[-1])
    if told["broken"] or told["refused"] != (told["requests"] if load.is_refused else 0) or not told["requests"]:
        raise BenchError(f"{load.method} {load.paths[0]}: wrong answers: {told}")
    return Seen(told["requests"], told["seconds"], told["p50_us"] / 1000, told["p99_us"] / 1000)
