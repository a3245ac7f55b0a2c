"""The chart as `helm template` renders it, parsed. No cluster."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

CHART: Final = Path(__file__).parents[2] / "charts" / "assetuploader"
MINIMAL: Final = {"aws": {"region": "eu-west-1", "bucket": "example-assets"}}

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Manifest]]
Refuse = Callable[[Mapping[str, Any]], str]


@pytest.fixture(scope="session")
def chart() -> Path:
    """Where the chart is."""
    return CHART


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Run helm, the one of the environment."""
    program = shutil.which("helm", path=f"{Path(sys.executable).parent}")
    assert program, "helm is in the dev dependencies: run `make .venv/.ready`"

    def run(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        stdin = yaml.safe_dump(dict(values)) if values is not None else ""
        command = [program, *arguments, *(["-f", "-"] if values is not None else [])]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """Render the chart with a values file of ci/, or with values on top of the fewest possible; fails if refused."""

    def run(values: Mapping[str, Any] | str, release: str = "assets", at: Path = CHART) -> list[Manifest]:
        command = ["template", release, str(at), "--namespace", "assets"]
        if isinstance(values, str):
            done = helm(*command, "-f", str(CHART / "ci" / values))
        else:
            done = helm(*command, "--set", "aws.region=eu-west-1,aws.bucket=example-assets", values=values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return run


@pytest.fixture(scope="session")
def refuse(helm: Helm) -> Refuse:
    """What helm says to values that it must refuse."""

    def run(values: Mapping[str, Any]) -> str:
        done = helm("template", "assets", str(CHART), values=values)
        assert done.returncode != 0, "helm took these values"
        return done.stderr

    return run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `ci_values` runs once for each file of ci/."""
    if "ci_values" in metafunc.fixturenames:
        metafunc.parametrize("ci_values", sorted(path.name for path in (CHART / "ci").glob("*-values.yaml")))
