"""The service beside Sanic alone, bare S3 calls and the rungs between, and boto3 in threads: CPU, rates, latencies."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
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
    """One program, one request, one number of connections: medians of all rounds."""

    program: str
    request: str
    connections: int
    cpu_us: float
    """CPU time of the program per request."""
    to_hello: float
    """CPU time as a multiple of Sanic's constant answer in the same round."""
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How thoroughly, with one number of connections."""

    connections: int
    seconds: int
    """Of load on each program with each request in each round."""
    rounds: int


def measure_service(environment: Mapping[str, str], plans: Sequence[Plan], say: Callable[[str], None]) -> list[Cell]:
    """Measure all programs in turn, in many short rounds, so that all meet the same weather: a host's speed changes
    by half within seconds, and a ratio holds only between neighbours.
    """  # noqa: D205 -- one sentence
    loads = _loads(environment)
    ports = {program: free_port() for program in loads}
    python = [str(BIN / "python"), "-m"]
    commands = {
        "hello": [*python, "bench.hello", str(ports["hello"])],
        "bare": [*python, "bench.bare", "serve", str(ports["bare"])],
        "+ transport": [*python, "bench.rungs", "transport", str(ports["+ transport"])],
        "+ life": [*python, "bench.rungs", "life", str(ports["+ life"])],
        "assetuploader": [
            str(BIN / "assetuploader"), "serve", "--host", "127.0.0.1",
            "--port", str(ports["assetuploader"]), "--metrics-port", str(free_port()),
        ],
        "boto3 in threads": [*python, "bench.in_threads", str(ports["boto3 in threads"])],
    }  # fmt: skip
    bases = {program: f"http://127.0.0.1:{port}" for program, port in ports.items()}
    cells: list[Cell] = []
    with ExitStack() as stack:
        served = {
            program: stack.enter_context(serving(command, environment, f"{bases[program]}/readyz"))
            for program, command in commands.items()
        }
        asked = [(program, request) for program in commands for request in loads[program]]
        for program, request in asked:
            drive(bases[program], loads[program][request], 8, 1)  # warm: connections, caches, the interpreter
        for plan in plans:
            found: dict[tuple[str, str], list[tuple[float, ...]]] = {one: [] for one in asked}
            for number in range(plan.rounds):
                for program, request in asked:
                    before = cpu_seconds(served[program].pid)
                    seen = drive(bases[program], loads[program][request], plan.connections, plan.seconds)
                    cpu_us = (cpu_seconds(served[program].pid) - before) / seen.requests * 1e6
                    hello_us = found["hello", "constant"][number][0] if program != "hello" else cpu_us
                    found[program, request].append(
                        (cpu_us, cpu_us / hello_us, seen.requests / seen.seconds, seen.p50_ms, seen.p99_ms)
                    )
                say(f"{plan.connections} connections: round {number + 1} of {plan.rounds}")
            cells += [
                Cell(*one, plan.connections, *(statistics.median(figures) for figures in zip(*rounds, strict=True)))
                for one, rounds in found.items()
            ]
    return cells


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
        "+ transport": three,
        "+ life": three,
        "assetuploader": three | others,
        "boto3 in threads": three,
    }
