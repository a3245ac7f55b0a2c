"""The site of docs/: it builds without a warning, and what is made from code is what the code would make."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from cli.settings_page import settings_page
from service.problems import INTERNAL, PROBLEMS

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


def test_the_readme_has_the_same_table_of_settings() -> None:
    """Whoever reads only README.md reads the same."""
    rows = [line for line in settings_page().splitlines() if line.startswith("|")]

    assert "\n".join(rows) in (ROOT / "README.md").read_text()


def test_the_api_page_tells_every_code() -> None:
    """Each code that the API's own routes can answer stands in docs/api.md, with its status."""
    page = (ROOT / "docs" / "api.md").read_text()
    told: set[tuple[str, str]] = set()
    for codes, status in re.findall(r"^\| (`[^|]*`) \| (\d{3}) \|", page, re.MULTILINE):
        told |= {(code, status) for code in re.findall(r"`(\w+)`", codes)}
    known = {(problem.code, str(problem.status)) for problem in PROBLEMS.values()}
    transport = {("method_not_allowed", "405"), ("not_found", "404"), ("bad_request", "408")}
    assert told == known - transport
    assert (INTERNAL.code, str(INTERNAL.status)) not in told
