"""The results as a page of the documentation."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.figures import Results
from bench.reconciler import ReconcilerRow
from bench.s3_cost import CLASSES
from bench.tables import table

MEBIBYTE: Final = 2**20


def write_page(results: Results, path: Path) -> None:
    """Write `docs/bench.md`."""
    parts = [_head(results), _service(results), _reconciler(results), _cost(results)]
    path.write_text("\n".join(parts))


def _head(results: Results) -> str:
    return f"""\
# Benchmarks

`make bench` writes this page. All figures come from one run on one machine: SeaweedFS, the program under measurement
and the load generator share {os.cpu_count()} cores. One pod uses one core. CPU is the program's own, user and system.
Ratios carry over to another machine, absolute figures do not. What else runs on the machine slows a program that waits
for S3 more than one that returns a constant. HTTPS is HTTP/1.1 over TLS, as Amazon S3 serves.

{_versions()}. The load average before the run was {results.load_before:.1f}.

![CPU per request and per object](bench.png)
"""


def _versions() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}, built with {platform.python_compiler()}"
    return ", ".join([python, *(f"{name} {version(name)}" for name in ("assetuploader", "uvloop", "aiohttp"))])


def _service(results: Results) -> str:
    rows = [
        f"| {row.connections} | {row.request} | {row.program} | {row.scheme} | {row.cpu_us:.0f} | {row.to_sanic:.2f} "
        f"| {row.per_second:,.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f} |"
        for row in sorted(results.service, key=lambda row: (row.connections, row.request, row.scheme, row.program))
    ]
    columns = ("connections", "request", "program", "S3", "CPU µs", "÷ Sanic", "requests/s", "p50 ms", "p99 ms")
    return f"""\
## The service

- *Sanic* returns a constant on the same route.
- *minimal* is the least that a request costs with aiohttp: the same S3 requests, signed and sent. It has no checks,
  retries, deadlines, URLs, logs or metrics (`bench/baseline_minimal.py`).
- *+ S3 client* adds the product's S3 client: limits, timeouts, retries and errors (`bench/layers.py`).
- *+ asset service* adds the asset's lifecycle: states checked, placeholders written, URLs signed.
- *assetuploader* is the whole service: requests checked, request ids, deadlines, problem documents, metrics and logs.
  It alone keeps final assets in memory, so that only the first GET of each calls S3.
- *boto3 in threads* is the usual alternative: the same S3 requests, without logs, metrics, checks or problem documents
  (`bench/baseline_boto3.py`).

Each figure is the median of many short rounds in which all programs have their turn. A ratio is the median of the
ratios of all rounds. `/livez` measures bare HTTP handling. `wrong id` adds the log line and the error document.

{table(columns, rows)}"""


def _reconciler(results: Results) -> str:
    columns = ("", "S3", "objects", "rounds", "objects/s", "CPU µs each", "÷ s5cmd", "S3's CPU µs each", "peak RSS MiB")
    rows = [_reconciler_line(row) for row in (*results.finalizing, *results.not_due)]
    return f"""\
## The reconciler

Due assets of 1 KiB are finalized, beside `s5cmd mv` of as many objects of the same size on the same server. CPU is that
of all processes, their start included: one start takes {results.start.cpu_seconds:.2f} s of it. Each figure is the
median of its rounds, in which all programs have their turn. *minimal* sends the same requests for each asset, and
nothing else. *S3's* is the CPU of the server on the same cores, which bounds the rate.

{table(columns, rows)}"""


def _reconciler_line(row: ReconcilerRow) -> str:
    ratio = "" if row.to_s5cmd is None else f"{row.to_s5cmd:.2f}"
    return (
        f"| {row.program} | {row.scheme} | {row.objects:,} | {row.rounds} | {row.per_second:,.0f} | {row.cpu_us:.0f} "
        f"| {ratio} | {row.s3_cpu_us:.0f} | {row.peak_rss_bytes / MEBIBYTE:.0f} |"
    )


def _cost(results: Results) -> str:
    requests = ", ".join(f"{name} {number:g}" for name, number in results.cost.calls.items())
    rows = [f"| {one.name} | {results.cost.dollars_per_million(one):.2f} |" for one in CLASSES]
    return f"""\
## What S3 charges

An asset that is created, marked with a pin at once, finalized and read once takes {results.cost.total:g} requests:
{requests}.
The client's own PUT and GET are not counted. Each scan that reads it before it is due adds one HeadObject. This is the
price of a million such assets in requests, by Amazon's list for us-east-1 (2025), if final assets have this storage
class and all else is Standard:

{table(("storage class of final assets", "dollars per million assets"), rows)}"""
