"""What was measured, as a page."""

import os
import platform
from pathlib import Path

from bench.goals import MEBIBYTE, Measured, goals_of
from bench.price import CLASSES


def write_page(measured: Measured, path: Path) -> None:
    """Write `docs/bench.md`."""
    parts = [_head(measured), _goals(measured), _service(measured), _reconciler(measured), _life(measured)]
    path.write_text("\n".join(parts))


def _head(measured: Measured) -> str:
    return f"""\
# How fast it is

Written by `make bench`, all figures in one run on one machine: SeaweedFS, the program under measurement and wrk share
{os.cpu_count()} cores. CPU is the program's own, user and system. Ratios carry over to another machine, absolute
figures don't. What else runs weighs more on a program that waits for S3 than on one that answers a constant: it is
woken for each answer.

Python {platform.python_version()}, assetuploader {measured.version}; load average before it began: \
{measured.load_before:.1f}.

![CPU per request and per object](bench.png)
"""


def _goals(measured: Measured) -> str:
    rows = [
        f"| {goal.what} | {'≥' if goal.more_is_better else '≤'} {goal.limit:g} | {goal.figure:.4g} "
        f"| {'reached' if goal.is_reached else '**missed**'} |"
        for goal in goals_of(measured)
    ]
    return _table(("", "goal", "measured", ""), rows)


def _service(measured: Measured) -> str:
    rows = [
        f"| {cell.connections} | {cell.request} | {cell.program} | {cell.cpu_us:.0f} | {cell.to_hello:.2f} "
        f"| {cell.per_second:,.0f} | {cell.p50_ms:.1f} | {cell.p99_ms:.1f} |"
        for cell in sorted(measured.cells, key=lambda cell: (cell.connections, cell.request, cell.program))
    ]
    columns = ("connections", "request", "program", "CPU µs", "÷ hello", "requests/s", "p50 ms", "p99 ms")
    return f"""\
## The service
*hello* is Sanic answering a constant on the same route. *bare* is the least that each request can cost in Python: Sanic
and the same S3 calls, signed, over kept-alive connections, and nothing else: no checks, deadlines, errors, URLs, logs
and metrics, and of S3's answers no more is read than an ETag (`bench/bare.py`). The rungs from there to the service are
*+ transport*, the product's transport in place of bare calls (whole, checked answers, bounded and fair connections,
time limits, retries, errors), and *+ life*, the asset's life on it (states checked, URLs signed) (`bench/rungs.py`);
the service has checks of what clients send, ids, a deadline, problem documents, metrics and a line of log on top.
*boto3 in threads* is what most would write: the same calls, without logs, metrics, checks and problem documents
(`bench/in_threads.py`). Load is wrk's, one thread. Each figure is the median of many short rounds in which all programs
have their turn, and a ratio the median of each round's. *Nothing* is what a request costs the service without S3, a log
line and a document; *a wrong id* has the latter two.

{_table(columns, rows)}"""


def _reconciler(measured: Measured) -> str:
    rows = [
        f"| {run.name} | {run.objects:,} | {run.rounds} | {run.per_second:,.0f} | {run.rate_to_s5cmd:.2f} "
        f"| {run.cpu_us:.0f} | {run.cpu_to_s5cmd:.2f} | {run.s3_cpu_us:.0f} "
        f"| {run.peak_rss_bytes / MEBIBYTE:.0f} |"
        for run in measured.moving
    ] + [
        f"| {run.name} | {run.objects:,} | 1 | {run.per_second:,.0f} | "
        f"| {run.cpu_us:.0f} | | {run.s3_cpu_us:.0f} | {run.peak_rss_bytes / MEBIBYTE:.0f} |"
        for run in measured.waiting
    ]
    columns = (
        "",
        "objects",
        "rounds",
        "objects/s",
        "÷ s5cmd",
        "CPU µs each",
        "÷ s5cmd",
        "S3's CPU µs each",
        "peak RSS MiB",
    )
    return f"""\
## The reconciler
Due assets of 1 kB finalized, beside `s5cmd mv` of as many objects of the same size on the same server. CPU is that of
all processes, starting them included: one start takes {measured.start.cpu_seconds:.2f} s of it. Each figure is the
median of its rounds, in which all have their turn. *Bare* is the same three calls for each asset
and nothing else, as above. *S3's* is the server's CPU on the same cores: what it leaves of them bounds the rate.

{_table(columns, rows)}"""


def _life(measured: Measured) -> str:
    calls = ", ".join(f"{name} {number:g}" for name, number in measured.life.calls.items())
    rows = [f"| {one.name} | {measured.life.dollars_per_million(one):.2f} |" for one in CLASSES]
    return f"""\
## What S3 charges
An asset that is created, marked with a pin at once, finalized and read once: {measured.life.total:g} calls ({calls}).
Each run that finds an asset not due yet adds one HeadObject. Requests for a million such assets, at Amazon's list for
us-east-1 (2025), when final assets are of this storage class and all else is Standard:

{_table(("storage class of final assets", "dollars per million assets"), rows)}"""


def _table(columns: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows, ""])
