"""Fixtures that render the chart with `helm template`. They need no cluster."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

CHART: Final = Path(__file__).parents[2] / "charts" / "assetuploader"

Manifest = dict[str, Any]


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, as server-side apply does; PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Return the mapping, or fail if a key is there twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{twice}: twice in one mapping{node.start_mark}"
        return super().construct_mapping(node, deep)


Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Manifest]]
Refuse = Callable[[Mapping[str, Any]], str]


@pytest.fixture(scope="session")
def chart() -> Path:
    """Return the folder of the chart."""
    return CHART


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Return a function that runs the helm of this virtual environment."""
    program = shutil.which("helm", path=f"{Path(sys.executable).parent}")
    assert program, "helm is in the dev dependencies: run `make .venv/.ready`"

    def run(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        stdin = yaml.safe_dump(dict(values)) if values is not None else ""
        command = [program, *arguments, *(["-f", "-"] if values is not None else [])]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """Return a function that renders the chart with a file of ci/, or with values added to the required ones."""

    def run(values: Mapping[str, Any] | str, release: str = "assets", at: Path = CHART) -> list[Manifest]:
        command = ["template", release, str(at), "--namespace", "assets"]
        if isinstance(values, str):
            done = helm(*command, "-f", str(CHART / "ci" / values))
        else:
            done = helm(*command, "--set", "aws.region=eu-west-1,aws.bucket=example-assets", values=values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.load_all(done.stdout, StrictLoader) if document]

    return run


@pytest.fixture(scope="session")
def refuse(helm: Helm) -> Refuse:
    """Return a function that returns helm's error for values that it must reject."""

    def run(values: Mapping[str, Any]) -> str:
        done = helm("template", "assets", str(CHART), values=values)
        assert done.returncode != 0, "helm accepted these values"
        return done.stderr

    return run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the argument `ci_values` once per file of ci/."""
    if "ci_values" in metafunc.fixturenames:
        metafunc.parametrize("ci_values", sorted(path.name for path in (CHART / "ci").glob("*-values.yaml")))
