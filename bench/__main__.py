"""`python -m bench`: everything, in one run."""

import argparse
import os
import sys
from importlib.metadata import version
from pathlib import Path

from bench.bucket import clear
from bench.goals import Measured
from bench.page import write_page
from bench.picture import draw
from bench.price import measure_life
from bench.processes import BenchError
from bench.reconciling import Place, measure_moving, measure_start, measure_waiting
from bench.service import Plan, measure_service
from bench.wrk import require_wrk
from local.seaweedfs import LocalError, free_port, running_s3


def main() -> int:
    """Measure, and write docs/bench.md and docs/bench.png."""
    parser = argparse.ArgumentParser(prog="make bench", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it: to see that it works")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where to write (default: docs)")
    given = parser.parse_args()
    # With 256 connections longer: what is under way at the end has cost its CPU, but is not counted as answered.
    plans = [Plan(1, 1, 1), Plan(32, 1, 1), Plan(256, 1, 1)]
    moving, rounds, waiting = 300, 1, 1_000
    if not given.quick:
        plans = [Plan(1, 1, 3), Plan(32, 2, 8), Plan(256, 4, 2)]
        moving, rounds, waiting = 10_000, 3, 100_000
    load_before = os.getloadavg()[0]
    try:
        require_wrk()
        with running_s3(free_port(), "bench") as s3:
            environment = {**os.environ, **s3.environment(), "S3_ENDPOINT_URL": s3.endpoint_url}
            life = measure_life(environment)
            clear(environment, "temp/")
            cells = measure_service(environment, plans, _say)
            clear(environment, "temp/")
            place = Place(environment, s3.process.pid, _say)
            start = measure_start(place)
            moved = measure_moving(place, moving, rounds)
            waited = measure_waiting(place, waiting)
    except (BenchError, LocalError) as error:
        _say(f"bench: {error}")
        return 1
    measured = Measured(cells, start, moved, waited, life, load_before, version("assetuploader"))
    given.out.mkdir(parents=True, exist_ok=True)
    write_page(measured, given.out / "bench.md")
    draw(measured, given.out / "bench.png")
    _say(f"written: {given.out / 'bench.md'}, {given.out / 'bench.png'}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- a program that people watch


if __name__ == "__main__":
    sys.exit(main())
