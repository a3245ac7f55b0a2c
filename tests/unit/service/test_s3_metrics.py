"""The metrics of the calls to S3."""

import pytest
from prometheus_client import CollectorRegistry

from assetuploader.instrumentation import CallOutcome, StoreCall
from service.metrics import Metrics
from service.readiness import Readiness
from service.s3_metrics import S3Metrics


def test_a_call_is_counted_by_operation_and_outcome() -> None:
    """Requests, retries and durations are those of the calls. An operation without retries exports zero."""
    registry = CollectorRegistry()
    metrics = S3Metrics(registry)

    metrics.observe(StoreCall("HeadObject", CallOutcome.SUCCESS, 0.02, retries=0))
    metrics.observe(StoreCall("HeadObject", CallOutcome.UNAVAILABLE, 2.0, retries=3))
    metrics.observe(StoreCall("PutObject", CallOutcome.SUCCESS, 0.05, retries=0))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"assetuploader_s3_{name}", labels)

    assert value("requests_total", operation="HeadObject", outcome="success") == 1
    assert value("requests_total", operation="HeadObject", outcome="unavailable") == 1
    assert value("retries_total", operation="HeadObject") == 3
    assert value("retries_total", operation="PutObject") == 0
    assert value("request_duration_seconds_sum", operation="HeadObject") == pytest.approx(2.02)
    assert value("request_duration_seconds_bucket", operation="HeadObject", le="0.025") == 1


def test_no_series_tells_when_another_was_created() -> None:
    """The service turns off the `_created` series that prometheus_client adds by default."""
    registry = Metrics(Readiness()).registry
    S3Metrics(registry).observe(StoreCall("HeadObject", CallOutcome.SUCCESS, 0.02, retries=0))

    names = {sample.name for metric in registry.collect() for sample in metric.samples}
    assert "assetuploader_s3_requests_total" in names
    assert [name for name in names if name.endswith("_created")] == []
