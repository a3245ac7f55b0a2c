"""The objects in the commands that README, docs and NOTES print exist in a release of that name."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.printed_commands import ROOT, parse_notes, read_commands

PAGES: Final = (
    "README.md",
    "charts/assetuploader/README.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
)
KINDS: Final = {
    "cronjob": "CronJob",
    "deploy": "Deployment",
    "deployment": "Deployment",
    "pod": "Pod",
    "service": "Service",
}
"""kubectl's words for the kinds that the pages name."""
OTHERS: Final = {("ingress-nginx", "Service", "ingress-nginx-controller")}
"""Objects of minikube's addon."""
Render = Callable[..., list[Any]]
Named = tuple[str, str, str]


def _named_objects(command: str) -> Iterator[Named]:
    """Yield namespace, kind and name of each object that a line of kubectl names."""
    namespace = re.search(r" -n (\S+)", command)
    for kind, name in re.findall(rf"\b({'|'.join(KINDS)})(?:/| )([a-z][a-z0-9-]*)", command):
        yield namespace[1] if namespace else "", KINDS[kind], name


def _kubectl_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if "kubectl " in line]


def _rendered(manifests: list[Any], namespace: str) -> set[Named]:
    return {(namespace, manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}


def _labels(manifests: list[Any]) -> set[str]:
    """Return all labels, as key=value, of the objects and of their pods."""
    found: set[str] = set()
    for manifest in manifests:
        template = manifest.get("spec", {}).get("template", {})
        job = manifest.get("spec", {}).get("jobTemplate", {}).get("spec", {}).get("template", {})
        for labelled in (manifest, template, job):
            found |= {f"{key}={value}" for key, value in labelled.get("metadata", {}).get("labels", {}).items()}
    return found


def test_every_object_that_a_page_names_exists(render: Render) -> None:
    """The pages are about the release `assets` in the namespace `assets`, with the values for trials."""
    manifests = render("minikube-values.yaml")
    lines = {line for page in PAGES for command in read_commands(page) for line in _kubectl_lines(command.text)}
    named = {found for line in lines for found in _named_objects(line)}
    assert ("assets", "CronJob", "assets-assetuploader-reconciler") in named
    assert named - OTHERS - _rendered(manifests, "assets") == set()
    selected = {label for line in lines for label in re.findall(r" -l (\S+)", line)}
    assert len(selected) >= 3
    assert selected - _labels(manifests) == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_command_on_a_cluster_names_namespace_and_release(page: str) -> None:
    """Each command of kubectl and helm is about `assets`, in every namespace, or about none: never about NS or REL."""
    text = (ROOT / page).read_text()
    assert re.findall(r"\b(?:NS|REL|RELEASE)\b", text) == []
    for command in read_commands(page):
        for line in command.text.replace("\\\n", " ").splitlines():
            if "…" not in line and re.match(r"(kubectl|helm (install|upgrade|test|uninstall|rollback|get)) ", line):
                assert re.search(r" -n \S| --all-namespaces| namespace assets| --local |create -f -", line), line


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_no_command_has_a_comment_behind_it(page: str) -> None:
    """A pasted comment is arguments in zsh, the shell of macOS, unless interactive_comments is set."""
    lines = [line for command in read_commands(page) for line in command.text.splitlines()]
    assert [line for line in lines if re.search(r"\s#\s", line)] == []


@pytest.mark.parametrize(
    ("release", "values"),
    [
        ("assets", {}),
        ("assetuploader", {}),
        ("a-release-with-quite-a-long-name-of-its-own", {"reconciler": {"suspend": True}}),
        ("one", {"fullnameOverride": "two", "service": {"port": 8000}}),
        ("hosts", {"ingress": {"enabled": True, "hosts": ["assets.example.com"]}}),
    ],
)
def test_the_notes_name_objects_of_the_release(
    render: Render, chart: Path, tmp_path: Path, release: str, values: dict[str, Any]
) -> None:
    """The printed commands fit the release's name and values, and no port-forward listens on a port that needs root."""
    trial = {"aws": {"accessKeyId": "trial", "secretAccessKey": "trial"}, "seaweedfs": {"enabled": True}} | values
    [notes] = [m for m in render(trial, release, _with_visible_notes(chart, tmp_path)) if m["kind"] == "Notes"]
    manifests = render(trial, release)
    commands = "".join(parse_notes(notes["text"]))
    named = {found for line in _kubectl_lines(commands) for found in _named_objects(line)}
    assert named
    assert named - _rendered(manifests, "assets") == set()
    assert f"helm test {release} -n assets --logs\n" in commands
    ports = {
        (m["metadata"]["name"], str(port["port"]))
        for m in manifests
        if m["kind"] == "Service"
        for port in m["spec"]["ports"]
    }
    for name, local, port in re.findall(r"port-forward service/(\S+) (\d+):(\d+)", commands):
        assert (name, port) in ports
        assert int(local) >= 1024


def _with_visible_notes(chart: Path, folder: Path) -> Path:
    """Return a copy of the chart that renders its notes as a document: `helm template` does not print them."""
    copied = Path(shutil.copytree(chart, folder / "chart"))
    (copied / "templates" / "NOTES.txt").rename(copied / "NOTES.txt")
    source = 'kind: Notes\ntext: {{ tpl (.Files.Get "NOTES.txt") . | toJson }}\n'
    (copied / "templates" / "notes.yaml").write_text(source)
    return copied
