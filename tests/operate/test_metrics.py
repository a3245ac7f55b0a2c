"""The metrics that Prometheus scrapes from a running service, and their documentation."""

import re
import subprocess
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from tests.operate.conftest import FinalizedAssets

DOCS: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
SUFFIXES: Final = {"counter": "_total", "gauge": "", "histogram": ""}

Described = tuple[str, frozenset[str]]


def documented() -> dict[str, Described]:
    """Return the type and labels of each metric in the table, by name."""
    rows = re.findall(r"^\| `(assetuploader_\w+)` \| (\w+) \|([^|]*)\|", DOCS.read_text(), re.MULTILINE)
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def scraped(text: str) -> dict[str, Described]:
    """Return the type and labels of each exported metric, by name."""
    found: dict[str, Described] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("assetuploader_"):
            labels = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
            found[family.name + SUFFIXES[family.type]] = (family.type, labels)
    return found


def test_the_docs_list_every_metric_and_no_other(finalized_assets: FinalizedAssets) -> None:
    """docs/metrics.md lists name, type and labels of each metric of a running service, and no other."""
    # next_due is absent when nothing is due, as it is here: its own test has it
    expected = documented()
    assert expected.pop("assetuploader_reconciler_next_due_timestamp_seconds") == ("gauge", frozenset({"shard"}))
    found = scraped(finalized_assets.product.metrics())
    assert found.pop("assetuploader_reconciler_next_due_timestamp_seconds") == ("gauge", frozenset())
    assert found == expected


def test_promtool_accepts_the_metrics(finalized_assets: FinalizedAssets, promtool: str) -> None:
    """Names, units, types and help texts pass Prometheus' own linter."""
    checked = subprocess.run(  # noqa: S603 -- Prometheus' tool
        [promtool, "check", "metrics"],
        input=finalized_assets.product.metrics(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_no_label_contains_client_input(finalized_assets: FinalizedAssets) -> None:
    """An id, a path or a method that a client invents never becomes a series: their number is bounded."""
    product = finalized_assets.product
    product.http.request("BREW", f"{product.url}/asset/{finalized_assets.pinned.asset_id}")
    product.http.request("GET", f"{product.url}/asset/{finalized_assets.pinned.asset_id}/../x?y=z")
    text = product.metrics()
    assert finalized_assets.pinned.asset_id not in text
    routes = set(re.findall(r'route="([^"]*)"', text))
    assert routes <= {"/asset", "/asset/{id}", "/healthcheck", "unmatched"}
    assert "BREW" not in text


def test_latencies_of_pinned_and_unpinned_assets_are_separate(finalized_assets: FinalizedAssets) -> None:
    """The time to final can be queried for pinned and unpinned assets, from the mark and from the due time."""
    text = finalized_assets.product.metrics()
    for pinned in ("true", "false"):
        for since in ("mark", "due"):
            assert f'finalize_lag_seconds_count{{pinned="{pinned}",shard="0",since="{since}"}} 1.0' in text
