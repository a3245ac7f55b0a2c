"""The site of docs/: it builds without a warning, and what is made from code is what the code would make."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.config_page import settings_page

ROOT: Final = Path(__file__).parents[2]


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Every page is in the navigation, every link and anchor leads somewhere, and nothing is fetched from elsewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]*)"', page.read_text())
        assert fetched == [], page


def test_the_settings_page_is_what_the_code_says() -> None:
    """docs/configuration.md has each variable, its default, range and meaning as the model has them."""
    assert (ROOT / "docs" / "configuration.md").read_text() == settings_page()
