"""`make verify`: run the checks, and write each result into docs/verification.md with the commit."""

import argparse
import subprocess
import sys
import time
import traceback
from typing import Final

from tests.verify.check import Check, CheckOutcome, print_progress
from tests.verify.checks import CHECKS
from tests.verify.report import ROOT, Line, read_report, write_report

_MAX_PRINTED_VIOLATIONS: Final = 5


def main() -> int:
    """Run the checks of the command line; return 1 when there is a violation."""
    parser = argparse.ArgumentParser(prog="make verify", description=__doc__)
    parser.add_argument("--check", choices=["", *(check.name for check in CHECKS)], default="")
    parser.add_argument("--size", default="full", help="full, small, or a number for one check")
    args = parser.parse_args()
    commit = _commit()
    holds = True
    for check in CHECKS:
        if args.check in {"", check.name}:
            outcome, seconds = _run(check, args.size)
            holds = holds and not outcome.violations
            for violation in outcome.violations[:_MAX_PRINTED_VIOLATIONS]:
                print_progress(f"VIOLATION: {violation}")
            line = Line(check.name, check.statement, outcome.size, len(outcome.violations), round(seconds), commit)
            print_progress(str(line))
            # After each check, so that a later failure loses nothing.
            write_report([check.name for check in CHECKS], read_report() | {check.name: str(line)})
    for text in read_report().values():
        sys.stdout.write(text + "\n")
    return 0 if holds else 1


def _run(check: Check, size: str) -> tuple[CheckOutcome, float]:
    number = {"full": check.size, "small": check.small}.get(size) or int(size)
    print_progress(f"{check.name}: {check.statement}")
    started = time.monotonic()
    try:
        outcome = check.run(number)
    except Exception as error:  # noqa: BLE001 -- a check that cannot run shows nothing
        traceback.print_exc()
        outcome = CheckOutcome("not finished", [f"{type(error).__name__}: {error}"])
    return outcome, time.monotonic() - started


def _commit() -> str:
    """Return the commit, with a plus if the work tree differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
        return done.stdout.strip()

    changes = git("status", "--porcelain", "--", ".", ":!docs/verification.md")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changes else "")


if __name__ == "__main__":
    sys.exit(main())
