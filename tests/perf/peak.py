"""One run in its own process, and its peak memory."""

import asyncio
import json
import logging
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.state_machine import LifecyclePolicy
from reconciler.run import Run, RunOptions, check_nothing
from reconciler.shards import Shard
from reconciler.summary import RunCounters
from tests.perf.endless import EndlessS3
from tests.support.in_memory_s3 import InMemoryS3


@dataclass(frozen=True, slots=True)
class Peak:
    """The peak memory of a run over this many objects."""

    objects: int
    outcomes: dict[str, int]
    deleted: int
    peak_bytes: int
    seconds: float


def measure(objects: int) -> Peak:
    """Run over this many objects, in a new process.

    Raises:
        CalledProcessError: The run failed.
    """
    done = subprocess.run(  # noqa: S603 -- our own module
        [sys.executable, "-m", "tests.perf.peak", str(objects)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    return Peak(**json.loads(done.stdout))


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # the peak since exec: getrusage's includes the parent's at the fork
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _run_here(objects: int) -> Peak:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    s3 = EndlessS3(objects)
    reconciler = AssetReconciler(s3, InMemoryS3(), LifecyclePolicy(), lambda: b"nonce")
    started = time.monotonic()
    counters = RunCounters()
    options = RunOptions(Shard(), watch_seconds=0, poll_interval_seconds=5, max_run_seconds=3000)
    asyncio.run(Run(reconciler, options, [counters], check_nothing, asyncio.Event(), time.monotonic).run())
    seconds = round(time.monotonic() - started, 1)
    outcomes = {outcome.value: count for outcome, count in counters.outcomes.items()}
    return Peak(objects, outcomes, s3.deleted, _peak_bytes(), seconds)


if __name__ == "__main__":
    peak = _run_here(int(sys.argv[1]))
    print(json.dumps({name: getattr(peak, name) for name in Peak.__slots__}))  # noqa: T201 -- for measure()
