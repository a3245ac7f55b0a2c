"""For each alert what Prometheus would have scraped when it must fire, and when it must be silent."""

from dataclasses import dataclass
from typing import Final

Series = dict[str, str]
"""Values, in promtool's notation, by series without the labels that every one of ours has."""

OURS: Final = 'namespace="RELEASE_NAMESPACE", job="RELEASE_SERVICE-metrics"'
CRONJOB: Final = 'namespace="RELEASE_NAMESPACE", cronjob="RELEASE_CRONJOB"'


@dataclass(frozen=True, slots=True)
class Case:
    """Two worlds, and when to look at them; a sample each minute, from time 0 on."""

    minutes: int
    firing: Series
    silent: Series


def requests(status: str, values: str) -> Series:
    """Requests for assets that were answered so."""
    return {f'assetuploader_http_requests_total{{{OURS}, route="/asset", method="POST", status="{status}"}}': values}


def lags(in_time: str, all_of_them: str) -> Series:
    """Assets that became final within two minutes of when they were due, and all that became final."""
    labels = f'{OURS}, shard="0", pinned="true", since="due"'
    return {
        f'assetuploader_finalize_lag_seconds_bucket{{{labels}, le="120.0"}}': in_time,
        f"assetuploader_finalize_lag_seconds_count{{{labels}}}": all_of_them,
    }


def ours(name: str, values: str, labels: str = "") -> Series:
    """One series of the service's."""
    return {f"assetuploader_{name}{{{OURS}{', ' + labels if labels else ''}}}": values}


def buckets(quick: str, everything: str) -> Series:
    """Requests that took at most a second, and all."""
    name, labels = "http_request_duration_seconds_bucket", 'route="/asset", method="POST", le='
    return (
        ours(name, quick, f'{labels}"1.0"')
        | ours(name, everything, f'{labels}"5.0"')
        | ours(name, everything, f'{labels}"+Inf"')
    )


CASES: Final[dict[str, Case]] = {
    # Replica b read its reports later than a: shard 0's first asset is due at minute 30, and shard 1's is long done.
    "AssetuploaderOldestOverdue": Case(
        40,
        ours("reconciler_next_due_timestamp_seconds", "0x5 1800x60", 'shard="0", pod="b"')
        | ours("reconciler_next_due_timestamp_seconds", "0x60", 'shard="0", pod="a"'),
        ours("reconciler_next_due_timestamp_seconds", "0x5 2200x60", 'shard="0", pod="b"')
        | ours("reconciler_next_due_timestamp_seconds", "0x60", 'shard="0", pod="a"'),
    ),
    # Shard 1 does not succeed, though shard 0 does.
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
    "AssetuploaderReconcilerRefused": Case(
        10,
        ours("reconciler_last_outcome", "1x20", 'shard="0", outcome="denied"'),
        ours("reconciler_last_outcome", "0x20", 'shard="0", outcome="denied"')
        | ours("reconciler_last_outcome", "1x20", 'shard="0", outcome="unavailable"'),
    ),
    "AssetuploaderStoreUnfit": Case(
        5,
        ours("reconciler_last_outcome", "1x20", 'shard="0", outcome="unfit"'),
        ours("reconciler_last_outcome", "0x20", 'shard="0", outcome="unfit"'),
    ),
    "AssetuploaderStoreNotProven": Case(
        10,
        ours("store_proven", "1x20", 'pod="a"') | ours("store_proven", "0x20", 'pod="b"'),
        ours("store_proven", "1x20", 'pod="a"') | ours("store_proven", "0 0 1x20", 'pod="b"'),
    ),
    "AssetuploaderReconcilerSuspended": Case(
        70,
        {f"kube_cronjob_spec_suspend{{{CRONJOB}}}": "1x90"},
        {f"kube_cronjob_spec_suspend{{{CRONJOB}}}": "1x50 0x40"},
    ),
    # One failure is no matter: the next run tries again.
    "AssetuploaderFinalizeFailures": Case(
        40,
        ours("reconciler_assets_total", "0+1x60", 'shard="0", outcome="failed"'),
        ours("reconciler_assets_total", "0x20 1x40", 'shard="0", outcome="failed"')
        | ours("reconciler_assets_total", "0+9x60", 'shard="0", outcome="finalized"'),
    ),
    "AssetuploaderS3Errors": Case(
        15,
        ours("s3_calls_total", "0+90x20", 'operation="PutObject", outcome="done"')
        | ours("s3_calls_total", "0+10x20", 'operation="PutObject", outcome="unavailable"'),
        ours("s3_calls_total", "0+90x20", 'operation="PutObject", outcome="done"')
        | ours("s3_calls_total", "0+1x20", 'operation="PutObject", outcome="unavailable"')
        | ours("s3_calls_total", "0+50x20", 'operation="PutObject", outcome="precondition_failed"'),
    ),
    "AssetuploaderSlowRequests": Case(20, buckets("0+98x30", "0+100x30"), buckets("0+998x30", "0+1000x30")),
    "AssetuploaderReportsNotRead": Case(
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
    "AssetuploaderTimeToAvailableFastBurn": Case(90, lags("0+80x90", "0+100x90"), lags("0+99x90", "0+100x90")),
    "AssetuploaderTimeToAvailableSlowBurn": Case(180, lags("0+97x200", "0+100x200"), lags("0+995x200", "0+1000x200")),
}
