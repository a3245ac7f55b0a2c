"""The programs that serve the API, and the requests that are sent to them."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from assetuploader.state_machine import Status
from bench.bucket import write_assets
from bench.load import Load, drive
from bench.processes import BIN, Server, cpu_seconds, serving
from bench.sizes import LoadPlan
from dev.seaweedfs import HOST, free_port

GET: Final = "GET final"
POST: Final = "POST"
PUT: Final = "PUT"
CONSTANT: Final = "constant"
WARM_UP: Final = LoadPlan(8, 1, 1)
"""Opens connections, fills caches and lets the interpreter specialize."""


@dataclass(frozen=True, slots=True)
class LoadSample:
    """The CPU time, rate and latency of one kind of request, in one round of one program."""

    cpu_us: float
    """CPU time of the program per request."""
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class ServedProgram:
    """A running program, and the port at which it serves."""

    port: int
    server: Server

    def measure(self, load: Load, plan: LoadPlan) -> LoadSample:
        """Send one round of this load, and return what it took."""
        before = cpu_seconds(self.server.pid)
        result = drive(self.port, load, plan.connections, plan.seconds)
        cpu_us = (cpu_seconds(self.server.pid) - before) / result.requests * 1e6
        return LoadSample(cpu_us, result.per_second, result.p50_ms, result.p99_ms)


@contextmanager
def serving_module(module: str, environment: Mapping[str, str], *arguments: str) -> Iterator[ServedProgram]:
    """Serve with a module of this package, whose last argument is its port."""
    port = free_port()
    command = [sys.executable, "-m", module, *arguments, str(port)]
    with serving(command, environment, f"http://{HOST}:{port}/readyz") as server:
        yield ServedProgram(port, server)


@contextmanager
def serving_assetuploader(environment: Mapping[str, str], programs: Path = BIN) -> Iterator[ServedProgram]:
    """Serve with `assetuploader serve`, as it is installed in this folder of programs."""
    port = free_port()
    command = [str(programs / "assetuploader"), "serve", "--host", HOST, "--port", str(port)]
    command += ["--metrics-port", str(free_port())]
    with serving(command, environment, f"http://{HOST}:{port}/readyz") as server:
        yield ServedProgram(port, server)


def prepare_contract_loads(assets: int) -> dict[str, Load]:
    """Write assets, and return the three requests of the API's contract for them."""
    final = [f"/asset/{one}" for one in write_assets(assets, Status.UPLOADED)]
    to_mark = [f"/asset/{one}" for one in write_assets(assets, Status.PENDING)]
    return {
        GET: Load("GET", final, 200),
        POST: Load("POST", ["/asset"], 201),
        PUT: Load("PUT", to_mark, 202, '{"Status": "uploaded"}'),
    }


def prepare_other_loads(assets: int) -> dict[str, Load]:
    """Write assets, and return requests that show how the cost of a GET is made up."""
    pending = [f"/asset/{one}" for one in write_assets(assets, Status.PENDING)]
    return {
        "/livez": Load("GET", ["/livez"], 200),
        "wrong id": Load("GET", ["/asset/wrong"], 400),
        "GET not final": Load("GET", pending, 404),
        "GET unknown": Load("GET", [f"/asset/{uuid4()}" for _ in range(assets)], 404),
    }
