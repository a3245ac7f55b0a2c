"""What the image's build deletes is not needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import kubernetes

ROOT: Final = Path(__file__).parents[2]
EVENT_TESTS: Final = "tests/unit/reconciler/test_events.py"


def test_events_are_posted_without_the_deleted_modules(tmp_path: Path) -> None:
    """The tests of Events pass with a kubernetes client from which the build's script has deleted most modules."""
    package = tmp_path / "kubernetes"
    shutil.copytree(Path(kubernetes.__file__).parent, package, ignore=shutil.ignore_patterns("aio", "__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    before = len(list(package.rglob("*.py")))
    for command in (
        [ROOT / "tools" / "prune_kubernetes.py"],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", EVENT_TESTS],
    ):
        done = subprocess.run(  # noqa: S603
            [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(package.rglob("*.py"))) < before / 2
