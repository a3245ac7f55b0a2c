"""Write the chart's Grafana dashboard.

python charts/dashboard.py          writes the dashboard
python charts/dashboard.py --check  exits with 1 if the dashboard is out of date
"""

import json
import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, ThresholdsConfig
from grafana_foundation_sdk.builders.dashboard import Row as RowBuilder
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as StatBuilder
from grafana_foundation_sdk.builders.timeseries import Panel as TimeseriesBuilder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import BigValueTextMode, LegendDisplayMode, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, Threshold, ThresholdsMode

TARGET: Final = Path(__file__).parent / "assetuploader" / "files" / "dashboard.json"
DATASOURCE: Final = DataSourceRef("prometheus", "${datasource}")
GRID_WIDTH: Final = 24
STAT_HEIGHT: Final = 4
GRAPH_HEIGHT: Final = 8

# The chart replaces the RELEASE_ words.
RELEASE: Final = 'namespace="RELEASE_NAMESPACE", job="RELEASE_SERVICE-metrics"'
CRONJOB: Final = 'namespace="RELEASE_NAMESPACE", cronjob="RELEASE_CRONJOB"'
ASSETS: Final = 'route=~"(/v1)?/asset.*"'
ERRORS: Final = 'route=~"(/v1)?/asset.*", status=~"5.."'
HIT: Final = 'result="hit"'
FAILED: Final = 'outcome=~"unavailable|access_denied|misconfigured|unsupported"'
WAITING: Final = 'reason=~"waiting|postponed"'


def metric(name: str, labels: str = "") -> str:
    """Return a selector of one of the release's metrics."""
    return f"assetuploader_{name}{{{RELEASE}{', ' + labels if labels else ''}}}"


def rate(name: str, labels: str = "") -> str:
    """Return the per-second rate of a counter."""
    return f"rate({metric(name, labels)}[$__rate_interval])"


def by_shard(name: str, labels: str = "") -> str:
    """Return one value per shard: all replicas export the same shard reports."""
    return f"max by (shard) ({metric(name, labels)})"


def finalize_lag(quantile: float, since: str, pinned: str) -> str:
    """Return a quantile of the time until assets became final."""
    buckets = rate("finalize_lag_seconds_bucket", f'since="{since}", pinned="{pinned}"')
    return f"histogram_quantile({quantile}, sum by (le) (max by (shard, le) ({buckets})))"


def stat(title: str, unit: str, description: str, query: tuple[str, str], red_from: float | None = None) -> StatBuilder:
    """Return a panel with one number, which is red from a limit on. The query is a legend and an expression."""
    legend, expression = query
    limits = [Threshold(None, "green")] + ([] if red_from is None else [Threshold(red_from, "red")])
    return (
        StatBuilder()
        .title(title)
        .unit(unit)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_query(0, legend, expression))
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(BigValueTextMode.VALUE_AND_NAME if legend else BigValueTextMode.VALUE)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(limits))
        .height(STAT_HEIGHT)
    )


def graph(title: str, unit: str, description: str, *queries: tuple[str, str]) -> TimeseriesBuilder:
    """Return a panel with lines over time, from pairs of a legend and an expression."""
    return (
        TimeseriesBuilder()
        .title(title)
        .unit(unit)
        .description(description)
        .datasource(DATASOURCE)
        .targets([_query(number, *query) for number, query in enumerate(queries)])
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .legend(VizLegendOptions().show_legend(show_legend=True).display_mode(LegendDisplayMode.LIST))
        .min(0)
        .height(GRAPH_HEIGHT)
    )


def _query(number: int, legend: str, expression: str) -> Dataquery:
    letter = chr(ord("A") + number)
    return Dataquery().ref_id(letter).expr(expression).legend_format(legend).datasource(DATASOURCE).range()


ERROR_RATIO: Final = (
    f"(sum(rate({metric('http_requests_total', ERRORS)}[1h])) or vector(0)) / "
    f"sum(rate({metric('http_requests_total', ASSETS)}[1h]))"
)
REQUEST_SECONDS: Final = rate("http_request_duration_seconds_bucket", ASSETS)
OUTCOMES: Final = rate("reconciler_assets_total")

ROWS: Final[dict[str, tuple[StatBuilder | TimeseriesBuilder, ...]]] = {
    "Now": (
        stat(
            "Overdue",
            units.Seconds,
            "How long the oldest due asset has been overdue. Negative: the next asset is due in the future.",
            ("", f"time() - min({by_shard('reconciler_next_due_timestamp_seconds')}) or vector(0)"),
            red_from=300,
        ),
        stat(
            "Since the last success",
            units.Seconds,
            "Time since the last successful run, of the shard with the longest time.",
            ("", f"time() - min({by_shard('reconciler_last_success_timestamp_seconds')})"),
            red_from=900,
        ),
        stat(
            "Waiting",
            units.Short,
            "Uploads in temp/ whose assets are not marked or not due, or that the last run did not read.",
            ("", f"sum({by_shard('reconciler_remaining_uploads', WAITING)})"),
        ),
        stat("Ready pods", units.Short, "Pods of the API that are ready.", ("", f"sum({metric('ready')})")),
        stat(
            "Errors, 1 h",
            units.PercentUnit,
            "Share of the requests for assets with a 5xx response. The objective is 0.1 %.",
            ("", ERROR_RATIO),
            red_from=0.001,
        ),
        stat(
            "Version",
            units.Short,
            "Pods by version.",
            ("{{version}}", f"count by (version) ({metric('build_info')})"),
        ),
    ),
    "Time to final": (
        graph(
            "From mark to final",
            units.Seconds,
            "How long clients wait. Unpinned assets wait until their upload URL has expired.",
            *(
                (f"{kind} p{percent}", finalize_lag(percent / 100, "mark", pinned))
                for kind, pinned in (("pinned", "true"), ("unpinned", "false"))
                for percent in (50, 95)
            ),
        ),
        graph(
            "From due to final",
            units.Seconds,
            "The part that the reconciler adds. The objective is 99 % within 120 s.",
            ("pinned p95", finalize_lag(0.95, "due", "true")),
            ("unpinned p95", finalize_lag(0.95, "due", "false")),
        ),
        graph(
            "Assets",
            units.OpsPerSecond,
            "Assets that the reconciler handled, by outcome.",
            ("{{outcome}}", f"sum by (outcome) (max by (shard, outcome) ({OUTCOMES}))"),
        ),
    ),
    "API": (
        graph(
            "Requests",
            units.RequestsPerSecond,
            "Requests by method, route and status.",
            ("{{method}} {{route}} {{status}}", f"sum by (method, route, status) ({rate('http_requests_total')})"),
        ),
        graph(
            "Latency",
            units.Seconds,
            "Latency of requests for assets.",
            *(
                (f"p{percent}", f"histogram_quantile({percent / 100}, sum by (le) ({REQUEST_SECONDS}))")
                for percent in (50, 95, 99)
            ),
        ),
        graph(
            "In flight",
            units.Short,
            "Requests that the pods are handling.",
            ("{{pod}}", metric("http_requests_in_flight")),
        ),
    ),
    "S3": (
        graph(
            "Requests to S3",
            units.RequestsPerSecond,
            "S3 requests of the API, by operation and outcome.",
            ("{{operation}} {{outcome}}", f"sum by (operation, outcome) ({rate('s3_requests_total')})"),
        ),
        graph(
            "Latency, p95",
            units.Seconds,
            "Latency of S3 requests of the API, retries included.",
            (
                "{{operation}}",
                f"histogram_quantile(0.95, sum by (operation, le) ({rate('s3_request_duration_seconds_bucket')}))",
            ),
        ),
        graph(
            "Failed and retried",
            units.RequestsPerSecond,
            "S3 requests of the API that failed, and S3 requests that were retried.",
            ("failed", f"sum({rate('s3_requests_total', FAILED)}) or vector(0)"),
            ("retried", f"sum({rate('s3_retries_total')})"),
        ),
        graph(
            "Final assets from memory",
            units.PercentUnit,
            "Share of the look-ups that needed no S3 request, because the asset is final and was read before.",
            (
                "",
                f"sum({rate('asset_cache_requests_total', HIT)}) / sum({rate('asset_cache_requests_total')})",
            ),
        ),
    ),
    "Reconciler": (
        graph(
            "Duration of the last run",
            units.Seconds,
            "Duration of the last run by shard, including the time that it watched temp/.",
            ("shard {{shard}}", by_shard("reconciler_last_duration_seconds")),
        ),
        graph(
            "Remaining uploads",
            units.Short,
            "Uploads that the last complete run left in temp/, by reason. It does not read all old ones: postponed.",
            (
                "{{reason}}",
                f"sum by (reason) (max by (shard, reason) ({metric('reconciler_remaining_uploads')}))",
            ),
        ),
        graph(
            "Open uploads in parts",
            units.Short,
            "Multipart uploads that the last hourly scan left: of assets that wait for parts, and of ended assets.",
            (
                "{{asset}}",
                f"sum by (asset) (max by (shard, asset) ({metric('reconciler_open_uploads')}))",
            ),
        ),
        graph(
            "Since the last successful Job",
            units.Seconds,
            "Time since the last successful Job, from kube-state-metrics, which does not depend on shard reports.",
            ("", f"time() - max(kube_cronjob_status_last_successful_time{{{CRONJOB}}})"),
        ),
    ),
}


def build() -> str:
    """Return the dashboard as Grafana's JSON."""
    dashboard = (
        Dashboard("assetuploader RELEASE_NAMESPACE/RELEASE_SERVICE")
        .uid("assetuploader-RELEASE_NAMESPACE")
        .tags(["assetuploader"])
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("1m")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    number = 0
    for title, panels in ROWS.items():
        number += 1
        dashboard.with_row(RowBuilder(title).id(number))
        for panel in panels:
            number += 1
            dashboard.with_panel(panel.id(number).span(GRID_WIDTH // len(panels)))
    return json.dumps(dashboard.build(), cls=JSONEncoder, indent=2) + "\n"


def main() -> int:
    """Write the dashboard, or check it; return the exit code."""
    text = build()
    if sys.argv[1:] == ["--check"]:
        if TARGET.read_text() != text:
            print("charts/assetuploader/files/dashboard.json is out of date: run `make dashboard`", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
