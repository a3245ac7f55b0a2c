"""A release in a namespace that enforces Pod Security `restricted`, as users install and use it."""

import json
import os

import pytest

from tests.e2e.asset import Client, connected, send
from tests.e2e.cluster import Cluster, Image, Install, Release, wait_until
from tests.e2e.in_cluster import running

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


def test_a_pinned_asset_is_final_at_once(client: Client) -> None:
    """Its mark finalizes it, and the download has the uploaded bytes."""
    asset_id = client.store(CONTENT, is_pinned=True)
    assert client.download_url(asset_id) is not None
    assert client.download(asset_id, 60) == CONTENT


# Prints how many milliseconds each asset took from its mark to its download URL. Each must be there at the first GET.
TIME_TO_FINAL = """
import json, os, sys, time, urllib.parse, urllib3
from concurrent.futures import ThreadPoolExecutor
service, s3 = sys.argv[1:]
http = urllib3.PoolManager(maxsize=16)
common = os.urandom(1_000_000)
def request(expected, *arguments, **more):
    response = http.request(*arguments, **more)
    assert response.status == expected, (arguments[0], response.status, response.data[:300])
    return response
def store(_):
    created = request(201, "POST", f"http://{service}/v1/assets", json={"size": 1_000_000}).json()
    url = urllib.parse.urlsplit(created["upload"]["url"])
    body = os.urandom(16) + common[16:]
    sent = request(200, "PUT", f"http://{s3}{url.path}?{url.query}", body=body, headers={"Host": url.netloc})
    started = time.monotonic()
    completed = {"etag": sent.headers["etag"]}
    request(200, "POST", f"http://{service}/v1/assets/{created['id']}/complete", json=completed)
    request(302, "GET", f"http://{service}/v1/assets/{created['id']}/content", redirect=False)
    return round((time.monotonic() - started) * 1000)
with ThreadPoolExecutor(16) as pool:
    print(json.dumps(sorted(pool.map(store, range(200)))))
"""


def test_from_a_pod_completed_assets_are_final_at_once(
    release: Release, image: Image, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hundred assets of a megabyte, from sixteen clients: each can be downloaded when its completion ends."""
    with running(release, image, TIME_TO_FINAL, release.fullname, f"{release.s3_service}:{free_port}") as script:
        milliseconds = script.result()
    assert len(milliseconds) == 200
    with capsys.disabled():
        print(f"\nfrom completion to download URL: p50 {milliseconds[99]} ms, p95 {milliseconds[189]} ms")  # noqa: T201


def test_a_file_in_parts_is_final_with_its_completion(client: Client) -> None:
    """Its two parts go straight to their place, and no run has to copy them."""
    content = os.urandom(20 * 1024**2)
    upload = client.create_in_parts(len(content))
    assert upload.part_count == 2
    etags = [upload.send_part(number, content).headers["etag"] for number in (2, 1)]
    assert upload.complete(etags[::-1]) == "uploaded"
    url = client.download_url(upload.asset_id)
    assert url is not None
    assert send("GET", url, client.s3).body == content


def test_a_run_aborts_the_parts_of_a_cancelled_upload(release: Release, client: Client) -> None:
    """A run deletes what stands for the upload in `temp/` only after it has aborted it."""
    upload = client.create_in_parts(5)
    assert upload.send_part(1, b"parts").status == 200
    client.cancel(upload.asset_id)
    command = ["exec", f"deploy/{release.fullname}", "--", "assetuploader", "status", upload.asset_id, "--json"]

    def is_swept() -> bool:
        status = json.loads(release.cluster.kubectl("-n", release.namespace, *command))
        assert status["status"] == "expired"
        return status["upload"] is None

    wait_until("the upload is aborted and swept", is_swept, 90)


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
