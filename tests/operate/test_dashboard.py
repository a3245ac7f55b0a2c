"""The Grafana dashboard: its units, its layout, and its queries on a real Prometheus that scraped a real service."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from grafana_foundation_sdk.models import units

from tests.operate.conftest import FinalizedAssets
from tests.support.product import await_until
from tests.support.prometheus import Prometheus, replace_release_names, running_prometheus

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "charts" / "assetuploader" / "files" / "dashboard.json"


def queries() -> dict[str, str]:
    """Return every query by panel and letter, as Grafana would send it to the Prometheus of the tests."""
    dashboard = json.loads(replace_release_names(FILE.read_text()))
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "30s")
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    }


def test_the_dashboard_is_up_to_date() -> None:
    """dashboard.json is what charts/dashboard.py writes."""
    command = [sys.executable, str(ROOT / "charts" / "dashboard.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- own script
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_panel_has_the_unit_of_its_query() -> None:
    """Durations are in seconds, counters are rates per second, shares are percentages, and all else is a number."""
    for panel in json.loads(FILE.read_text())["panels"]:
        for target in panel.get("targets", []):
            unit = panel["fieldConfig"]["defaults"]["unit"]
            assert unit in _units_of(target["expr"]), panel["title"]


def _units_of(expression: str) -> set[str]:
    if "_seconds" in expression or "time()" in expression:
        return {units.Seconds}
    if " / " in expression:
        return {units.PercentUnit}
    if "rate(" in expression:
        return {units.OpsPerSecond, units.RequestsPerSecond}
    return {units.Short}


def test_the_panels_fill_each_line_of_the_grid() -> None:
    """The panels next to each other have one height, do not overlap, and are as wide as the grid."""
    lines: dict[int, list[dict[str, int]]] = {}
    for panel in json.loads(FILE.read_text())["panels"]:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])
    bottom = 0
    for y, places in sorted(lines.items()):
        assert y == bottom
        assert [place["x"] for place in places] == [sum(p["w"] for p in places[:n]) for n in range(len(places))]
        assert sum(place["w"] for place in places) == 24
        [height] = {place["h"] for place in places}
        bottom += height


@pytest.fixture(scope="module")
def prometheus(finalized_assets: FinalizedAssets) -> Iterator[Prometheus]:
    """Run a Prometheus until it has scraped a service with finished assets three times."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    with running_prometheus(finalized_assets.product) as running:
        count = "sum(count_over_time(up[1m]))"
        await_until("it has scraped three times", lambda: running.value(count) >= 3)
        yield running


@pytest.mark.parametrize("name", queries())
def test_every_query_has_a_result(name: str, prometheus: Prometheus) -> None:
    """Each query finds series, except those of kube-state-metrics, which does not run here."""
    found = prometheus.query_api("query", {"query": queries()[name]})["result"]
    assert bool(found) == ("kube_" not in queries()[name])


def test_every_rule_evaluates_and_no_alert_fires_on_a_healthy_service(prometheus: Prometheus) -> None:
    """A real Prometheus evaluates all rules without errors, and no alert is pending."""

    def evaluated() -> list[dict[str, Any]] | None:
        rules = [rule for group in prometheus.query_api("rules", {})["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = await_until("all rules are evaluated", evaluated)
    assert len(rules) == 30
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule.get("alerts")] == []
