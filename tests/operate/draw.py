"""`make dashboard-picture`: the dashboard's panels, drawn from a real Prometheus that scraped a real run under load.

Prints the time to available, pinned and unpinned, as the metrics of that run tell it.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from charts.dashboard import ROWS, Panel
from tests.operate.product import COMMAND, Product, running_product
from tests.operate.prometheus import Prometheus, of_this_release, running_prometheus

SECONDS: Final = 180
PAUSE_SECONDS: Final = 0.1
WINDOW: Final = "30s"
TARGET: Final = Path(__file__).parents[2] / "docs" / "dashboard.png"
SETTINGS: Final = {
    "ASSETUPLOADER_UPLOAD_URL_SECONDS": "30",
    "ASSETUPLOADER_GRACE_SECONDS": "5",
    "ASSETUPLOADER_RUN_SECONDS": "20",
    "ASSETUPLOADER_POLL_SECONDS": "2",
}


def main() -> None:
    """Run the product under load for SECONDS, and draw what Prometheus saw."""
    with running_product(**SETTINGS) as product, running_prometheus(product) as prometheus:
        started = time.time()
        with _looping(lambda: _reconcile(product)), _looping(lambda: _live(product)):
            time.sleep(SECONDS)
        _draw(prometheus, started, time.time())
        for pinned in ("true", "false"):
            for quantile in (0.5, 0.95):
                selector = f'assetuploader_finalize_lag_seconds_bucket{{since="mark", pinned="{pinned}"}}'
                query = f"histogram_quantile({quantile}, sum by (le) ({selector}))"
                print(f"mark to final, pinned={pinned}, p{quantile * 100:.0f}: {prometheus.value(query):.1f} s")  # noqa: T201
            count = f'sum(assetuploader_finalize_lag_seconds_count{{since="mark", pinned="{pinned}"}})'
            print(f"  of {prometheus.value(count):.0f} assets")  # noqa: T201


@contextmanager
def _looping(step: Any) -> Iterator[None]:  # noqa: ANN401 -- a function of nothing
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            step()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _reconcile(product: Product) -> None:
    command = [COMMAND, "reconcile"]
    subprocess.run(command, env=product.environment, capture_output=True, check=False)  # noqa: S603 -- our own


def _live(product: Product) -> None:
    """One pinned and one unpinned asset, an unknown one, and a moment's rest."""
    for pinned in (True, False):
        created = product.upload(b"some bytes")
        product.mark(created, pinned=pinned)
        product.http.request("GET", f"{product.url}/asset/{created.asset_id}")
    time.sleep(PAUSE_SECONDS)


def _draw(prometheus: Prometheus, start: float, end: float) -> None:
    mpl.use("Agg")
    plt.style.use("dark_background")
    width = 12
    figure = plt.figure(figsize=(20, 21), layout="constrained")
    grid = figure.add_gridspec(len(ROWS), width, height_ratios=[0.35 if row.panels[0].is_stat else 1 for row in ROWS])
    for line, row in enumerate(ROWS):
        each = width // len(row.panels)
        for column, panel in enumerate(row.panels):
            axes = figure.add_subplot(grid[line, column * each : (column + 1) * each])
            axes.set_title(panel.title, loc="left", fontsize=11)
            if panel.is_stat:
                _draw_stat(axes, panel, prometheus)
            else:
                _draw_series(axes, panel, prometheus, start, end)
    figure.savefig(TARGET, dpi=70)


def _query(expression: str) -> str:
    return of_this_release(expression).replace("$__rate_interval", WINDOW)


def _draw_stat(axes: Axes, panel: Panel, prometheus: Prometheus) -> None:
    axes.axis("off")
    legend, expression = panel.queries[0]
    (sample,) = prometheus.ask("query", {"query": _query(expression)})["result"]
    value = float(sample["value"][1])
    text = {"s": f"{value:.0f} s", "percentunit": f"{value:.2%}"}.get(panel.unit, f"{value:.0f}")
    if legend:
        text = sample["metric"][legend.strip("{}")]
    axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=24, color="#73bf69")


def _draw_series(axes: Axes, panel: Panel, prometheus: Prometheus, start: float, end: float) -> None:
    for legend, expression in panel.queries:
        given = {"query": _query(expression), "start": str(start), "end": str(end), "step": "1"}
        for series in prometheus.ask("query_range", given)["result"]:
            name = legend
            for label, value in series["metric"].items():
                name = name.replace("{{" + label + "}}", value)
            points = [(float(at) - start, float(value)) for at, value in series["values"]]
            axes.plot([at for at, _ in points], [value for _, value in points], label=name, linewidth=1.4)
    axes.set_xlabel("seconds of the run", fontsize=8)
    axes.set_ylabel(panel.unit, fontsize=8)
    axes.grid(alpha=0.2)
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, loc="upper left")
    else:
        axes.text(0.5, 0.5, "no kube-state-metrics here", transform=axes.transAxes, ha="center", alpha=0.6)


if __name__ == "__main__":
    main()
