"""The alerts: promtool tests a firing and a silent case of each, and each has a section in the runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.operate.alert_cases import CASES, Series

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "charts" / "assetuploader" / "files" / "alerts.yaml"


def alerts() -> dict[str, Any]:
    """Return the chart's alerts by name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_promtool_accepts_the_rules(promtool: str) -> None:
    """`promtool check rules` reports no error."""
    checked = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)  # noqa: S603
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_has_cases_and_a_section_in_the_runbook() -> None:
    """Each alert has test cases and a section in docs/runbook.md, in the same order."""
    sections = re.findall(r"^## (Assetuploader\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert set(CASES) == set(alerts())
    assert sections == list(alerts())
    for name, alert in alerts().items():
        assert alert["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"


@pytest.mark.parametrize("name", CASES)
def test_the_alert_fires_in_its_case_only(name: str, promtool: str, tmp_path: Path) -> None:
    """The alert fires with the firing series, and not with the similar silent ones."""
    case, alert = CASES[name], alerts()[name]
    fires = [{"exp_labels": alert["labels"], "exp_annotations": alert["annotations"]}]
    cases = [_case(name, case.minutes, case.firing, fires), _case(name, case.minutes, case.silent, [])]
    path = tmp_path / "test.json"  # JSON is YAML
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": cases}))
    tested = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)  # noqa: S603
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _case(name: str, minutes: int, series: Series, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": expected}],
    }
