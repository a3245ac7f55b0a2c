"""`python -m bench` measures everything in one run."""

import argparse
import os
import sys
from pathlib import Path

from bench.bucket import clear
from bench.chart import draw
from bench.figures import Results
from bench.processes import BenchError
from bench.reconciler import ReconcilerBench
from bench.report import write_page
from bench.s3_cost import measure_lifecycle
from bench.server import running_bench_s3
from bench.service import measure_service
from bench.sizes import FULL, QUICK
from dev.seaweedfs import DevServerError


def main() -> int:
    """Measure, and write docs/bench.md and docs/bench.png."""
    parser = argparse.ArgumentParser(prog="make bench", description=main.__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="take about a minute: the benchmarks work, but the figures mean nothing"
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where to write (default: docs)")
    options = parser.parse_args()
    sizes = QUICK if options.quick else FULL
    load_before = os.getloadavg()[0]
    try:
        with running_bench_s3() as s3:
            cost = measure_lifecycle(sizes.counted_assets)
            clear("temp/")
            service = measure_service(s3, sizes, _log)
            clear("temp/")
            reconciler = ReconcilerBench(s3, _log)
            start = reconciler.measure_start()
            finalizing = reconciler.measure_finalizing(sizes.finalizing)
            not_due = reconciler.measure_not_due(sizes.not_due)
    except (BenchError, DevServerError) as error:
        _log(f"bench: {error}")
        return 1
    results = Results(service, start, finalizing, not_due, cost, load_before)
    options.out.mkdir(parents=True, exist_ok=True)
    write_page(results, options.out / "bench.md")
    draw(results, options.out / "bench.png")
    _log(f"written: {options.out / 'bench.md'}, {options.out / 'bench.png'}")
    return 0


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- a program that people watch


if __name__ == "__main__":
    sys.exit(main())
