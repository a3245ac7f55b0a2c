"""`make bench-parts`: upload one large file in parts, beside `s5cmd cp` and `aws s3 cp`, to the same server in one run.

The programs take turns. A round uploads a new file with each of them, and the ratio of a round compares what ran next
to each other. The client is `bench/parts_client.py`: the service signs the parts, and S3 takes them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from string import hexdigits
from typing import Final

from bench.bucket import clear
from bench.parts_client import PARALLEL_PARTS
from bench.processes import BIN, BenchError, serving
from dev.seaweedfs import HOST, LocalS3, free_port, running_s3

OURS: Final = "assetuploader"
MIB: Final = 1024**2
_BLOCK_BYTES: Final = 16 * MIB


@dataclass(slots=True)
class PartsBench:
    """The measurement on one S3 server."""

    s3: LocalS3
    service_url: str
    megabytes: int
    folder: Path
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def run(self, rounds: int) -> None:
        """Upload `rounds` files with each program.

        Raises:
            BenchError: An upload failed.
        """
        client = Path(__file__).with_name("parts_client.py")
        programs: dict[str, Callable[[Path], Sequence[str]]] = {
            OURS: lambda file: (sys.executable, str(client), self.service_url, str(file)),
            "s5cmd cp": lambda file: (str(BIN / "s5cmd"), "cp", str(file), f"s3://{self.s3.bucket}/s5cmd"),
            "aws s3 cp": lambda file: (
                str(BIN / "aws"),
                "s3",
                "cp",
                "--quiet",
                str(file),
                f"s3://{self.s3.bucket}/aws",
            ),
        }
        environment = self.s3.environment()
        os.environ.update(environment)
        _time(programs["s5cmd cp"](self._write_file(rounds)), environment)  # the server allocates its first volumes
        self._clear()
        for number in range(rounds):
            for name, command in programs.items():
                file = self._write_file(number)
                self.seconds.setdefault(name, []).append(_time(command(file), environment))
                _print(f"round {number + 1} of {rounds}: {name} {self.megabytes / self.seconds[name][-1]:.0f} MiB/s")
                self._clear()

    def describe(self) -> str:
        """Return the results as a table, and the ratio that decides."""
        lines = ["| program | MiB/s | seconds |", "|---|---|---|"]
        for name, seconds in self.seconds.items():
            lines.append(f"| {name} | {self.megabytes / median(seconds):.0f} | {median(seconds):.1f} |")
        lines.append(
            f"\n{OURS} sends {PARALLEL_PARTS} parts at once. Its throughput is {self.ratio:.2f} of the better one."
        )
        return "\n".join(lines)

    @property
    def ratio(self) -> float:
        """The median over all rounds of our throughput by that of the better other program in the same round."""
        others = [seconds for name, seconds in self.seconds.items() if name != OURS]
        ratios: list[float] = [min(other) / ours for ours, *other in zip(self.seconds[OURS], *others, strict=True)]
        return median(ratios)

    def _write_file(self, number: int) -> Path:
        """Write a file whose parts differ, so that nothing can be stored once."""
        path, block = self.folder / "file", os.urandom(_BLOCK_BYTES)
        with path.open("wb") as file:
            for start in range(0, self.megabytes * MIB, _BLOCK_BYTES):
                file.write(f"{number} {start}".encode().ljust(64) + block[64:])
            file.truncate(self.megabytes * MIB)
        os.sync()  # the disk does not write the file while it is read
        return path

    def _clear(self) -> None:
        assets = [f"{folder}/{digit}" for folder in ("uploaded", "temp") for digit in hexdigits]
        for prefix in ("s5cmd", "aws", *assets):
            clear(prefix)


def _time(command: Sequence[str], environment: Mapping[str, str]) -> float:
    # s5cmd reads S3_ENDPOINT_URL, the AWS CLI AWS_ENDPOINT_URL_S3.
    variables = {**os.environ, **environment, "S3_ENDPOINT_URL": environment["AWS_ENDPOINT_URL_S3"]}
    started = time.perf_counter()
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603 -- ours
    seconds = time.perf_counter() - started
    if ended.returncode != 0:
        raise BenchError(f"{' '.join(command[:3])} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return seconds


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- a command


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-parts", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024, help="the size of the file, in MiB")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    port, metrics_port = free_port(), free_port()
    url = f"http://{HOST}:{port}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assetuploader-parts-")))
        s3 = stack.enter_context(running_s3(free_port(), "assets"))
        command = [str(BIN / "assetuploader"), "serve", "--host", HOST, "--port", str(port)]
        command += ["--metrics-port", str(metrics_port)]
        stack.enter_context(serving(command, {**os.environ, **s3.environment()}, f"{url}/readyz"))
        measured = PartsBench(s3, url, args.megabytes, folder)
        measured.run(args.rounds)
    print(measured.describe())  # noqa: T201 -- a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
