"""The commands that README, NOTES and docs print, pasted as they are into a terminal, in the order of the pages.

They use the namespace `assets`, as the pages do. If it exists already, these tests are skipped, and change nothing.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.e2e.asset import Client, connected, send
from tests.e2e.cluster import CHART, Cluster, Image, Release, wait_until
from tests.e2e.terminal import PasteResult, Terminal, open_terminal, write_helm
from tests.support.printed_commands import parse_notes, read_commands

OpenTerminal = Callable[[], AbstractContextManager[Terminal]]
REGISTRY: Final = "localhost:5000/"
NOT_RUN: Final = {
    "minikube ": "the cluster runs already, and the image under test is where it can pull it",
    "docker build -t assetuploader:dev .": "kind's way to load the image",
    "skaffold ": "test_skaffold.py runs it, on a copy of the sources",
    "make e2e ": "it runs these tests",
    "aws ": "it needs an account",
}
"""Lines that cannot run here start with one of these, for this reason."""


def _paste(terminal: Terminal, text: str) -> PasteResult:
    """Paste what can run here, and check that each command succeeds."""
    lines = text.splitlines(keepends=True)
    pasted = terminal.paste("".join(line for line in lines if not line.startswith(tuple(NOT_RUN))))
    assert pasted.failures == [], f"{text}\n{pasted.output}"
    return pasted


@contextmanager
def _namespace_of_the_docs(cluster: Cluster) -> Iterator[None]:
    """Delete the namespace `assets` at the end; skip the test if somebody else uses it."""
    if cluster.get("namespace", "default", "--field-selector=metadata.name=assets"):
        pytest.skip("the namespace assets exists on this cluster, and these tests would change it")
    try:
        yield
    finally:
        cluster.kubectl("delete", "namespace", "assets", "--ignore-not-found")


@pytest.fixture(scope="module")
def is_pushed() -> bool:
    """Return whether the cluster pulls from localhost:5000, and this machine can build and push to it."""
    docker = shutil.which("docker")
    command = [docker or "", "info"]
    return bool(
        os.environ["IMAGE"].startswith(REGISTRY)
        and docker
        and subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
    )


@pytest.fixture(scope="module")
def environment(
    cluster: Cluster, s3_image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Image | None], dict[str, str]]:
    """Return a function that returns the variables of a terminal: the trial's, and a helm for the images under test."""
    trial = yaml.safe_load((CHART / "ci" / "minikube-values.yaml").read_text())
    s3 = {"seaweedfs.image.repository": s3_image.repository, "seaweedfs.image.tag": s3_image.tag}

    def build(image: Image | None) -> dict[str, str]:
        under_test = {f"image.{name}": value for name, value in image.values.items()} if image else {}
        folder = tmp_path_factory.mktemp("bin")
        write_helm(folder, cluster.helm_path, s3 | under_test)
        return {
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "AWS_REGION": trial["aws"]["region"],
            "AWS_BUCKET": trial["aws"]["bucket"],
            "AWS_ACCESS_KEY_ID": trial["aws"]["accessKeyId"],
            "AWS_SECRET_ACCESS_KEY": trial["aws"]["secretAccessKey"],
            "AWS_ENDPOINT_URL_S3": "http://localhost:8333",
        }

    return build


def _has_one_pod(release: Release) -> bool:
    return len(release.pods("service")) == 1


def test_minikube_md_installs_tests_serves_host_names_and_uninstalls(
    cluster: Cluster, image: Image, environment: Callable[[Image], dict[str, str]]
) -> None:
    """The page from top to bottom. The ingress controller is that of this cluster, not minikube's."""
    [install_again] = [each for each in read_commands("README.md", "Deploy it") if each.text.startswith("docker")]
    ingress = os.environ.get("INGRESS", "").partition("/")
    with _namespace_of_the_docs(cluster), open_terminal(environment(image)) as terminal:
        for command in read_commands("docs/minikube.md"):
            text = command.text
            if text in install_again.text:
                continue  # the other way to install the release; the README's test pastes it
            if command.section == "Use host names":
                if not ingress[2]:
                    continue
                text = text.replace("-n ingress-nginx", f"-n {ingress[0]}")
                text = text.replace("service/ingress-nginx-controller", f"service/{ingress[2]}")
            if "curl" in text:  # a pod of before the upgrade drains for some seconds, and signs for its own endpoint
                release = Release(cluster, "assets", "assets")
                wait_until("the old pod is gone", partial(_has_one_pod, release), 60)
            output = _paste(terminal, text).output
            if "helm test" in text:
                assert "✓ GET from S3: the same bytes" in output
            if "curl" in text:
                assert json.loads(output)["upload_url"].startswith("http://s3.localhost:8080/")
                local = ("127.0.0.1", 8080)
                client = Client("http://assets.localhost:8080", local, local)
                assert client.download(client.store(b"by host name", is_pinned=True), 90) == b"by host name"
        assert cluster.get("namespace", "default", "--field-selector=metadata.name=assets") == []


@pytest.fixture(scope="module")
def installed(
    cluster: Cluster,
    image: Image,
    is_pushed: bool,  # noqa: FBT001 -- a fixture
    environment: Callable[[Image | None], dict[str, str]],
) -> Iterator[tuple[PasteResult, OpenTerminal]]:
    """Install a release as the README does; yield what that printed, and a function that opens a terminal."""
    [install, _doctor] = read_commands("README.md", "Deploy it")
    variables = environment(None if is_pushed else image)
    with _namespace_of_the_docs(cluster):
        with open_terminal(variables) as terminal:
            lines = install.text.splitlines(keepends=True)
            assert [line.startswith("docker ") for line in lines] == [True, False, False]
            pasted = _paste(terminal, "".join(lines if is_pushed else lines[1:]))
        yield pasted, partial(open_terminal, variables)


def test_the_readme_installs_and_tests_a_release(installed: tuple[PasteResult, OpenTerminal]) -> None:
    """Each command succeeds, and helm prints the steps of its test."""
    pasted, _ = installed
    assert "Phase:          Succeeded" in pasted.output
    assert "✓ GET from S3: the same bytes" in pasted.output


def test_the_notes_upload_and_download_a_file(cluster: Cluster, installed: tuple[PasteResult, OpenTerminal]) -> None:
    """The port-forwards and commands that helm prints take a file through its lifecycle, and test the release."""
    _, open_here = installed
    notes = cluster.helm("get", "notes", "assets", "-n", "assets")
    with open_here() as terminal:
        forwards, lifecycle, test, runs = parse_notes(notes)
        _paste(terminal, forwards)
        stored, tested = _paste(terminal, lifecycle).output, _paste(terminal, test).output
        # The CronJob may have to wait for its first minute.
        wait_until("a run is listed", lambda: "SuccessfulCreate" in _paste(terminal, runs).output, 90)
        download_url = json.loads(stored.splitlines()[-1])["Download_url"]
        assert send("GET", download_url).body == Path("/etc/hostname").read_bytes()
    assert "✓ GET from S3: the same bytes" in tested


@pytest.fixture
def asset_id(cluster: Cluster, installed: tuple[PasteResult, OpenTerminal]) -> str:
    """Store an asset that is not final for a minute; return its id."""
    assert installed
    with connected(Release(cluster, "assets", "assets")) as client:
        return client.store(b"unpinned", is_pinned=False)


@pytest.mark.parametrize("page", ["docs/operations.md", "docs/runbook.md"])
def test_the_commands_of_a_page_work(
    page: str, cluster: Cluster, installed: tuple[PasteResult, OpenTerminal], asset_id: str
) -> None:
    """Each command of the page succeeds, in a shell with the settings of the trial. ID is the id of an asset."""
    _, open_here = installed
    cluster.helm("upgrade", "assets", str(CHART), "-n", "assets", "--reuse-values")  # `helm rollback` needs a revision
    outputs: dict[str, str] = {}
    with cluster.forward("assets", "service/assets-assetuploader-s3", "s3", local=8333), open_here() as terminal:
        for command in read_commands(page):
            outputs[command.text] = _paste(terminal, command.text.replace("status ID", f"status {asset_id}")).output
    assert asset_id in outputs["assetuploader status ID"]
    doctors = [output for text, output in outputs.items() if "doctor" in text and "--json" not in text]
    assert doctors, f"{page} has no command with doctor"
    assert all("✓ bucket: assets can be reached" in output for output in doctors), doctors
