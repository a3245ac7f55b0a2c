"""`make prove`: run the rows, print the table, and write it to docs/proof.md when all of them were run."""

import argparse
import os
import platform
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Final

from tests.prove.row import Outcome, Row, say
from tests.prove.table import ROWS

_PROOF: Final = Path(__file__).parents[2] / "docs" / "proof.md"
_HEAD: Final = """# Proof

Written by `make prove`. Each row is a claim of DESIGN.md's, tried in that many cases; `make prove ROW=name` runs one.

Commit {commit} · Python {python} · {cores} cores · sizes: {sizes}

| test | claim | size | violations | seconds |
|---|---|---|---|---|
"""


def main() -> int:
    """Run what was asked for; 1 when anything is violated."""
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--row", choices=["", *(row.name for row in ROWS)], default="")
    parser.add_argument("--size", default="full", help="full, small, or a number for one row")
    given = parser.parse_args()
    lines, violations = [], 0
    for row in ROWS:
        if given.row in {"", row.name}:
            outcome, seconds = _run(row, given.size)
            violations += len(outcome.violations)
            for violation in outcome.violations[:5]:
                say(f"VIOLATION: {violation}")
            lines.append(f"| {row.name} | {row.claim} | {outcome.size} | {len(outcome.violations)} | {seconds:.0f} |")
            say(lines[-1])
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)  # noqa: S607
    head = _HEAD.format(
        commit=commit.stdout.strip(), python=platform.python_version(), cores=os.cpu_count(), sizes=given.size
    )
    proof = head + "\n".join(lines) + "\n"
    sys.stdout.write(proof)
    if not given.row:
        _PROOF.parent.mkdir(exist_ok=True)
        _PROOF.write_text(proof)
    return 1 if violations else 0


def _run(row: Row, size: str) -> tuple[Outcome, float]:
    number = {"full": row.size, "small": row.small}.get(size) or int(size)
    say(f"{row.name}: {row.claim}")
    started = time.monotonic()
    try:
        outcome = row.run(number)
    except Exception as error:  # noqa: BLE001 -- a row that cannot be run proves nothing
        traceback.print_exc()
        outcome = Outcome("not finished", [f"{type(error).__name__}: {error}"])
    return outcome, time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
