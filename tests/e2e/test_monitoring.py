"""A real Prometheus on the cluster: it finds the pods, sees API and reconciler, and fires when nobody finalizes."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.asset import Client, connected
from tests.e2e.cluster import Release, wait_until
from tests.e2e.monitoring import Prometheus, scraping

Install = Callable[..., Release]
UPLOAD_URL_SECONDS = 45
OVERDUE = "AssetuploaderOldestOverdue"


@pytest.fixture(scope="module")
def watched(install: Install, namespace: str) -> Release:
    """Two pods, and a CronJob whose runs are one pass."""
    service = {"replicas": 2, "uploadUrlSeconds": UPLOAD_URL_SECONDS}
    return install("watched", namespace, {"service": service, "reconciler": {"runSeconds": 0, "graceSeconds": 0}})


@pytest.fixture(scope="module")
def prometheus(watched: Release) -> Iterator[Prometheus]:
    """A Prometheus that scrapes it; PROMETHEUS_IMAGE names the image where Docker Hub is out of the cluster's reach."""
    with scraping(
        watched, os.environ.get("PROMETHEUS_IMAGE") or "prom/prometheus:v2.55.1", overdue_seconds=5
    ) as running:
        yield running


@pytest.fixture
def client(watched: Release) -> Iterator[Client]:
    """A client of that release."""
    with connected(watched) as client:
        yield client


def test_prometheus_sees_the_api_and_the_reconciler(watched: Release, prometheus: Prometheus, client: Client) -> None:
    """Both pods are targets, requests are counted, and what a finished run did is there although its pod is gone."""
    client.store(b"counted", is_pinned=True)
    watched.start_run("counted")
    assert watched.job_end("counted")["type"] == "Complete"
    wait_until("both pods are up", lambda: prometheus.values("sum(up)") == [2.0], 60)
    assert prometheus.values("sum(assetuploader_http_requests_total)")[0] > 0
    finalized = 'max(assetuploader_reconciler_assets_total{outcome="finalized"})'.replace('"', "%22")
    wait_until("the report is read", lambda: prometheus.values(finalized) not in ([], [0.0]), 60)
    assert prometheus.values("max(assetuploader_reconciler_last_success_timestamp_seconds)")[0] > 0


def test_the_alert_fires_while_the_cronjob_is_suspended(
    watched: Release, prometheus: Prometheus, client: Client
) -> None:
    """An asset that a run left marked becomes overdue by itself when no run comes, and the alert ends when runs do."""
    cluster, place = watched.cluster, ("-n", watched.namespace)
    cluster.kubectl(*place, "patch", "cronjob", watched.cronjob, "-p", '{"spec":{"suspend":true}}')
    wait_until(
        "no run is under way",
        lambda: all(not job.get("status", {}).get("active") for job in cluster.get("jobs", watched.namespace)),
        90,
    )
    client.store(b"late", is_pinned=False)
    watched.start_run("sees-it")
    assert watched.job_end("sees-it")["type"] == "Complete"
    assert OVERDUE not in prometheus.firing()
    wait_until("it fires", lambda: OVERDUE in prometheus.firing(), UPLOAD_URL_SECONDS + 60)
    cluster.kubectl(*place, "patch", "cronjob", watched.cronjob, "-p", '{"spec":{"suspend":false}}')
    wait_until("it is silent again", lambda: OVERDUE not in prometheus.firing(), 150)
