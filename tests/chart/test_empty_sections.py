"""A value that is not there has its default, and the chart works within an umbrella chart."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.chart.conftest import CHART

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
AWS: Final = {"region": "eu-west-1", "bucket": "example-assets"}
OPEN: Final = {"resources", "labels", "podSecurityContext"}
"""Sections whose keys are the user's: null removes a key of them, here as in every chart."""


def _sections(values: Manifest, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every section of values.yaml, the nested ones too."""
    for key, inner in values.items():
        if isinstance(inner, dict):
            yield (*path, key)
            if key not in OPEN:
                yield from _sections(inner, (*path, key))


def _all_null(values: Manifest) -> Manifest:
    """Return the values with null in place of every leaf."""
    return {
        key: _all_null(inner) if isinstance(inner, dict) and inner and key not in OPEN else None
        for key, inner in values.items()
    }


DEFAULTS: Final[Manifest] = yaml.safe_load((CHART / "values.yaml").read_text())
SECTIONS: Final = [".".join(path) for path in _sections(DEFAULTS)]


@pytest.mark.parametrize("section", [section for section in SECTIONS if section != "aws"])
def test_an_empty_section_is_its_default(section: str, render: Render) -> None:
    """`service:` with nothing below it is null, and removes the section from the values."""
    value: Any = None
    for key in reversed(section.split(".")):
        value = {key: value}
    assert render(value) == render({})


def test_an_empty_aws_section_is_refused_with_what_it_lacks(refuse: Callable[[Manifest], str]) -> None:
    """The region and the bucket have no defaults."""
    assert "aws.region is required" in refuse({"aws": None})


def test_an_empty_value_is_its_default(render: Render) -> None:
    """`drainSeconds:` with nothing after it is 5 s, not 0."""
    assert render(_all_null(DEFAULTS)) == render({})


@pytest.fixture
def umbrella(tmp_path: Path) -> Path:
    """Return a chart that depends on this one, under a condition and with tags."""
    shutil.copytree(CHART, tmp_path / "charts" / "assetuploader")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    dependency = {"name": "assetuploader", "version": version, "condition": "assetuploader.enabled", "tags": ["assets"]}
    about = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(about))
    return tmp_path


def _render_umbrella(helm: Callable[..., Any], umbrella: Path, values: Manifest) -> list[Manifest]:
    done = helm("template", "assets", str(umbrella), "--namespace", "assets", values=values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def test_an_umbrella_chart_turns_the_chart_on_and_off(helm: Callable[..., Any], umbrella: Path, render: Render) -> None:
    """The schema lets the condition, the tags and the global values of the parent pass."""
    parent = {"global": {"team": "a"}, "tags": {"assets": True}}
    own = {"aws": AWS, "tags": {"x": True}}
    on = _render_umbrella(helm, umbrella, parent | {"assetuploader": own | {"enabled": True}})
    assert sorted(map(str, on)) == sorted(map(str, render({})))
    assert _render_umbrella(helm, umbrella, parent | {"assetuploader": own | {"enabled": False}}) == []


def test_an_empty_section_of_an_umbrella_chart_is_its_default(
    helm: Callable[..., Any], umbrella: Path, render: Render
) -> None:
    """A subchart's empty sections, all at once."""
    empty = {section: None for section in SECTIONS if "." not in section} | {"aws": AWS}
    assert len(_render_umbrella(helm, umbrella, {"assetuploader": empty})) == len(render({}))
