"""`python3 -m tools.release_notes TAG`: print the CHANGELOG's section of a release.

Needs only the standard library, because the release workflow runs it before anything is installed.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


class ReleaseError(Exception):
    """The tag, the project's version and the CHANGELOG disagree."""


def project_version(pyproject: str) -> str:
    """Return the version that pyproject.toml declares."""
    version: str = tomllib.loads(pyproject)["project"]["version"]
    return version


def release_notes(tag: str, version: str, changelog: str) -> str:
    """Return the text below the CHANGELOG's heading of this version.

    Raises:
        ReleaseError: The tag is not `v` and the version, or the CHANGELOG has no text for the version.
    """
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, but pyproject.toml declares version {version}: they must agree")
    pattern = rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|^\[[^\]]+\]: |\Z)"
    section = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no section for version {version}: write one")
    return section[1].strip() + "\n"


def main() -> None:
    """Print the notes of the tag in the first argument, or exit with 1 and a message."""
    version = project_version((ROOT / "pyproject.toml").read_text())
    try:
        notes = release_notes(sys.argv[1], version, (ROOT / "CHANGELOG.md").read_text())
    except ReleaseError as error:
        sys.exit(f"release_notes: {error}")
    sys.stdout.write(notes)


if __name__ == "__main__":
    main()
