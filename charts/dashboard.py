"""The Grafana dashboard of the chart, from the panels below.

python charts/dashboard.py          writes it
python charts/dashboard.py --check  exits 1 if it is not what would be written
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).parent / "assetuploader" / "files" / "dashboard.json"
OURS: Final = 'namespace="RELEASE_NAMESPACE", job="RELEASE_SERVICE-metrics"'
CRONJOB: Final = 'namespace="RELEASE_NAMESPACE", cronjob="RELEASE_CRONJOB"'
ASSETS: Final = 'route=~"/asset.*"'
ERRORS: Final = 'route=~"/asset.*", status=~"5.."'
FAILED: Final = 'outcome=~"unavailable|denied|misconfigured"'
WAITING: Final = 'reason="waiting"'
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: a line for each series of its queries."""

    title: str
    unit: str
    description: str
    queries: tuple[tuple[str, str], ...]
    """A legend and an expression each."""
    is_stat: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and its panels, side by side."""

    title: str
    panels: tuple[Panel, ...]


def ours(name: str, labels: str = "") -> str:
    """A selector of one of the service's metrics."""
    return f"assetuploader_{name}{{{OURS}{', ' + labels if labels else ''}}}"


def rate(name: str, labels: str = "") -> str:
    """How fast it grows."""
    return f"rate({ours(name, labels)}[$__rate_interval])"


def lag(quantile: float, since: str, pinned: str) -> str:
    """A quantile of how long assets took; every replica says the same, so one of them is enough."""
    buckets = rate("finalize_lag_seconds_bucket", f'since="{since}", pinned="{pinned}"')
    return f"histogram_quantile({quantile}, sum by (le) (max by (shard, le) ({buckets})))"


def last(name: str, labels: str = "") -> str:
    """What the reports say, once for each shard."""
    return f"max by (shard) ({ours(name, labels)})"


ROWS: Final = (
    Row(
        "Now",
        (
            Panel(
                "Overdue",
                "s",
                "How overdue the most overdue asset is; negative: the first is due only then.",
                (("", f"time() - min({last('reconciler_next_due_timestamp_seconds')}) or vector(0)"),),
                is_stat=True,
            ),
            Panel(
                "Since the last success",
                "s",
                "Of the shard that is worst off.",
                (("", f"time() - min({last('reconciler_last_success_timestamp_seconds')})"),),
                is_stat=True,
            ),
            Panel(
                "Waiting",
                "none",
                "Assets with bytes in temp/ that are not marked, or not due.",
                (("", f"sum({last('reconciler_left', WAITING)})"),),
                is_stat=True,
            ),
            Panel("Ready pods", "none", "Pods of the service.", (("", f"sum({ours('ready')})"),), is_stat=True),
            Panel(
                "Errors, 1 h",
                "percentunit",
                "Requests for assets that were answered with 5xx; the objective is 0.1 %.",
                (
                    (
                        "",
                        (
                            f"(sum(rate({ours('http_requests_total', ERRORS)}[1h])) or vector(0)) / "
                            f"sum(rate({ours('http_requests_total', ASSETS)}[1h]))"
                        ),
                    ),
                ),
                is_stat=True,
            ),
            Panel(
                "Version",
                "none",
                "Pods by version.",
                (("{{version}}", f"count by (version) ({ours('build_info')})"),),
                is_stat=True,
            ),
        ),
    ),
    Row(
        "Time to available",
        (
            Panel(
                "From mark to final",
                "s",
                "What a client waits. Unpinned assets wait for their upload URL to end.",
                tuple(
                    (f"{kind} p{percent}", lag(percent / 100, "mark", pinned))
                    for kind, pinned in (("pinned", "true"), ("unpinned", "false"))
                    for percent in (50, 95)
                ),
            ),
            Panel(
                "From due to final",
                "s",
                "What the reconciler adds to it; the objective is 99 % within 120 s.",
                (("pinned p95", lag(0.95, "due", "true")), ("unpinned p95", lag(0.95, "due", "false"))),
            ),
            Panel(
                "Assets",
                "ops",
                "What runs did to assets, or failed to.",
                (("{{outcome}}", f"sum by (outcome) (max by (shard, outcome) ({rate('reconciler_assets_total')}))"),),
            ),
        ),
    ),
    Row(
        "API",
        (
            Panel(
                "Requests",
                "reqps",
                "By route and status.",
                (
                    (
                        "{{method}} {{route}} {{status}}",
                        f"sum by (method, route, status) ({rate('http_requests_total')})",
                    ),
                ),
            ),
            Panel(
                "Latency",
                "s",
                "Of requests for assets.",
                tuple(
                    (
                        f"p{percent}",
                        (
                            f"histogram_quantile({percent / 100}, sum by (le) "
                            f"({rate('http_request_duration_seconds_bucket', ASSETS)}))"
                        ),
                    )
                    for percent in (50, 95, 99)
                ),
            ),
            Panel("In flight", "none", "Requests being answered.", (("{{pod}}", ours("http_requests_in_flight")),)),
        ),
    ),
    Row(
        "S3",
        (
            Panel(
                "Calls",
                "ops",
                "The service's, by operation and outcome.",
                (("{{operation}} {{outcome}}", f"sum by (operation, outcome) ({rate('s3_calls_total')})"),),
            ),
            Panel(
                "Latency, p95",
                "s",
                "The service's, repetitions included.",
                (
                    (
                        "{{operation}}",
                        f"histogram_quantile(0.95, sum by (operation, le) ({rate('s3_call_duration_seconds_bucket')}))",
                    ),
                ),
            ),
            Panel(
                "Failed and repeated",
                "ops",
                "Failures that clients see as 503, and calls that were repeated.",
                (
                    ("failed", f"sum({rate('s3_calls_total', FAILED)}) or vector(0)"),
                    ("repeated", f"sum({rate('s3_retries_total')})"),
                ),
            ),
        ),
    ),
    Row(
        "Reconciler",
        (
            Panel(
                "Duration of the last run",
                "s",
                "Lingering included.",
                (("shard {{shard}}", last("reconciler_last_duration_seconds")),),
            ),
            Panel(
                "Left in temp/",
                "none",
                "By the last complete run, and why.",
                (("{{reason}}", f"sum by (reason) (max by (shard, reason) ({ours('reconciler_left')}))"),),
            ),
            Panel(
                "Since Kubernetes saw a run succeed",
                "s",
                "From kube-state-metrics, which knows nothing of reports.",
                (("", f"time() - max(kube_cronjob_status_last_successful_time{{{CRONJOB}}})"),),
            ),
        ),
    ),
)


def build() -> dict[str, Any]:
    """The dashboard, as Grafana stores it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in ROWS:
        panels.append(
            _placed(
                len(panels), "row", row.title, {"h": 1, "w": 24, "x": 0, "y": y}, {"collapsed": False, "panels": []}
            )
        )
        width, height = 24 // len(row.panels), 4 if row.panels[0].is_stat else 8
        for column, panel in enumerate(row.panels):
            place = {"h": height, "w": width, "x": column * width, "y": y + 1}
            panels.append(
                _placed(len(panels), "stat" if panel.is_stat else "timeseries", panel.title, place, _shown(panel))
            )
        y += height + 1
    return {
        "title": "assetuploader RELEASE_NAMESPACE/RELEASE_SERVICE",
        "uid": "assetuploader-RELEASE_NAMESPACE",
        "schemaVersion": 39,
        "tags": ["assetuploader"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": panels,
    }


def _placed(number: int, kind: str, title: str, place: dict[str, int], rest: dict[str, Any]) -> dict[str, Any]:
    return {"id": number + 1, "type": kind, "title": title, "gridPos": place, **rest}


def _shown(panel: Panel) -> dict[str, Any]:
    return {
        "description": panel.description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": expression, "legendFormat": legend, "datasource": DATASOURCE}
            for number, (legend, expression) in enumerate(panel.queries)
        ],
    }


def main() -> int:
    """Write the dashboard, or check it; the exit code."""
    text = json.dumps(build(), indent=2) + "\n"
    if "--check" in sys.argv:
        if TARGET.read_text() != text:
            print("the dashboard is not what charts/dashboard.py makes: run `make dashboard`", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
