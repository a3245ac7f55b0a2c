"""The chart of the results."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.figures import Results
from bench.programs import GET, POST, PUT
from bench.server import Scheme
from bench.service import ASSETUPLOADER, BOTO3


def draw(results: Results, path: Path) -> None:
    """Draw `docs/bench.png`."""
    mpl.use("Agg")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2))
    requests = (GET, POST, PUT)
    places = range(len(requests))
    for offset, program, color in ((-0.2, ASSETUPLOADER, "tab:blue"), (0.2, BOTO3, "tab:gray")):
        ratios = [results.service_row(program, request).to_sanic for request in requests]
        bars = left.bar([place + offset for place in places], ratios, 0.38, label=program, color=color)
        left.bar_label(bars, fmt="%.1f")
    left.set_xticks(list(places), requests)
    left.set_title("CPU per request ÷ Sanic's constant response\n(32 connections, HTTP)")
    left.legend()
    rows = [row for row in results.finalizing if row.scheme is Scheme.HTTP]
    bars = right.barh([row.program for row in rows], [row.cpu_us for row in rows])
    bars[-1].set_color("tab:gray")
    right.bar_label(bars, fmt="%.0f µs")
    right.invert_yaxis()
    right.margins(x=0.2)
    right.set_title("CPU per object finalized or moved")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
