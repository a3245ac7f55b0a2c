"""`make prove`: run the rows, print the table, and write each row into docs/proof.md with the commit it was run on."""

import argparse
import subprocess
import sys
import time
import traceback
from typing import Final

from tests.prove.paper import ROOT, Line, read_paper, write_paper
from tests.prove.row import Outcome, Row, say
from tests.prove.table import ROWS

_SHOWN: Final = 5


def main() -> int:
    """Run what was asked for; 1 when anything is violated."""
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--row", choices=["", *(row.name for row in ROWS)], default="")
    parser.add_argument("--size", default="full", help="full, small, or a number for one row")
    given = parser.parse_args()
    commit = _commit()
    is_whole = True
    for row in ROWS:
        if given.row in {"", row.name}:
            outcome, seconds = _run(row, given.size)
            is_whole = is_whole and not outcome.violations
            for violation in outcome.violations[:_SHOWN]:
                say(f"VIOLATION: {violation}")
            line = Line(row.name, row.claim, outcome.size, len(outcome.violations), round(seconds), commit)
            say(str(line))
            # Row by row: an hour's work is not lost to the last one's failure.
            write_paper([row.name for row in ROWS], read_paper() | {row.name: str(line)})
    for text in read_paper().values():
        sys.stdout.write(text + "\n")
    return 0 if is_whole else 1


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


def _commit() -> str:
    """The commit that is tried, with a plus when the tree differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
        return done.stdout.strip()

    changes = git("status", "--porcelain", "--", ".", ":!docs/proof.md")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changes else "")


if __name__ == "__main__":
    sys.exit(main())
