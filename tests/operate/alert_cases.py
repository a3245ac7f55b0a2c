"""The test cases of the alerts: series with which each alert fires, and series with which it is silent."""

from dataclasses import dataclass
from typing import Final

Series = dict[str, str]
"""Values in promtool's notation, by series."""

OURS: Final = 'namespace="RELEASE_NAMESPACE", job="RELEASE_SERVICE-metrics"'
CRONJOB: Final = 'namespace="RELEASE_NAMESPACE", cronjob="RELEASE_CRONJOB"'


@dataclass(frozen=True, slots=True)
class Case:
    """Series for which an alert fires and is silent after some minutes, with one sample per minute."""

    minutes: int
    firing: Series
    silent: Series


def requests(status: str, values: str) -> Series:
    """Return the series of requests for assets with this response status."""
    return {f'assetuploader_http_requests_total{{{OURS}, route="/asset", method="POST", status="{status}"}}': values}


def latencies(on_time: str, total: str) -> Series:
    """Return the series of assets that became final within 2 minutes after they were due, and of all."""
    labels = f'{OURS}, shard="0", pinned="true", since="due"'
    return {
        f'assetuploader_finalize_lag_seconds_bucket{{{labels}, le="120.0"}}': on_time,
        f"assetuploader_finalize_lag_seconds_count{{{labels}}}": total,
    }


def ours(name: str, values: str, labels: str = "") -> Series:
    """Return one series of the API."""
    return {f"assetuploader_{name}{{{OURS}{', ' + labels if labels else ''}}}": values}


def buckets(fast: str, total: str) -> Series:
    """Return the series of requests that took at most 1 second, and of all."""
    name, labels = "http_request_duration_seconds_bucket", 'route="/asset", method="POST", le='
    return (
        ours(name, fast, f'{labels}"1.0"') | ours(name, total, f'{labels}"5.0"') | ours(name, total, f'{labels}"+Inf"')
    )


def s3_requests(outcome: str, values: str) -> Series:
    """Return the series of S3 requests with this outcome."""
    return ours("s3_requests_total", values, f'operation="PutObject", outcome="{outcome}"')


def copies(outcome: str, values: str) -> Series:
    """Return the series of the copies with this outcome."""
    return ours("s3_requests_total", values, f'operation="CopyObject", outcome="{outcome}"')


CASES: Final[dict[str, Case]] = {
    # Pod b has read a newer report than pod a: the first asset of shard 0 is due at minute 30.
    "AssetuploaderOldestOverdue": Case(
        40,
        ours("reconciler_next_due_timestamp_seconds", "0x5 1800x60", 'shard="0", pod="b"')
        | ours("reconciler_next_due_timestamp_seconds", "0x60", 'shard="0", pod="a"'),
        ours("reconciler_next_due_timestamp_seconds", "0x5 2200x60", 'shard="0", pod="b"')
        | ours("reconciler_next_due_timestamp_seconds", "0x60", 'shard="0", pod="a"'),
    ),
    # Shard 0 succeeds, shard 1 does not.
    "AssetuploaderReconcilerNotSucceeding": Case(
        30,
        ours("reconciler_last_success_timestamp_seconds", "0+60x60", 'shard="0"')
        | ours("reconciler_last_success_timestamp_seconds", "0x60", 'shard="1"'),
        ours("reconciler_last_success_timestamp_seconds", "0+60x60", 'shard="0"')
        | ours("reconciler_last_success_timestamp_seconds", "0+50x60", 'shard="1"'),
    ),
    "AssetuploaderCronJobNotSucceeding": Case(
        30,
        {f"kube_cronjob_status_last_successful_time{{{CRONJOB}}}": "0x60"},
        {f"kube_cronjob_status_last_successful_time{{{CRONJOB}}}": "0+60x60"},
    ),
    "AssetuploaderShardMissing": Case(
        30,
        ours("reconciler_shards", "2x60") | ours("reconciler_last_success_timestamp_seconds", "0+60x60", 'shard="0"'),
        ours("reconciler_shards", "1x60") | ours("reconciler_last_success_timestamp_seconds", "0+60x60", 'shard="0"'),
    ),
    "AssetuploaderReconcilerAccessDenied": Case(
        10,
        ours("reconciler_last_outcome", "1x20", 'shard="0", outcome="access_denied"'),
        ours("reconciler_last_outcome", "0x20", 'shard="0", outcome="access_denied"')
        | ours("reconciler_last_outcome", "1x20", 'shard="0", outcome="unavailable"'),
    ),
    "AssetuploaderStoreUnsupported": Case(
        5,
        ours("reconciler_last_outcome", "1x20", 'shard="0", outcome="unsupported_store"'),
        ours("reconciler_last_outcome", "0x20", 'shard="0", outcome="unsupported_store"'),
    ),
    "AssetuploaderStoreUnverified": Case(
        10,
        ours("store_verified", "1x20", 'pod="a"') | ours("store_verified", "0x20", 'pod="b"'),
        ours("store_verified", "1x20", 'pod="a"') | ours("store_verified", "0 0 1x20", 'pod="b"'),
    ),
    "AssetuploaderReconcilerSuspended": Case(
        70,
        {f"kube_cronjob_spec_suspend{{{CRONJOB}}}": "1x90"},
        {f"kube_cronjob_spec_suspend{{{CRONJOB}}}": "1x50 0x40"},
    ),
    # A single failure does not fire: the next run retries.
    "AssetuploaderFinalizeFailures": Case(
        40,
        ours("reconciler_assets_total", "0+1x60", 'shard="0", outcome="failed"'),
        ours("reconciler_assets_total", "0x20 1x40", 'shard="0", outcome="failed"')
        | ours("reconciler_assets_total", "0+9x60", 'shard="0", outcome="finalized"'),
    ),
    # 5.2 % fail, of four kinds: with any of them missing in the expression, it would be under 5 %.
    "AssetuploaderS3Errors": Case(
        15,
        s3_requests("success", "0+950x20")
        | s3_requests("unavailable", "0+13x20")
        | s3_requests("access_denied", "0+13x20")
        | s3_requests("misconfigured", "0+13x20")
        | s3_requests("unsupported", "0+13x20"),
        s3_requests("success", "0+90x20")
        | s3_requests("unavailable", "0+1x20")
        | s3_requests("not_found", "0+50x20")
        | s3_requests("precondition_failed", "0+50x20")
        | s3_requests("cancelled", "0+50x20"),
    ),
    # More than half of the copies fail, of four kinds; other requests do not count.
    "AssetuploaderCopiesFail": Case(
        40,
        copies("success", "0+40x60")
        | copies("unavailable", "0+13x60")
        | copies("access_denied", "0+13x60")
        | copies("misconfigured", "0+13x60")
        | copies("unsupported", "0+13x60")
        | s3_requests("success", "0+950x60"),
        copies("success", "0+20x60")
        | copies("access_denied", "0+19x60")
        | copies("cancelled", "0+90x60")
        | copies("precondition_failed", "0+90x60")
        | s3_requests("access_denied", "0+90x60"),
    ),
    # Both pods export the same; one of two shards cannot abort. Uploads of pending assets are no fault.
    "AssetuploaderUploadsNotAborted": Case(
        190,
        ours("reconciler_open_uploads", "1x200", 'shard="0", asset="ended", pod="a"')
        | ours("reconciler_open_uploads", "1x200", 'shard="0", asset="ended", pod="b"')
        | ours("reconciler_open_uploads", "0x200", 'shard="1", asset="ended", pod="a"'),
        ours("reconciler_open_uploads", "1x100 0x100", 'shard="0", asset="ended", pod="a"')
        | ours("reconciler_open_uploads", "9x200", 'shard="0", asset="pending", pod="a"'),
    ),
    # The clock of one pod is slow, of another fast; a second is the resolution of S3's dates.
    "AssetuploaderClockSkew": Case(
        30,
        ours("s3_clock_offset_seconds", "-90x60", 'pod="a"') | ours("s3_clock_offset_seconds", "0x60", 'pod="b"'),
        ours("s3_clock_offset_seconds", "1x60", 'pod="a"') | ours("s3_clock_offset_seconds", "90x5 0x60", 'pod="b"'),
    ),
    "AssetuploaderSlowRequests": Case(20, buckets("0+98x30", "0+100x30"), buckets("0+998x30", "0+1000x30")),
    "AssetuploaderReportsUnreadable": Case(
        20,
        ours("report_read_timestamp_seconds", "0x30", 'pod="a"'),
        ours("report_read_timestamp_seconds", "0x30", 'pod="a"')
        | ours("report_read_timestamp_seconds", "0+60x30", 'pod="b"'),
    ),
    "AssetuploaderTargetMissing": Case(10, {f'up{{{OURS}, pod="a"}}': "0x20"}, {f'up{{{OURS}, pod="a"}}': "1x20"}),
    "AssetuploaderAvailabilityFastBurn": Case(
        90,
        requests("201", "0+980x90") | requests("503", "0+20x90"),
        requests("201", "0+999x90") | requests("503", "0+1x90") | requests("404", "0+500x90"),
    ),
    "AssetuploaderAvailabilitySlowBurn": Case(
        180,
        requests("201", "0+997x200") | requests("503", "0+3x200"),
        requests("201", "0+9995x200") | requests("503", "0+5x200"),
    ),
    "AssetuploaderTimeToAvailableFastBurn": Case(
        90, latencies("0+80x90", "0+100x90"), latencies("0+99x90", "0+100x90")
    ),
    "AssetuploaderTimeToAvailableSlowBurn": Case(
        180, latencies("0+97x200", "0+100x200"), latencies("0+995x200", "0+1000x200")
    ),
}
