"""docs/verification.md: one line for each check, as it was last run."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_REPORT: Final = ROOT / "docs" / "verification.md"
_HEAD: Final = """# Verification results

`make verify` writes this page, each line when its check was last run. `make verify CHECK=name` runs one check,
`SIZE=small` runs fewer cases, `SIZE=number` as many as you like.

Last run with Python {python} on {cores} cores.

| check | shows that | size | violations | seconds | commit |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report."""

    name: str
    statement: str
    size: str
    violations: int
    seconds: int
    commit: str

    def __str__(self) -> str:
        return f"| {self.name} | {self.statement} | {self.size} | {self.violations} | {self.seconds} | {self.commit} |"


def read_report() -> dict[str, str]:
    """Return the current lines, by the name of their check."""
    if not _REPORT.exists():
        return {}
    lines = [line for line in _REPORT.read_text().splitlines() if line.startswith("| ") and " | " in line]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines[1:]}


def write_report(names: Sequence[str], lines: Mapping[str, str]) -> None:
    """Write the lines in this order."""
    head = _HEAD.format(python=platform.python_version(), cores=os.cpu_count())
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_text(head + "".join(lines[name] + "\n" for name in names if name in lines))
