"""What `make e2e` stands on: a cluster, helm, an image; and releases of the chart in namespaces of their own."""

import contextlib
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import CHART, Cluster, CommandError, Image, Release, wait_until

RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
S3_IMAGE: Final = "chrislusf/seaweedfs:4.48"

Install = Callable[..., Release]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster, or a clear word on what is missing."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ["PATH"] = path  # skaffold looks for helm there
    programs = {name: shutil.which(name, path=path) for name in ("kubectl", "helm")}
    problems = [f"{name} is not on the PATH" for name, found in programs.items() if not found]
    if programs["kubectl"] and programs["helm"]:
        found = Cluster(programs["kubectl"], programs["helm"])
        try:
            found.kubectl("get", "--raw=/readyz", "--request-timeout=5s", seconds=15)
        except CommandError as error:
            problems.append(f"no cluster answers at the current kubeconfig's context: {error}")
    if not os.environ.get("IMAGE"):
        problems.append(
            "IMAGE is not set: build the image, put it where the cluster can pull it, and name it with its tag, as in\n"
            "    make e2e IMAGE=localhost:5000/assetuploader:dev"
        )
    if problems:
        pytest.exit("make e2e cannot start:\n" + "\n".join(f"  {problem}" for problem in problems), returncode=2)
    return found


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> Image:
    """The image under test, which the cluster has been seen to run."""
    image = Image.parse(os.environ["IMAGE"])
    with _namespace(cluster) as namespace:
        _check_pull(cluster, namespace, str(image), ["--help"])
    return image


@pytest.fixture(scope="session")
def s3_image(cluster: Cluster) -> Image:
    """SeaweedFS: S3_IMAGE names it where Docker Hub is out of the cluster's reach."""
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

    if (said := wait_until(f"{image} is pulled", ended, 180)) != "pulled":
        pytest.exit(f"make e2e cannot start:\n  {said}", returncode=2)


@contextlib.contextmanager
def _namespace(cluster: Cluster, labels: Mapping[str, str] | None = None) -> Iterator[str]:
    name = f"assetuploader-e2e-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    try:
        if labels:
            cluster.kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in labels.items()))
        yield name
    finally:
        # What a failed test left may take its grace period; nobody waits for it.
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that enforces Pod Security `restricted`."""
    with _namespace(cluster, RESTRICTED) as name:
        yield name


@pytest.fixture(scope="session")
def install(cluster: Cluster, image: Image, s3_image: Image) -> Install:
    """`helm install` with ci/minikube-values.yaml, the images under test, and values on top; waits until it is up."""

    def run(name: str, namespace: str, values: Mapping[str, Any], s3_of: str = "", *, wait: bool = True) -> Release:
        images: dict[str, Any] = {
            "image": image.values,
            "s3": {"embedded": {"image": {"repository": s3_image.repository, "tag": s3_image.tag}}},
        }
        command = ["install", name, str(CHART), "-n", namespace, "-f", str(CHART / "ci" / "minikube-values.yaml")]
        try:
            cluster.helm(
                *command, *(["--wait", "--timeout", "120s"] if wait else []), values=_merged(images, dict(values))
            )
        except CommandError as error:
            raise CommandError(f"{error}\n{cluster.troubles(namespace)}") from error
        installed = Release(cluster, name, namespace, s3_of)
        if wait:
            _await_store(installed)
        return installed

    return run


def _await_store(release: Release) -> None:
    """A pod that came up before its S3 did answers 503 until it has tried again: wait until each of them stores."""
    for pod in release.pods("service"):
        name = pod["metadata"]["name"]
        if pod["metadata"]["labels"]["app.kubernetes.io/instance"] != release.name:
            continue
        with release.cluster.forward(release.namespace, f"pod/{name}", 8080) as api:
            client = Client("http://assets.example.com", ("127.0.0.1", api))
            wait_until(f"{name} stores", client.is_served, 30)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Both, the second where both say something."""
    merged = dict(under)
    for key, value in over.items():
        is_both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if is_both else value
    return merged


@pytest.fixture(scope="session")
def free_port() -> int:
    """A port that is free on this machine; URLs to the embedded S3 are signed for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def release(install: Install, namespace: str, free_port: int) -> Release:
    """The trial installation that most tests look at: two pods, an Ingress, a CronJob that ticks."""
    return install(
        "trial",
        namespace,
        {
            "service": {"replicas": 2, "uploadUrlSeconds": 10},
            "reconciler": {"graceSeconds": 2, "pollSeconds": 2},
            "ingress": {"enabled": True, "hosts": ["assets.example.com"]},
            "s3": {"embedded": {"port": free_port}},
        },
    )


@pytest.fixture(scope="session")
def install_beside(release: Release, install: Install, free_port: int) -> Install:
    """Install another release in the same namespace, on the S3 and the bucket of the trial installation."""

    def run(name: str, values: Mapping[str, Any], *, wait: bool = True) -> Release:
        same = {
            "aws": {
                "endpointUrl": f"http://{release.s3_service}:{free_port}",
                "publicEndpointUrl": f"http://localhost:{free_port}",
            },
            "s3": {"embedded": {"enabled": False}},
        }
        return install(name, release.namespace, _merged(same, dict(values)), release.name, wait=wait)

    return run


@pytest.fixture
def client(release: Release) -> Iterator[Client]:
    """A client of the trial installation, through port-forwards to its Service and its S3."""
    with connected(release) as client:
        yield client
