"""The reconciler beside `s5cmd mv`: assets per second, CPU per asset, and memory for many assets that are not due."""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from assetuploader.keys import CHECK_UPLOAD_KEY
from assetuploader.state_machine import Status
from bench.bucket import clear, write_assets, write_objects
from bench.processes import BIN, BenchError, cpu_seconds, run_measured
from bench.server import BenchS3, Scheme
from bench.sizes import Finalizing

BODY: Final = b"x" * 1024
SHARD_COUNTS: Final = (1, 2, 4)
ONE_SHARD: Final = "reconcile, 1 shard"

Command = tuple[Sequence[str], Mapping[str, str]]
"""A command line, and the environment variables that only this command gets."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one program took for `objects` objects; several processes of it may run at the same time."""

    objects: int
    seconds: float
    cpu_seconds: float
    """The CPU time of all processes together, their start included."""
    peak_rss_bytes: int
    """The peak of the largest process."""
    s3_cpu_seconds: float
    """The CPU time of the S3 server meanwhile."""


@dataclass(frozen=True, slots=True)
class ReconcilerRow:
    """What one program took for `objects` objects: medians of all rounds."""

    program: str
    scheme: Scheme
    objects: int
    """The number of objects in each round."""
    rounds: int
    per_second: float
    cpu_us: float
    """CPU time per object, the start of the program included."""
    to_s5cmd: float | None
    """CPU time as a multiple of `s5cmd mv`'s in the same round, over the same scheme."""
    s3_cpu_us: float
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class ReconcilerBench:
    """The measurements of the reconciler, on this S3 server. `log` reports their progress."""

    s3: BenchS3
    log: Callable[[str], None]

    def measure_finalizing(self, plan: Finalizing) -> list[ReconcilerRow]:
        """Finalize due assets with each program in turn, and move as many objects with s5cmd.

        More than one shard runs in the first round only.
        """
        rounds = [
            {
                (program, scheme): run
                for scheme in Scheme
                for program, run in self._finalize(scheme, plan.objects, is_first_round=number == 0).items()
            }
            for number in range(plan.rounds)
        ]
        return [self._summarize(program, scheme, rounds) for program, scheme in rounds[0]]

    def measure_not_due(self, objects: int) -> list[ReconcilerRow]:
        """Run over a tenth of `objects` assets that are not due, and over all of them."""
        rows = []
        tenth = objects // 10
        for missing, count in ((tenth, tenth), (objects - tenth, objects)):
            write_assets(missing, Status.PENDING, upload=b"x")
            run = self._run(Scheme.HTTP, count, _build_commands(1))
            rows.append(_row(f"{count:,} not due", Scheme.HTTP, [run], None))
        clear("temp/")
        return rows

    def measure_start(self) -> Run:
        """Run over an empty bucket, to measure what the start costs."""
        return self._run(Scheme.HTTP, 1, _build_commands(1))

    def _finalize(self, scheme: Scheme, objects: int, *, is_first_round: bool) -> dict[str, Run]:
        commands: dict[str, Sequence[Command]] = {ONE_SHARD: _build_commands(1)}
        if is_first_round and scheme is Scheme.HTTP:
            commands |= {f"reconcile, {shards} shards": _build_commands(shards) for shards in SHARD_COUNTS[1:]}
        commands["minimal"] = [([sys.executable, "-m", "bench.baseline_minimal", "reconcile"], {})]
        runs = {}
        for program, started in commands.items():
            write_assets(objects, Status.MARKED, upload=BODY)
            runs[program] = self._run(scheme, objects, started)
            require_finalized(objects)
        write_objects([f"mv/{number:06}" for number in range(objects)], BODY)
        bucket = f"s3://{self.s3.environments[scheme]['AWS_BUCKET']}"
        moving = [str(BIN / "s5cmd"), "mv", f"{bucket}/mv/*", f"{bucket}/moved/"]
        runs["s5cmd mv"] = self._run(scheme, objects, [(moving, {})])
        clear("moved/")
        self.log(f"{objects:,} objects finalized or moved by each of {', '.join(runs)}, over {scheme}")
        return runs

    def _run(self, scheme: Scheme, objects: int, commands: Sequence[Command]) -> Run:
        environment = self.s3.environments[scheme]
        s3_before = cpu_seconds(self.s3.pid)
        with ThreadPoolExecutor(len(commands)) as threads:
            used = list(threads.map(lambda one: run_measured(one[0], {**environment, **one[1]}), commands))
        return Run(
            objects,
            max(one.seconds for one in used),
            sum(one.cpu_seconds for one in used),
            max(one.peak_rss_bytes for one in used),
            cpu_seconds(self.s3.pid) - s3_before,
        )

    def _summarize(
        self, program: str, scheme: Scheme, rounds: Sequence[Mapping[tuple[str, Scheme], Run]]
    ) -> ReconcilerRow:
        measured = [one for one in rounds if (program, scheme) in one]
        to_s5cmd = median(one[program, scheme].cpu_seconds / one["s5cmd mv", scheme].cpu_seconds for one in measured)
        return _row(program, scheme, [one[program, scheme] for one in measured], to_s5cmd)


def require_finalized(objects: int) -> None:
    """Delete what remains in `temp/`, and check that nothing remained.

    Raises:
        BenchError: Some of the `objects` assets remained.
    """
    remaining = clear("temp/", kept=CHECK_UPLOAD_KEY)
    if remaining:
        raise BenchError(f"{remaining} of {objects} assets were not finalized")


def reconcile_command(programs: Path = BIN) -> Sequence[str]:
    """Return the command of one run, as it is installed in this folder of programs."""
    return [str(programs / "assetuploader"), "reconcile"]


def _build_commands(shards: int) -> Sequence[Command]:
    return [
        (reconcile_command(), {"JOB_COMPLETION_INDEX": str(number), "ASSETUPLOADER_SHARD_COUNT": str(shards)})
        for number in range(shards)
    ]


def _row(program: str, scheme: Scheme, runs: Sequence[Run], to_s5cmd: float | None) -> ReconcilerRow:
    return ReconcilerRow(
        program,
        scheme,
        runs[0].objects,
        len(runs),
        per_second=median(run.objects / run.seconds for run in runs),
        cpu_us=median(run.cpu_seconds / run.objects * 1e6 for run in runs),
        to_s5cmd=to_s5cmd,
        s3_cpu_us=median(run.s3_cpu_seconds / run.objects * 1e6 for run in runs),
        peak_rss_bytes=max(run.peak_rss_bytes for run in runs),
    )
