"""What was measured, as a picture."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.goals import CPU_GOALS, Measured


def draw(measured: Measured, path: Path) -> None:
    """Draw `docs/bench.png`."""
    mpl.use("Agg")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2))
    places = range(len(CPU_GOALS))
    for offset, program, colour in ((-0.2, "assetuploader", "tab:blue"), (0.2, "boto3 in threads", "tab:gray")):
        ratios = [measured.cell(program, request, 32).to_hello for request in CPU_GOALS]
        bars = left.bar([place + offset for place in places], ratios, 0.38, label=program, color=colour)
        left.bar_label(bars, fmt="%.1f")
    ends = [place - 0.4 for place in places], [place + 0.4 for place in places]
    left.hlines(list(CPU_GOALS.values()), *ends, colors="tab:red", label="goal")
    left.set_xticks(list(places), list(CPU_GOALS))
    left.set_title("CPU per request ÷ Sanic answering a constant\n(32 connections)")
    left.legend()
    bars = right.barh([run.name for run in measured.moving], [run.cpu_us for run in measured.moving])
    bars[-1].set_color("tab:gray")
    right.bar_label(bars, fmt="%.0f µs")
    right.invert_yaxis()
    right.margins(x=0.2)
    right.set_title("CPU per object finalized or moved")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
