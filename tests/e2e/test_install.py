"""A release in a namespace that enforces Pod Security `restricted`, as users install and use it."""

import os

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import Cluster, Install, Release, wait_until

CONTENT = os.urandom(100_000)


def test_every_pod_runs_under_restricted(release: Release) -> None:
    """API, reconciler and SeaweedFS run in a namespace that rejects pods that are not restricted."""
    [namespace] = release.cluster.get("namespace", "default", f"--field-selector=metadata.name={release.namespace}")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"

    def has_run(component: str) -> bool:
        return any(pod["status"]["phase"] in {"Running", "Succeeded"} for pod in release.pods(component))

    wait_until("a pod of each component has run", lambda: all(map(has_run, ("service", "s3", "reconciler"))), 90)


def test_helm_test_passes(release: Release) -> None:
    """`helm test` creates, uploads, marks and downloads one asset inside the cluster."""
    output = release.cluster.helm("test", release.name, "-n", release.namespace, "--timeout", "180s")
    assert "Phase:          Succeeded" in output


def test_a_pinned_asset_is_final_within_seconds(client: Client) -> None:
    """The watching reconciler finalizes the asset, and the download has the uploaded bytes."""
    asset_id = client.store(CONTENT, is_pinned=True)
    assert client.download(asset_id, 60) == CONTENT


def test_an_unpinned_asset_is_final_after_its_url_has_expired(client: Client) -> None:
    """The last upload before the expiry becomes final."""
    asset_id, upload_url = client.create()
    client.upload(upload_url, b"first")
    client.upload(upload_url, CONTENT)
    client.mark(asset_id, None)
    assert client.download_url(asset_id) is None
    assert client.download(asset_id, 90) == CONTENT


def test_the_api_works_behind_the_ingress(release: Release, cluster: Cluster) -> None:
    """The API is reached by its host name through the ingress controller, S3 through a port-forward."""
    ingress_service = os.environ.get("INGRESS")
    if not ingress_service:
        pytest.skip("INGRESS does not name the ingress controller's Service; example: INGRESS=ingress/traefik")
    namespace, _, service = ingress_service.partition("/")
    with (
        cluster.forward(namespace, f"service/{service}", 80) as ingress,
        cluster.forward(release.namespace, f"service/{release.fullname}-s3", "s3") as s3,
    ):
        client = Client("http://assets.example.com", ("127.0.0.1", ingress), ("127.0.0.1", s3))
        asset_id = client.store(CONTENT, is_pinned=True)
        assert client.download(asset_id, 60) == CONTENT


def test_the_service_never_routes_to_cronjob_pods(release: Release) -> None:
    """While a run is active, the Service's endpoints are exactly the pods of the Deployment."""
    cluster = release.cluster
    wait_until(
        "a reconciler pod runs",
        lambda: [pod for pod in release.pods("reconciler") if pod["status"]["phase"] == "Running"],
        90,
    )
    slices = cluster.get("endpointslices", release.namespace, "-l", f"kubernetes.io/service-name={release.fullname}")
    routed = {endpoint["targetRef"]["name"] for part in slices for endpoint in part["endpoints"]}
    assert routed == {pod["metadata"]["name"] for pod in release.pods("service")}
    assert len(routed) == 2


def test_uninstall_keeps_the_assets(release: Release, install_beside: Install) -> None:
    """A new release on the same bucket serves the assets of an uninstalled one."""
    first = install_beside("first", {})
    with connected(first) as client:
        asset_id = client.store(CONTENT, is_pinned=True)
        assert client.download(asset_id, 90) == CONTENT
    release.cluster.helm("uninstall", "first", "-n", release.namespace, "--wait")
    second = install_beside("second", {})
    with connected(second) as client:
        assert client.download(asset_id, 10) == CONTENT
    release.cluster.helm("uninstall", "second", "-n", release.namespace)
