"""A real Prometheus on the cluster discovers the pods, has all metrics, and fires when nothing is finalized."""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import Install, Release, wait_until
from tests.e2e.monitoring import Prometheus, scraping

UPLOAD_URL_TTL_SECONDS = 45
OVERDUE = "AssetuploaderOldestOverdue"


@pytest.fixture(scope="module")
def watched(install: Install, namespace: str) -> Release:
    """Install a release with two API pods and a CronJob whose runs do one scan."""
    reconciler = {"watchSeconds": 0, "graceSeconds": 0}
    values = {
        "replicaCount": 2,
        "finalizeAtOnceBytes": 0,  # the tests look at what the reconciler finalizes
        "uploadUrlTtlSeconds": UPLOAD_URL_TTL_SECONDS,
        "reconciler": reconciler,
        "networkPolicy": {"metricsFrom": [{"podSelector": {}}]},
    }
    return install("watched", namespace, values)


@pytest.fixture(scope="module")
def prometheus(watched: Release) -> Iterator[Prometheus]:
    """Run a Prometheus. PROMETHEUS_IMAGE replaces its image for clusters that cannot reach Docker Hub."""
    with scraping(
        watched, os.environ.get("PROMETHEUS_IMAGE") or "prom/prometheus:v2.55.1", overdue_seconds=5
    ) as running:
        yield running


@pytest.fixture
def client(watched: Release) -> Iterator[Client]:
    """Connect a client to that release."""
    with connected(watched) as client:
        yield client


def test_prometheus_sees_the_api_and_the_reconciler(watched: Release, prometheus: Prometheus, client: Client) -> None:
    """Both pods are targets, requests are counted, and the counters of a finished run remain."""
    client.store(b"counted", is_pinned=True)
    watched.start_run("counted")
    assert watched.wait_for_job("counted")["type"] == "Complete"
    wait_until("both pods are up", lambda: prometheus.values("sum(up)") == [2.0], 60)
    assert prometheus.values("sum(assetuploader_http_requests_total)")[0] > 0
    finalized = 'max(assetuploader_reconciler_assets_total{outcome="finalized"})'.replace('"', "%22")
    wait_until("the report is read", lambda: prometheus.values(finalized) not in ([], [0.0]), 60)
    assert prometheus.values("max(assetuploader_reconciler_last_success_timestamp_seconds)")[0] > 0


def test_the_alert_fires_while_the_cronjob_is_suspended(
    watched: Release, prometheus: Prometheus, client: Client
) -> None:
    """The alert fires for an overdue asset while no run starts, and resolves when runs start again."""
    cluster, namespaced = watched.cluster, ("-n", watched.namespace)
    cluster.kubectl(*namespaced, "patch", "cronjob", watched.cronjob, "-p", '{"spec":{"suspend":true}}')
    wait_until(
        "no run is active",
        lambda: all(not job.get("status", {}).get("active") for job in cluster.get("jobs", watched.namespace)),
        90,
    )
    client.store(b"late", is_pinned=False)
    watched.start_run("sees-it")
    assert watched.wait_for_job("sees-it")["type"] == "Complete"
    assert OVERDUE not in prometheus.firing()
    wait_until("it fires", lambda: OVERDUE in prometheus.firing(), UPLOAD_URL_TTL_SECONDS + 60)
    cluster.kubectl(*namespaced, "patch", "cronjob", watched.cronjob, "-p", '{"spec":{"suspend":false}}')
    wait_until("it is silent again", lambda: OVERDUE not in prometheus.firing(), 150)
