"""A release in a namespace that enforces Pod Security `restricted`, used as people use it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import Cluster, Release, wait_until

Install = Callable[..., Release]
CONTENT = os.urandom(100_000)


def test_every_pod_runs_where_restricted_is_enforced(release: Release) -> None:
    """Service, reconciler and embedded S3 run in a namespace that refuses every pod that is not restricted."""
    [namespace] = release.cluster.get("namespace", "default", f"--field-selector=metadata.name={release.namespace}")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    def running(component: str) -> bool:
        pods = release.pods(component)
        return any(pod["status"]["phase"] in {"Running", "Succeeded"} for pod in pods)

    wait_until("each component runs", lambda: all(map(running, ("service", "s3", "reconciler"))), 90)


def test_helm_test_passes(release: Release) -> None:
    """`helm test` takes one asset through its life inside the cluster."""
    said = release.cluster.helm("test", release.name, "-n", release.namespace, "--timeout", "180s")
    assert "Phase:          Succeeded" in said


def test_a_pinned_asset_is_final_within_seconds(client: Client) -> None:
    """From outside, by port-forwards: the scheduled, lingering reconciler finalizes it, and the bytes come back."""
    asset_id = client.store(CONTENT, is_pinned=True)
    assert client.download(asset_id, 60) == CONTENT


def test_an_unpinned_asset_is_final_after_its_url_has_expired(client: Client) -> None:
    """The last upload before the expiry counts, and is final a look or two later."""
    asset_id, upload_url = client.create()
    client.upload(upload_url, b"first")
    client.upload(upload_url, CONTENT)
    client.mark(asset_id, None)
    assert client.look(asset_id) is None
    assert client.download(asset_id, 90) == CONTENT


def test_an_asset_lives_behind_the_ingress(release: Release, cluster: Cluster) -> None:
    """The API by its host name through the ingress controller, the bytes through a port-forward to S3."""
    where = os.environ.get("INGRESS")
    if not where:
        pytest.skip("INGRESS does not name the ingress controller's Service, as in INGRESS=ingress/traefik")
    namespace, _, service = where.partition("/")
    with (
        cluster.forward(namespace, f"service/{service}", 80) as ingress,
        cluster.forward(release.namespace, f"service/{release.fullname}-s3", "s3") as s3,
    ):
        client = Client("http://assets.example.com", ("127.0.0.1", ingress), ("127.0.0.1", s3))
        asset_id = client.store(CONTENT, is_pinned=True)
        assert client.download(asset_id, 60) == CONTENT


def test_the_commands_of_the_notes_work_when_pasted(release: Release, free_port: int, tmp_path: Path) -> None:
    """The port-forwards and the curl commands that helm prints take a file through its life."""
    notes = release.cluster.helm("get", "notes", release.name, "-n", release.namespace)
    commands = [line.strip() for line in notes.splitlines() if line.startswith("  ")]
    forwards = [line for line in commands if line.startswith("kubectl") and "port-forward" in line]
    curls = [line for line in commands if line not in forwards]
    assert (
        f"kubectl -n {release.namespace} port-forward service/{release.fullname}-s3 {free_port}:{free_port}" in forwards
    )
    content = tmp_path / "content"
    content.write_bytes(CONTENT)
    # This release has an Ingress, which has no name that this machine could resolve.
    with (
        release.cluster.forward(release.namespace, f"service/{release.fullname}", "http") as api,
        release.cluster.forward(release.namespace, f"service/{release.fullname}-s3", "s3", local=free_port),
    ):
        script = "\n".join(curls).replace("http://assets.example.com", f"http://localhost:{api}")
        script = script.replace("FILE=/etc/hostname", f"FILE={content}")
        script += (
            '\ncurl -fsS -o downloaded "$(curl -fsS http://localhost:' + f"{api}/asset/$ID" + " | cut -d'\"' -f4)\""
        )
        done = subprocess.run(  # noqa: S603
            ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "downloaded").read_bytes() == CONTENT


def test_the_service_never_routes_to_cronjob_pods(release: Release) -> None:
    """While a run lingers, the Service's endpoints are the pods of the Deployment and no others."""
    cluster = release.cluster
    wait_until(
        "a reconciler pod runs",
        lambda: [pod for pod in release.pods("reconciler") if pod["status"]["phase"] == "Running"],
        90,
    )
    slices = cluster.get("endpointslices", release.namespace, "-l", f"kubernetes.io/service-name={release.fullname}")
    routed = {endpoint["targetRef"]["name"] for one in slices for endpoint in one["endpoints"]}
    assert routed == {pod["metadata"]["name"] for pod in release.pods("service")}
    assert len(routed) == 2


def test_uninstall_leaves_the_bucket_alone(release: Release, install_beside: Install) -> None:
    """What a release stored is served by the next one on the same bucket."""
    first = install_beside("first", {})
    with connected(first) as client:
        asset_id = client.store(CONTENT, is_pinned=True)
        assert client.download(asset_id, 90) == CONTENT
    release.cluster.helm("uninstall", "first", "-n", release.namespace, "--wait")
    second = install_beside("second", {})
    with connected(second) as client:
        assert client.download(asset_id, 10) == CONTENT
    release.cluster.helm("uninstall", "second", "-n", release.namespace)
