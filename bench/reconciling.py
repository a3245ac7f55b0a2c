"""The reconciler beside `s5cmd mv`: assets per second, CPU per asset, and memory however many are not due."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from assetstore.protocol import Status
from bench.bucket import clear, write_assets, write_objects
from bench.processes import BIN, Used, ran

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

    @property
    def per_second(self) -> float:
        """Objects per second."""
        return self.objects / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU time per object."""
        return self.cpu_seconds / self.objects * 1e6


def measure_moving(environment: Mapping[str, str], objects: int, say: Callable[[str], None]) -> list[Run]:
    """Due assets finalized with 1, 2 and 4 shards, and as many objects of the same size moved by s5cmd."""
    runs = []
    for shards in (1, 2, 4):
        write_assets(environment, objects, Status.MARKED, upload=BODY)
        runs.append(
            _told(
                say,
                _summed(
                    f"reconcile, {shards} shard{'s' if shards > 1 else ''}", objects, _reconcile(environment, shards)
                ),
            )
        )
        left = clear(environment, "temp/")
        if left:
            raise AssertionError(f"{left} of {objects} assets were not finalized")
    write_objects(environment, [f"mv/{number:06}" for number in range(objects)], BODY)
    used = ran([str(BIN / "s5cmd"), "mv", f"s3://{environment['AWS_BUCKET']}/mv/*", _moved(environment)], environment)
    runs.append(_told(say, _summed("s5cmd mv", objects, [used])))
    clear(environment, "moved/")
    return runs


def measure_waiting(environment: Mapping[str, str], objects: int, say: Callable[[str], None]) -> list[Run]:
    """Runs over a tenth of so many assets that are not due, and over all of them."""
    runs: list[Run] = []
    for count in (objects // 10, objects - objects // 10):
        write_assets(environment, count, Status.PENDING, upload=b"x")
        looked_at = count if not runs else objects
        runs.append(_told(say, _summed(f"{looked_at:,} not due", looked_at, _reconcile(environment, 1))))
    return runs


def measure_start(environment: Mapping[str, str], say: Callable[[str], None]) -> Run:
    """A run over nothing: what starting costs."""
    return _told(say, _summed("nothing to do", 1, _reconcile(environment, 1)))


def _reconcile(environment: Mapping[str, str], shards: int) -> list[Used]:
    def one(shard: int) -> Used:
        numbered = {"JOB_COMPLETION_INDEX": str(shard), "ASSETUPLOADER_SHARDS": str(shards)}
        return ran([str(BIN / "assetuploader"), "reconcile"], {**environment, **numbered})

    with ThreadPoolExecutor(shards) as threads:
        return list(threads.map(one, range(shards)))


def _summed(name: str, objects: int, used: list[Used]) -> Run:
    return Run(
        name,
        objects,
        max(one.seconds for one in used),
        sum(one.cpu_seconds for one in used),
        max(one.peak_rss_bytes for one in used),
    )


def _moved(environment: Mapping[str, str]) -> str:
    return f"s3://{environment['AWS_BUCKET']}/moved/"


def _told(say: Callable[[str], None], run: Run) -> Run:
    say(f"{run.name}: {run.per_second:.0f}/s, {run.cpu_us:.0f} us each, {run.peak_rss_bytes / 2**20:.0f} MiB")
    return run
