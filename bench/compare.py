"""Another revision beside this one, on the same S3, in alternating rounds: `make bench-compare REV=<commit>`.

Settings are renamed between revisions, so none is set: only variables of AWS, S3_ENDPOINT_URL and SSL_CERT_FILE are.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from assetuploader.state_machine import Status
from bench.bucket import clear, write_assets
from bench.processes import BenchError, Usage, run_measured
from bench.programs import WARM_UP, prepare_contract_loads, serving_assetuploader
from bench.reconciler import BODY, reconcile_command, require_finalized
from bench.server import BenchS3, Scheme, running_bench_s3
from bench.sizes import FULL, QUICK, LoadPlan, Sizes
from bench.tables import table
from dev.seaweedfs import DevServerError

FINALIZED: Final = "finalized asset"
SERVE_START: Final = "start of `serve` to `/readyz`"
RECONCILE_START: Final = "`reconcile` over an empty bucket"
CPU_US: Final = "CPU µs"
CPU_MS: Final = "CPU ms"
WALL_MS: Final = "wall ms"

Revisions = Mapping[str, Path]
"""The folders of the programs of both revisions by the name of the revision, the old one first.

Both must be installed without development dependencies: Sanic imports some of them if it can.
"""
Figures = dict[tuple[str, str], dict[str, list[float]]]
"""The figures of all rounds for each revision, by what was measured and in which unit."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One figure of both revisions: medians of all rounds."""

    scheme: Scheme
    measured: str
    unit: str
    old: float
    new: float
    ratio: float
    """New ÷ old: the median of the ratios of all rounds."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures of both revisions."""

    old: str
    """The name of the old revision."""
    rows: Sequence[ComparisonRow]

    def row(self, scheme: Scheme, measured: str, unit: str) -> ComparisonRow:
        """Return one row.

        Raises:
            KeyError: The row was not measured.
        """
        for row in self.rows:
            if (row.scheme, row.measured, row.unit) == (scheme, measured, unit):
                return row
        raise KeyError((scheme, measured, unit))

    def table(self) -> str:
        """Return the rows as a Markdown table."""
        rows = [
            f"| {row.measured} | {row.scheme} | {row.unit} | {row.old:,.0f} | {row.new:,.0f} | {row.ratio:.2f} |"
            for row in self.rows
        ]
        return table(("", "S3 over", "unit", self.old, "this revision", "new ÷ old"), rows)


def compare(revisions: Revisions, s3: BenchS3, sizes: Sizes, log: Callable[[str], None]) -> Comparison:
    """Measure two revisions.

    Raises:
        BenchError: one of them failed.
    """
    old, new = revisions
    rows = []
    for scheme, environment in s3.environments.items():
        figures: Figures = {}
        _measure_starts(figures, revisions, environment, sizes.starts)
        _measure_requests(figures, revisions, environment, sizes)
        _measure_finalizing(figures, revisions, environment, sizes)
        log(f"{old} and {new} measured over {scheme}")
        rows += [_row(scheme, measured, unit, found) for (measured, unit), found in figures.items()]
    return Comparison(old, rows)


def _add(figures: Figures, measured: str, unit: str, revision: str, value: float) -> None:
    figures.setdefault((measured, unit), {}).setdefault(revision, []).append(value)


def _alternate(revisions: Revisions, number: int) -> list[tuple[str, Path]]:
    """Return the revisions, in reverse order in odd rounds: the second one finds a warmer machine."""
    pairs = list(revisions.items())
    return pairs[::-1] if number % 2 else pairs


def _measure_starts(figures: Figures, revisions: Revisions, environment: Mapping[str, str], rounds: int) -> None:
    for number in range(rounds):
        for revision, programs in _alternate(revisions, number):
            with serving_assetuploader(environment, programs) as served:
                _add(figures, SERVE_START, WALL_MS, revision, served.server.start_seconds * 1e3)
                _add(figures, SERVE_START, CPU_MS, revision, served.server.start_cpu_seconds * 1e3)
            usage = run_measured(reconcile_command(programs), environment)
            _add(figures, RECONCILE_START, WALL_MS, revision, usage.seconds * 1e3)
            _add(figures, RECONCILE_START, CPU_MS, revision, usage.cpu_seconds * 1e3)


def _measure_requests(figures: Figures, revisions: Revisions, environment: Mapping[str, str], sizes: Sizes) -> None:
    loads, plan = prepare_contract_loads(sizes.assets), sizes.comparison
    with ExitStack() as stack:
        served = {name: stack.enter_context(serving_assetuploader(environment, one)) for name, one in revisions.items()}
        for program in served.values():
            for load in loads.values():
                program.measure(load, LoadPlan(WARM_UP.connections, min(WARM_UP.seconds, plan.seconds), 1))
        for number in range(plan.rounds):
            for request, load in loads.items():
                for revision, _ in _alternate(revisions, number):
                    _add(figures, request, CPU_US, revision, served[revision].measure(load, plan).cpu_us)


def _measure_finalizing(figures: Figures, revisions: Revisions, environment: Mapping[str, str], sizes: Sizes) -> None:
    plan = sizes.comparison_finalizing
    for number in range(plan.rounds):
        for revision, programs in _alternate(revisions, number):
            write_assets(plan.objects, Status.MARKED, upload=BODY)
            usage = run_measured(reconcile_command(programs), environment)
            require_finalized(plan.objects)
            start_ms = median(figures[RECONCILE_START, CPU_MS][revision])
            _add(figures, FINALIZED, CPU_US, revision, _marginal_us(usage, start_ms, plan.objects))


def _marginal_us(usage: Usage, start_ms: float, objects: int) -> float:
    """Return the CPU time per object. The CPU time of the start has a row of its own, and is subtracted."""
    return (usage.cpu_seconds * 1e6 - start_ms * 1e3) / objects


def _row(scheme: Scheme, measured: str, unit: str, found: Mapping[str, Sequence[float]]) -> ComparisonRow:
    old, new = found.values()
    ratio = median(after / before for before, after in zip(old, new, strict=True))
    return ComparisonRow(scheme, measured, unit, median(old), median(new), ratio)


def main() -> int:
    """Measure another revision beside this one, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=main.__doc__)
    parser.add_argument("old", type=Path, help="the folder of the other revision's programs")
    parser.add_argument("new", type=Path, help="the folder of this revision's programs")
    parser.add_argument("--name", default="other", help="the name of the other revision")
    parser.add_argument("--quick", action="store_true", help="take about a minute; the figures mean nothing")
    options = parser.parse_args()
    revisions = {options.name: options.old, "this revision": options.new}
    try:
        with running_bench_s3() as s3:
            clear("temp/")
            found = compare(revisions, s3, QUICK if options.quick else FULL, _log)
    except (BenchError, DevServerError) as error:
        _log(f"bench: {error}")
        return 1
    print(found.table())  # noqa: T201 -- a program that people read
    return 0


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- a program that people watch


if __name__ == "__main__":
    sys.exit(main())
