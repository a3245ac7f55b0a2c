"""The paths and commands that CONTRIBUTING.md and docs/releasing.md name exist."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ("CONTRIBUTING.md", "docs/releasing.md")


def test_every_folder_and_file_that_contributing_names_exists() -> None:
    """A name in backticks with a slash is a path in the repository."""
    named = set(re.findall(r"`([\w.]+/[\w./-]*)`", (ROOT / "CONTRIBUTING.md").read_text()))
    named -= {".cache/", ".venv/"}
    assert {path for path in named if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    """The pages name commands that `make help` lists."""
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z0-9-]+)", (ROOT / page).read_text(), re.MULTILINE))
    assert named
    assert named - targets == set()
