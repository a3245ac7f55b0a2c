"""One Kubernetes Event per run, on the CronJob that owns it: `kubectl describe cronjob` shows them.

The run needs a Role that may create events.k8s.io Events and get this one CronJob. A failure to post is logged, and
does not fail the run.
"""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from urllib3.exceptions import HTTPError

from assetuploader.errors import StoreMisconfiguredError
from assetuploader.http_settings import HttpSettings
from assetuploader.outcome import COUNTED
from reconciler.listeners import FinishedRun
from reconciler.shards import Shard

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, EventsV1Event

CONTROLLER: Final = "assetuploader/reconciler"
MAX_NOTE_BYTES: Final = 1024
"""In bytes of UTF-8, as the API server counts."""
TIMEOUT_SECONDS: Final = (2.0, 5.0)
"""To connect, and to read the response, for each of the two calls."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CronJobRef:
    """The CronJob of this run, and its pod."""

    cronjob: str
    namespace: str
    pod: str


class ApiConnector(Protocol):
    """A function that connects to the API server. It raises ConfigException outside a cluster, and OSError."""

    def __call__(self) -> "ApiClient":
        """Return a client that retries nothing."""


def cronjob_ref_from(environment: Mapping[str, str]) -> CronJobRef | None:
    """Return the CronJob that the chart put into the environment, None when Events are off."""
    cronjob, namespace = environment.get("ASSETUPLOADER_CRONJOB"), environment.get("ASSETUPLOADER_NAMESPACE")
    if not cronjob or not namespace:
        return None
    return CronJobRef(cronjob, namespace, pod=environment.get("HOSTNAME") or cronjob)


def connect_from_pod() -> "ApiClient":
    """Return a client of the API server, with the token of this pod."""
    # Imported here: it takes a second of CPU, and most runs have nothing to post.
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415
    from kubernetes.config import load_incluster_config  # noqa: PLC0415

    configuration = Configuration()
    load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.retries = False
    api = ApiClient(configuration)
    context = HttpSettings(configuration.ssl_ca_cert).create_ssl_context()
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = context
    return api


@dataclass(frozen=True, slots=True)
class KubernetesEventPoster:
    """A `RunListener` that posts an Event, unless the run was a dry run."""

    cronjob_ref: CronJobRef

    async def on_run_finished(self, run: FinishedRun) -> None:
        """See `RunListener.on_run_finished`."""
        if run.dry_run:
            return
        counts = {outcome.value: run.summary.outcomes.get(outcome, 0) for outcome in COUNTED}
        await asyncio.to_thread(post_run_event, self.cronjob_ref, run.shard, counts, run.exit_code, run.reason or "")


def post_run_event(  # noqa: PLR0913, PLR0917 -- what a note says, and a connector for tests
    cronjob_ref: CronJobRef,
    shard: Shard,
    counts: Mapping[str, int],
    exit_code: int,
    note: str,
    connect: ApiConnector = connect_from_pod,
) -> None:
    """Post what a run changed and what failed, by outcome. Post nothing if all counts and the exit code are 0.

    It blocks for a few seconds at most, and never raises.
    """
    if exit_code == 0 and not any(counts.values()):
        return
    # For the same reason as in connect_from_pod.
    from kubernetes.client import ApiException, BatchV1Api, EventsV1Api  # noqa: PLC0415
    from kubernetes.config import ConfigException  # noqa: PLC0415

    try:
        with closing(connect()) as api:
            cronjob = BatchV1Api(api).read_namespaced_cron_job(
                cronjob_ref.cronjob, cronjob_ref.namespace, _request_timeout=TIMEOUT_SECONDS
            )
            uid = cronjob.metadata.uid if cronjob.metadata else None
            body = _build_event(
                cronjob_ref, uid, _build_note(shard, counts, exit_code, note), exit_code, datetime.now(UTC)
            )
            EventsV1Api(api).create_namespaced_event(cronjob_ref.namespace, body, _request_timeout=TIMEOUT_SECONDS)
    except (ApiException, ConfigException, HTTPError, OSError, StoreMisconfiguredError, ValueError) as error:
        reason = f"{error.status} {error.reason}" if isinstance(error, ApiException) else str(error)
        log.warning(
            "kubernetes_event_failed", cronjob=cronjob_ref.cronjob, namespace=cronjob_ref.namespace, error=reason
        )


def _build_note(shard: Shard, counts: Mapping[str, int], exit_code: int, note: str) -> str:
    parts = [f"{outcome} {count}" for outcome, count in counts.items() if count]
    if exit_code:
        parts.append(f"exit code {exit_code}")
    text = ", ".join(parts) + (f". {note}" if note else "")
    if shard.count > 1:
        text = f"shard {shard.index} of {shard.count}: {text}"
    encoded = text.encode()
    if len(encoded) <= MAX_NOTE_BYTES:
        return text
    ellipsis = "…"
    return encoded[: MAX_NOTE_BYTES - len(ellipsis.encode())].decode(errors="ignore") + ellipsis


def _build_event(cronjob_ref: CronJobRef, uid: str | None, note: str, exit_code: int, now: datetime) -> "EventsV1Event":
    """Return the Event.

    `kubectl describe` shows only Events with the CronJob's uid. The API requires six fractional digits, which
    isoformat() drops at microsecond 0.
    """
    from kubernetes.client import EventsV1Event, V1ObjectMeta, V1ObjectReference  # noqa: PLC0415

    return EventsV1Event(
        metadata=V1ObjectMeta(generate_name=f"{cronjob_ref.cronjob}-", namespace=cronjob_ref.namespace),
        event_time=now.replace(microsecond=max(1, now.microsecond)),
        type="Warning" if exit_code else "Normal",
        reason="RunFailed" if exit_code else "AssetsChanged",
        action="Reconcile",
        note=note,
        regarding=V1ObjectReference(
            api_version="batch/v1", kind="CronJob", name=cronjob_ref.cronjob, namespace=cronjob_ref.namespace, uid=uid
        ),
        reporting_controller=CONTROLLER,
        reporting_instance=cronjob_ref.pod,
    )
