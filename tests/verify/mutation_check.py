"""Mutation testing of the state machine and of both services by cosmic-ray, on a copy of the source."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.verify.check import CheckOutcome, print_progress
from tests.verify.report import ROOT

_CONFIG: Final = """
[cosmic-ray]
module-path = {modules}
timeout = 60.0
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider -p no:xdist {tests}"
[cosmic-ray.distributor]
name = "local"
"""

_GROUPS: Final = (
    (
        ("state_machine", "keys", "asset_service", "asset_reconciler", "uploads"),
        ("state_machine", "keys", "asset_service", "unreadable_objects"),
    ),
    (
        ("parts", "multipart_service", "open_uploads"),
        ("parts", "multipart_service", "open_uploads", "completion_etags"),
    ),
)
"""Modules that are changed, and their unit tests: all tests of a group run for each of its mutants."""

EQUIVALENT: Final = {
    "if state.status == Status.MARKED and": "a member of an enum is equal only to itself",
    "if state.status != Status.MARKED:": "the same",
    "if upload_etag == NOT_READ:": "the same",
    "if state.status <= Status.MARKED and": "only pending and marked come here, and 'pending' is the greater text",
    "parse_etag(pin) is not pin:": "parse_etag returns its argument itself, or another string",
    "if text[:1] is text[-1:] ==": "one-letter strings are one object in CPython",
    "if action == MarkAction.COMPARE:": "an enum's members are equal only to themselves",
    "if placeholder.state.status == Status.MARKED else None": "the same",
    "if upload.etag == UNREADABLE else": "the same",
    "now: datetime, /, dry_run: bool": "it only allows another spelling of the call",
    "now: datetime, /, size: int": "the same",
    "if placeholder.state.status != Status.PENDING:": "an enum's members are equal only to themselves",
}
"""Mutants that change nothing visible: the changed line, and why."""


def check_mutation(number: int) -> CheckOutcome:
    """Run the unit tests against the mutants of cosmic-ray, and report on the first `number` of them."""
    with tempfile.TemporaryDirectory(prefix="assetuploader-mutants-") as folder:
        for name in ("assetuploader", "tests", "service", "reconciler", "dev"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        lines = []
        for index, (modules, tests) in enumerate(_GROUPS):
            (Path(folder) / "config.toml").write_text(_config(modules, tests))
            session = f"session-{index}.sqlite"
            _cosmic_ray(folder, "init", "config.toml", session)
            print_progress(f"cosmic-ray runs the unit tests once for each mutant of {', '.join(modules)}")
            _cosmic_ray(folder, "exec", "config.toml", session)
            lines += _cosmic_ray(folder, "dump", session).splitlines()
    survivors, killed, equivalent = [], 0, 0
    for line in lines[:number]:
        item, result = json.loads(line)
        if result is not None and result["test_outcome"] == "killed":
            killed += 1
            continue
        diff = (result or {}).get("diff", "").splitlines()
        added = " ".join(line[1:].strip() for line in diff if line.startswith("+") and not line.startswith("+++"))
        if any(known in added for known in EQUIVALENT):
            equivalent += 1
        else:
            survivors.append(f"{item['mutations'][0]['operator_name']}: {added}")
    total = killed + equivalent + len(survivors)
    names = ", ".join(f"{name}.py" for modules, _ in _GROUPS for name in modules)
    size = f"{total:,} mutants of {names}, {killed:,} killed, {equivalent} equivalent"
    return CheckOutcome(size, survivors)


def _config(modules: Sequence[str], tests: Sequence[str]) -> str:
    paths = json.dumps([f"assetuploader/{name}.py" for name in modules])
    files = " ".join(f"tests/unit/assetuploader/test_{name}.py" for name in tests)
    return _CONFIG.format(python=sys.executable, modules=paths, tests=files)


def _cosmic_ray(folder: str, *arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "cosmic-ray"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603 -- our own tool
    return done.stdout
