"""The reconciler beside `s5cmd mv`: assets per second, CPU per asset, and memory however many are not due."""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Final

from assetstore.protocol import Status
from bench.bucket import clear, write_assets, write_objects
from bench.processes import BIN, cpu_seconds, ran

BODY: Final = b"x" * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What moving or finalizing so many objects took."""

    name: str
    objects: int
    seconds: float
    cpu_seconds: float
    """Of all its processes together, starting them included."""
    peak_rss_bytes: int
    """Of the largest process."""
    s3_cpu_seconds: float
    """Of the S3 server, meanwhile."""

    @property
    def per_second(self) -> float:
        """Objects per second."""
        return self.objects / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time per object."""
        return self.cpu_seconds / self.objects * 1e6

    @property
    def s3_cpu_us(self) -> float:
        """CPU time of the S3 server per object."""
        return self.s3_cpu_seconds / self.objects * 1e6


@dataclass(frozen=True, slots=True)
class Place:
    """Where is measured."""

    environment: Mapping[str, str]
    s3_pid: int
    say: Callable[[str], None]

    def measure(self, name: str, objects: int, commands: Sequence[tuple[Sequence[str], Mapping[str, str]]]) -> Run:
        """Run these side by side, each with variables of its own, and add up what they used."""
        s3_before = cpu_seconds(self.s3_pid)
        with ThreadPoolExecutor(len(commands)) as threads:
            used = list(threads.map(lambda one: ran(one[0], {**self.environment, **one[1]}), commands))
        run = Run(
            name,
            objects,
            max(one.seconds for one in used),
            sum(one.cpu_seconds for one in used),
            max(one.peak_rss_bytes for one in used),
            cpu_seconds(self.s3_pid) - s3_before,
        )
        self.say(f"{name}: {run.per_second:.0f}/s, {run.cpu_us:.0f} us each, {run.peak_rss_bytes / 2**20:.0f} MiB")
        return run

    def reconcile(self, name: str, objects: int, shards: int = 1) -> Run:
        """A run of each shard, at once."""
        command = [str(BIN / "assetuploader"), "reconcile"]
        numbers = range(shards)
        commands = [(command, {"JOB_COMPLETION_INDEX": str(n), "ASSETUPLOADER_SHARDS": str(shards)}) for n in numbers]
        return self.measure(name, objects, commands)


@dataclass(frozen=True, slots=True)
class Moved:
    """What finalizing or moving so many objects took: medians of all rounds."""

    name: str
    rounds: int
    objects: int
    """In each round."""
    per_second: float
    rate_to_s5cmd: float
    """Objects per second as a multiple of `s5cmd mv`'s in the same round."""
    cpu_us: float
    cpu_to_s5cmd: float
    s3_cpu_us: float
    peak_rss_bytes: int


def measure_moving(place: Place, objects: int, rounds: int) -> list[Moved]:
    """Due assets finalized with 1, 2 and 4 shards and by bare calls, and as many objects moved by s5cmd, in turn.

    All but one shard, bare calls and s5cmd in the first round only.
    """
    turns = [_move(place, objects, (1, 2, 4, 0) if number == 0 else (1, 0)) for number in range(rounds)]
    moved = []
    for name in [run.name for run in turns[0]]:
        beside = [(run, turn[-1]) for turn in turns for run in turn if run.name == name]
        runs = [run for run, _ in beside]
        moved.append(
            Moved(
                name,
                len(runs),
                objects,
                median(run.per_second for run in runs),
                median(run.per_second / s5cmd.per_second for run, s5cmd in beside),
                median(run.cpu_us for run in runs),
                median(run.cpu_us / s5cmd.cpu_us for run, s5cmd in beside),
                median(run.s3_cpu_us for run in runs),
                max(run.peak_rss_bytes for run in runs),
            )
        )
    return moved


def _move(place: Place, objects: int, kinds: Sequence[int]) -> list[Run]:
    runs, environment = [], place.environment
    for shards in kinds:  # 0: bare calls
        write_assets(environment, objects, Status.MARKED, upload=BODY)
        if shards:
            runs.append(place.reconcile(f"reconcile, {shards} shard{'s' if shards > 1 else ''}", objects, shards))
        else:
            runs.append(place.measure("bare", objects, [([sys.executable, "-m", "bench.bare", "reconcile"], {})]))
        left = clear(environment, "temp/")
        if left:
            raise AssertionError(f"{left} of {objects} assets were not finalized")
    write_objects(environment, [f"mv/{number:06}" for number in range(objects)], BODY)
    bucket = f"s3://{environment['AWS_BUCKET']}"
    runs.append(
        place.measure("s5cmd mv", objects, [([str(BIN / "s5cmd"), "mv", f"{bucket}/mv/*", f"{bucket}/moved/"], {})])
    )
    clear(environment, "moved/")
    return runs


def measure_waiting(place: Place, objects: int) -> list[Run]:
    """Runs over a tenth of so many assets that are not due, and over all of them."""
    runs: list[Run] = []
    for count in (objects // 10, objects - objects // 10):
        write_assets(place.environment, count, Status.PENDING, upload=b"x")
        looked_at = count if not runs else objects
        runs.append(place.reconcile(f"{looked_at:,} not due", looked_at))
    return runs


def measure_start(place: Place) -> Run:
    """A run over nothing: what starting costs."""
    return place.reconcile("nothing to do", 1)
