"""The site of docs/: it builds without a warning, and generated pages are up to date."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.config_page import build_config_page

ROOT: Final = Path(__file__).parents[2]


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Every page is in the navigation, every link and anchor leads somewhere, and nothing is fetched from elsewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]*)"', page.read_text())
        assert fetched == [], page


def test_the_cost_of_parts_is_what_the_command_counts() -> None:
    """docs/operations.md has what `make parts-cost` prints."""
    command = [sys.executable, "-m", "bench.parts_cost"]
    counted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert counted.returncode == 0, counted.stderr
    assert counted.stdout in (ROOT / "docs" / "operations.md").read_text()


def test_the_configuration_page_is_up_to_date() -> None:
    """docs/configuration.md is what `make docs-config` writes."""
    assert (ROOT / "docs" / "configuration.md").read_text() == build_config_page()
