"""Ordinary mutation testing of the pure decisions, by cosmic-ray, on a copy of the source."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.prove.row import Outcome, say

ROOT: Final = Path(__file__).parents[2]
_CONFIG: Final = """
[cosmic-ray]
module-path = "assetstore/protocol.py"
timeout = 60.0
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider -p no:xdist tests/unit/test_protocol.py"
[cosmic-ray.distributor]
name = "local"
"""

EQUIVALENT: Final = {
    "if state.status == Status.MARKED and": "an enum's members are equal only to themselves",
    "if state.status is Status.MARKED and": "the same the other way round",
    "parse_etag(pin) is not pin": "parse_etag answers its argument itself, or another text",
    "text[:1] is text[-1:] ==": "one-letter strings are one object in CPython",
}
"""Mutants that change nothing anyone could see, by the line they make, and why."""


def mutation(number: int) -> Outcome:
    """Every mutant that cosmic-ray makes, or the first so many."""
    with tempfile.TemporaryDirectory(prefix="assetuploader-mutants-") as folder:
        for name in ("assetstore", "tests", "service", "reconciler", "cli"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        (Path(folder) / "config.toml").write_text(_CONFIG.format(python=sys.executable))
        _cosmic_ray(folder, "init", "config.toml", "session.sqlite")
        say("cosmic-ray runs the unit tests once for each mutant")
        _cosmic_ray(folder, "exec", "config.toml", "session.sqlite")
        dump = _cosmic_ray(folder, "dump", "session.sqlite")
    survivors, killed = [], 0
    for line in dump.splitlines()[:number]:
        item, result = json.loads(line)
        if result is not None and result["test_outcome"] == "killed":
            killed += 1
            continue
        change = [text for text in (result or {}).get("diff", "").splitlines() if text.startswith(("+ ", "- "))]
        told = f"{item['mutations'][0]['operator_name']}: {' -> '.join(change)}"
        if not any(known in told for known in EQUIVALENT):
            survivors.append(told)
    return Outcome(f"{killed + len(survivors):,} mutants of protocol.py, {killed:,} killed", survivors)


def _cosmic_ray(folder: str, *arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "cosmic-ray"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603 -- our own tool
    return done.stdout
