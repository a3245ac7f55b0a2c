"""pyproject.toml holds the version; every other place that repeats it agrees. `make version` changes them together."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Final

import yaml

from tools.release_notes import project_version

ROOT: Final = Path(__file__).parents[2]


def test_the_chart_has_the_projects_version() -> None:
    """Chart.yaml names it twice: the chart's own version, and the image tag that the chart installs by default."""
    expected = project_version((ROOT / "pyproject.toml").read_text())
    chart = yaml.safe_load((ROOT / "charts" / "assetuploader" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (expected, expected)


def test_the_installed_program_has_the_projects_version() -> None:
    """The programs read their version from the installed package's metadata."""
    assert version("assetuploader") == project_version((ROOT / "pyproject.toml").read_text())


def test_make_and_the_image_use_the_same_uv() -> None:
    """The Makefile and the Dockerfile both install uv, and both read the same lock file."""
    declared = re.compile(r"UV_VERSION(?: := |=)([0-9.]+)$", re.MULTILINE)
    found = {name: declared.findall((ROOT / name).read_text()) for name in ("Makefile", "Dockerfile")}
    assert len(found["Makefile"]) == 1
    assert found["Makefile"] == found["Dockerfile"]
