"""Fixtures of `make e2e`: a cluster, helm, images, and releases of the chart in namespaces of their own."""

import contextlib
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import CHART, Cluster, CommandError, Image, Install, Release, wait_until

RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
S3_IMAGE: Final = "chrislusf/seaweedfs:4.48"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the cluster, or stop with a list of what is missing."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["PATH"] = path  # skaffold looks for helm there
    programs = {name: shutil.which(name, path=path) for name in ("kubectl", "helm")}
    problems = [f"{name} is not on the PATH" for name, found in programs.items() if not found]
    if programs["kubectl"] and programs["helm"]:
        found = Cluster(programs["kubectl"], programs["helm"])
        try:
            found.kubectl("get", "--raw=/readyz", "--request-timeout=5s", seconds=15)
        except CommandError as error:
            problems.append(f"the cluster of the current kubectl context does not respond: {error}")
    if not os.environ.get("IMAGE"):
        problems.append(
            "IMAGE is not set: build the image, push it to where the cluster can pull it, and set its name and tag:\n"
            "    make e2e IMAGE=localhost:5000/assetuploader:dev"
        )
    if problems:
        pytest.exit("make e2e cannot start:\n" + "\n".join(f"  {problem}" for problem in problems), returncode=2)
    return found


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> Image:
    """Return the image under test, after the cluster has run it."""
    image = Image.parse(os.environ["IMAGE"])
    with _namespace(cluster) as namespace:
        _check_pull(cluster, namespace, str(image), ["--help"])
    return image


@pytest.fixture(scope="session")
def s3_image(cluster: Cluster) -> Image:
    """Return the image of SeaweedFS. S3_IMAGE replaces it for clusters that cannot reach Docker Hub."""
    image = Image.parse(os.environ.get("S3_IMAGE") or S3_IMAGE)
    with _namespace(cluster) as namespace:
        _check_pull(cluster, namespace, str(image), ["version"])
    return image


def _check_pull(cluster: Cluster, namespace: str, image: str, arguments: list[str]) -> None:
    spec = '{"spec":{"terminationGracePeriodSeconds":0,"automountServiceAccountToken":false}}'
    command = ["-n", namespace, "run", "pull", f"--image={image}", "--restart=Never", f"--overrides={spec}"]
    cluster.kubectl(*command, "--", *arguments)

    def ended() -> str | None:
        [pod] = cluster.get("pods", namespace, "--field-selector=metadata.name=pull")
        for status in pod["status"].get("containerStatuses", []):
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason") in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName"}:
                return f"the cluster cannot pull {image}: {waiting.get('message', waiting['reason'])}"
        return "" if pod["status"]["phase"] not in {"Succeeded", "Failed"} else "pulled"

    if (result := wait_until(f"{image} is pulled", ended, 180)) != "pulled":
        pytest.exit(f"make e2e cannot start:\n  {result}", returncode=2)


@contextlib.contextmanager
def _namespace(cluster: Cluster, labels: Mapping[str, str] | None = None) -> Iterator[str]:
    name = f"assetuploader-e2e-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    try:
        if labels:
            cluster.kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in labels.items()))
        yield name
    finally:
        # Do not wait: objects that a failed test left behind may need their grace period.
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> Iterator[str]:
    """Create a namespace that enforces Pod Security `restricted`."""
    with _namespace(cluster, RESTRICTED) as name:
        yield name


@pytest.fixture(scope="session")
def install(cluster: Cluster, image: Image, s3_image: Image) -> Install:
    """Return a function that installs a release with ci/minikube-values.yaml, the images under test and more values."""

    def run(name: str, namespace: str, values: Mapping[str, Any], s3_of: str = "", *, wait: bool = True) -> Release:
        images: dict[str, Any] = {
            "image": image.values,
            "seaweedfs": {"image": {"repository": s3_image.repository, "tag": s3_image.tag}},
        }
        command = ["install", name, str(CHART), "-n", namespace, "-f", str(CHART / "ci" / "minikube-values.yaml")]
        try:
            cluster.helm(
                *command, *(["--wait", "--timeout", "120s"] if wait else []), values=_merged(images, dict(values))
            )
        except CommandError as error:
            raise CommandError(f"{error}\n{cluster.diagnostics(namespace)}") from error
        installed = Release(cluster, name, namespace, s3_of)
        if wait:
            _wait_for_pods(installed)
        return installed

    return run


def _wait_for_pods(release: Release) -> None:
    """Wait until each API pod creates assets: a pod that started before SeaweedFS responds with 503 at first."""
    for pod in release.pods("service"):
        name = pod["metadata"]["name"]
        with release.cluster.forward(release.namespace, f"pod/{name}", 8080) as api:
            client = Client("http://assets.example.com", ("127.0.0.1", api))
            wait_until(f"{name} creates assets", client.can_create, 30)


def _merged(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Merge nested values; overrides win."""
    merged = dict(base)
    for key, value in overrides.items():
        are_nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if are_nested else value
    return merged


@pytest.fixture(scope="session")
def free_port() -> int:
    """Return a free local port; URLs to SeaweedFS are signed for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def release(install: Install, namespace: str, free_port: int) -> Release:
    """Install the release that most tests use: two API pods, an Ingress, a scheduled CronJob."""
    return install(
        "trial",
        namespace,
        {
            "replicaCount": 2,
            "uploadUrlTtlSeconds": 10,
            "reconciler": {"graceSeconds": 2, "pollIntervalSeconds": 2},
            "ingress": {"enabled": True, "hosts": ["assets.example.com"]},
            "seaweedfs": {"port": free_port},
        },
    )


@pytest.fixture(scope="session")
def install_beside(release: Release, install: Install, free_port: int) -> Install:
    """Return a function that installs another release with the namespace, S3 and bucket of the trial release."""

    def run(name: str, values: Mapping[str, Any], *, wait: bool = True) -> Release:
        shared = {
            "aws": {
                "endpointUrl": f"http://{release.s3_service}:{free_port}",
                "publicEndpointUrl": f"http://localhost:{free_port}",
            },
            "seaweedfs": {"enabled": False},
        }
        return install(name, release.namespace, _merged(shared, dict(values)), release.name, wait=wait)

    return run


@pytest.fixture
def client(release: Release) -> Iterator[Client]:
    """Connect a client to the trial release."""
    with connected(release) as client:
        yield client
