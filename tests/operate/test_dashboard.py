"""The dashboard: Grafana's schema takes it, and a real Prometheus that scraped a real run answers its queries."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.operate.conftest import Lived
from tests.operate.product import await_until
from tests.operate.prometheus import Prometheus, of_this_release, running_prometheus

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "charts" / "assetuploader" / "files" / "dashboard.json"


def queries() -> dict[str, str]:
    """Every query by panel and letter, as Grafana would send it to the Prometheus of the tests."""
    dashboard = json.loads(of_this_release(FILE.read_text()))
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "30s")
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    }


def test_the_dashboard_is_what_its_script_makes() -> None:
    """Nobody has edited one without the other."""
    command = [sys.executable, str(ROOT / "charts" / "dashboard.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert (checked.returncode, checked.stderr) == (0, "")


def test_grafanas_schema_takes_every_member() -> None:
    """Read into Grafana's own types and written again, nothing of the dashboard is lost."""
    ours: dict[str, Any] = json.loads(FILE.read_text())
    theirs = json.loads(json.dumps(Dashboard.from_json(ours), cls=JSONEncoder))
    assert _missing(ours, theirs) == []


def _missing(ours: Any, theirs: Any, path: str = "") -> list[str]:  # noqa: ANN401 -- JSON
    if isinstance(ours, dict):
        lost = [f"{path}.{name}" for name in ours if name not in theirs]
        return lost + [
            found
            for name in ours.keys() & theirs.keys()
            for found in _missing(ours[name], theirs[name], f"{path}.{name}")
        ]
    if isinstance(ours, list):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [found for number, (mine, other) in pairs for found in _missing(mine, other, f"{path}[{number}]")]
    return [] if ours == theirs else [f"{path}: {ours!r} became {theirs!r}"]


@pytest.fixture(scope="module")
def prometheus(lived: Lived) -> Iterator[Prometheus]:
    """A Prometheus that has scraped a product, through which assets went, more than twice."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    with running_prometheus(lived.product) as running:
        count = "sum(count_over_time(up[1m]))"
        await_until("it has scraped three times", lambda: running.value(count) >= 3)
        yield running


@pytest.mark.parametrize("name", queries())
def test_every_query_is_answered(name: str, prometheus: Prometheus) -> None:
    """A panel shows something: of a product that has lived each query finds series, but for kube-state-metrics'."""
    found = prometheus.ask("query", {"query": queries()[name]})["result"]
    assert bool(found) == ("kube_" not in queries()[name])


def test_every_rule_is_healthy_and_none_fires_on_a_healthy_product(prometheus: Prometheus) -> None:
    """A real Prometheus evaluates all rules without an error; after a life as it should be no alert is pending."""

    def evaluated() -> list[dict[str, Any]] | None:
        rules = [rule for group in prometheus.ask("rules", {})["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = await_until("all rules are evaluated", evaluated)
    assert len(rules) == 27
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule.get("alerts")] == []
