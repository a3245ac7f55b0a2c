"""One Kubernetes Event per run, on the CronJob that owns it, so that `kubectl describe cronjob` tells the story.

Needs a Role that may create events.k8s.io Events and get this one CronJob. To post is a courtesy: a failure is a line
in the log, and never the run's.
"""

import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, EventsV1Event

CONTROLLER: Final = "assetuploader/reconciler"
NOTE_CHARACTERS: Final = 1024
TIMEOUT_SECONDS: Final = (2.0, 5.0)
"""To connect, and to wait for an answer, for each of the two calls."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Owner:
    """The CronJob that this run belongs to, and the pod that it is."""

    cronjob: str
    namespace: str
    pod: str


class Connect(Protocol):
    """Makes a client of the API server. Raises ConfigException outside a cluster, and OSError."""

    def __call__(self) -> "ApiClient":
        """Return a client that retries nothing."""


def owner_from(environ: Mapping[str, str]) -> Owner | None:
    """The owner that the chart put in the environment; None, with Events off, where it put none."""
    cronjob, namespace = environ.get("ASSETUPLOADER_CRONJOB"), environ.get("ASSETUPLOADER_NAMESPACE")
    if not cronjob or not namespace:
        return None
    return Owner(cronjob, namespace, pod=environ.get("HOSTNAME") or cronjob)


def connect_from_pod() -> "ApiClient":
    """A client with the pod's own token, for the API server of its own cluster."""
    # Here, not at the top: the import takes a second of CPU, and most runs have nothing to tell.
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415
    from kubernetes.config import load_incluster_config  # noqa: PLC0415

    configuration = Configuration()
    load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.retries = False
    api = ApiClient(configuration)
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = trust(configuration.ssl_ca_cert)
    return api


def trust(ca_file: str | None) -> ssl.SSLContext:
    """A TLS context that verifies the API server's certificate and name by this CA, as Python before 3.13 did.

    Many clusters' CA, EKS's among them, lacks extensions that VERIFY_X509_STRICT asks for:
    https://github.com/kubernetes-client/python/issues/2394
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def post_run_event(
    owner: Owner, counts: Mapping[str, int], exit_code: int, note: str, connect: Connect = connect_from_pod
) -> None:
    """Post what a run changed or failed, by outcome in `counts`; nothing when that is nothing and it exits 0.

    Blocks for a few seconds at most, and never raises.
    """
    if exit_code == 0 and not any(counts.values()):
        return
    # The same reason as in connect_from_pod.
    from kubernetes.client import ApiException, BatchV1Api, EventsV1Api  # noqa: PLC0415
    from kubernetes.config import ConfigException  # noqa: PLC0415

    try:
        with closing(connect()) as api:
            cronjob = BatchV1Api(api).read_namespaced_cron_job(
                owner.cronjob, owner.namespace, _request_timeout=TIMEOUT_SECONDS
            )
            uid = cronjob.metadata.uid if cronjob.metadata else None
            body = _event(owner, uid, _note(counts, exit_code, note), exit_code, datetime.now(UTC))
            EventsV1Api(api).create_namespaced_event(owner.namespace, body, _request_timeout=TIMEOUT_SECONDS)
    except (ApiException, ConfigException, HTTPError, OSError, ValueError) as error:
        reason = f"{error.status} {error.reason}" if isinstance(error, ApiException) else str(error)
        log.warning("event_not_posted", cronjob=owner.cronjob, namespace=owner.namespace, error=reason)


def _note(counts: Mapping[str, int], exit_code: int, note: str) -> str:
    parts = [f"{outcome} {count}" for outcome, count in counts.items() if count]
    if exit_code:
        parts.append(f"exit code {exit_code}")
    text = ", ".join(parts) + (f". {note}" if note else "")
    return text if len(text) <= NOTE_CHARACTERS else text[: NOTE_CHARACTERS - 1] + "…"


def _event(owner: Owner, uid: str | None, note: str, exit_code: int, now: datetime) -> "EventsV1Event":
    """The Event's body.

    `kubectl describe` shows only Events with the CronJob's uid. The API wants six fractional digits, which isoformat()
    drops at microsecond 0.
    """
    from kubernetes.client import EventsV1Event, V1ObjectMeta, V1ObjectReference  # noqa: PLC0415

    return EventsV1Event(
        metadata=V1ObjectMeta(generate_name=f"{owner.cronjob}-", namespace=owner.namespace),
        event_time=now.replace(microsecond=max(1, now.microsecond)),
        type="Warning" if exit_code else "Normal",
        reason="RunFailed" if exit_code else "AssetsChanged",
        action="Reconcile",
        note=note,
        regarding=V1ObjectReference(
            api_version="batch/v1", kind="CronJob", name=owner.cronjob, namespace=owner.namespace, uid=uid
        ),
        reporting_controller=CONTROLLER,
        reporting_instance=owner.pod,
    )
