"""The service beside Sanic alone, Sanic with bare S3 calls, and boto3 in threads: CPU, rates and latencies."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from assetstore.protocol import Status
from bench.bucket import write_assets
from bench.processes import BIN, cpu_seconds, serving
from bench.wrk import Load, drive
from local.seaweedfs import free_port

ASSETS: Final = 1000
"""As many as a measurement asks for in turn: more than there are connections: no two write one asset at once."""
MARK: Final = '{"Status": "uploaded"}'


@dataclass(frozen=True, slots=True)
class Cell:
    """One program, one request, one number of connections: the median of all rounds."""

    program: str
    request: str
    connections: int
    cpu_us: float
    """CPU time of the program per request."""
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How thoroughly."""

    seconds: int
    rounds: int
    connections: Sequence[int]


def measure_service(environment: Mapping[str, str], plan: Plan, say: Callable[[str], None]) -> list[Cell]:
    """Measure all programs side by side, round after round, so that all meet the same weather."""
    loads = _loads(environment)
    ports = {program: free_port() for program in ("hello", "bare", "assetuploader", "boto3 in threads")}
    commands = {
        "hello": [str(BIN / "python"), "-m", "bench.hello", str(ports["hello"])],
        "bare": [str(BIN / "python"), "-m", "bench.bare", "serve", str(ports["bare"])],
        "assetuploader": [
            str(BIN / "assetuploader"), "serve", "--host", "127.0.0.1",
            "--port", str(ports["assetuploader"]), "--metrics-port", str(free_port()),
        ],
        "boto3 in threads": [str(BIN / "python"), "-m", "bench.in_threads", str(ports["boto3 in threads"])],
    }  # fmt: skip
    found: dict[tuple[str, str, int], list[tuple[float, float, float, float]]] = {}
    for number in range(plan.rounds):
        for program, command in commands.items():
            base = f"http://127.0.0.1:{ports[program]}"
            with serving(command, environment, f"{base}/readyz") as process:
                for request, load in loads[program].items():
                    drive(base, load, 8, 1)  # warm: connections, caches, the interpreter
                    for connections in plan.connections:
                        before = cpu_seconds(process.pid)
                        seen = drive(base, load, connections, plan.seconds)
                        cpu_us = (cpu_seconds(process.pid) - before) / seen.requests * 1e6
                        say(f"round {number + 1}: {program}, {request}, {connections} connections: {cpu_us:.0f} us")
                        found.setdefault((program, request, connections), []).append(
                            (cpu_us, seen.requests / seen.seconds, seen.p50_ms, seen.p99_ms)
                        )
    return [
        Cell(*key, *(statistics.median(figures) for figures in zip(*rounds, strict=True)))
        for key, rounds in found.items()
    ]


def _loads(environment: Mapping[str, str]) -> dict[str, dict[str, Load]]:
    final = [f"/asset/{one}" for one in write_assets(environment, ASSETS, Status.UPLOADED)]
    unmarked = [f"/asset/{one}" for one in write_assets(environment, ASSETS, Status.PENDING)]
    to_mark = [f"/asset/{one}" for one in write_assets(environment, ASSETS, Status.PENDING)]
    unknown = [f"/asset/{uuid4()}" for _ in range(ASSETS)]
    three = {
        "GET final": Load("GET", final),
        "POST": Load("POST", ["/asset"]),
        "PUT": Load("PUT", to_mark, MARK),
    }
    others = {
        "nothing (/livez)": Load("GET", ["/livez"]),
        "a wrong id": Load("GET", ["/asset/wrong"], is_refused=True),
        "GET not final": Load("GET", unmarked, is_refused=True),
        "GET unknown": Load("GET", unknown, is_refused=True),
    }
    return {
        "hello": {"constant": Load("GET", final)},
        "bare": three,
        "assetuploader": three | others,
        "boto3 in threads": three,
    }
