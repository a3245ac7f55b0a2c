"""docs/proof.md: one line for each row, as it was last run."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_PAPER: Final = ROOT / "docs" / "proof.md"
_HEAD: Final = """# Proof

Written by `make prove`, each row when it was last run. A row is a claim, tried in that many cases;
`make prove ROW=name` runs one, `SIZE=small` less of it, `SIZE=number` as much as you like.

Last run with Python {python} on {cores} cores.

| test | claim | size | violations | seconds | commit |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table, run."""

    name: str
    claim: str
    size: str
    violations: int
    seconds: int
    commit: str

    def __str__(self) -> str:
        return f"| {self.name} | {self.claim} | {self.size} | {self.violations} | {self.seconds} | {self.commit} |"


def read_paper() -> dict[str, str]:
    """The lines as they stand, by name."""
    if not _PAPER.exists():
        return {}
    lines = [line for line in _PAPER.read_text().splitlines() if line.startswith("| ") and " | " in line]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines[1:]}


def write_paper(names: Sequence[str], lines: Mapping[str, str]) -> None:
    """Write the lines, in this order."""
    head = _HEAD.format(python=platform.python_version(), cores=os.cpu_count())
    _PAPER.parent.mkdir(exist_ok=True)
    _PAPER.write_text(head + "".join(lines[name] + "\n" for name in names if name in lines))
