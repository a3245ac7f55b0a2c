"""The reconciler's Kubernetes Events, received by an API server that records its requests."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration
from structlog.testing import capture_logs

from reconciler.events import CronJobRef, connect_from_pod, cronjob_ref_from, post_run_event
from reconciler.shards import Shard

CRONJOB_REF = CronJobRef(cronjob="assets-reconciler", namespace="assets", pod="assets-reconciler-1-x")
CRONJOB_PATH = "/apis/batch/v1/namespaces/assets/cronjobs/assets-reconciler"
CRONJOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "assets-reconciler", "uid": "uid-1"},
    "spec": {
        "schedule": "* * * * *",
        "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "reconciler"}]}}}},
    },
}
EVENTS_PATH = "/apis/events.k8s.io/v1/namespaces/assets/events"


@dataclass
class ApiServer:
    """A fake API server that records the two requests and responds to them."""

    statuses: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    url: str = ""

    def connect(self) -> ApiClient:
        """Return a client of this server."""
        configuration = Configuration(host=self.url)
        configuration.retries = False
        return ApiClient(configuration)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """Start a fake API server, and stop it after the test."""
    with _serve(ApiServer()) as server:
        yield server


@contextmanager
def _serve(server: ApiServer) -> Iterator[ApiServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond("GET", CRONJOB)

        def do_POST(self) -> None:
            self._respond("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _respond(self, method: str, body: dict[str, Any]) -> None:
            server.requests.append((method, self.path, body if method == "POST" else None))
            payload = json.dumps(body).encode()
            self.send_response(server.statuses.get(method, 200))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{listener.server_port}"
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def _get_posted_event(api: ApiServer) -> dict[str, Any]:
    assert [(method, path) for method, path, _ in api.requests] == [("GET", CRONJOB_PATH), ("POST", EVENTS_PATH)]
    body: dict[str, Any] = api.requests[1][2]
    return body


def test_a_run_that_changed_something_posts_one_event_about_the_cronjob(api: ApiServer) -> None:
    """The Event carries the CronJob's uid, the counts that are not 0, and every field that the API requires."""
    post_run_event(CRONJOB_REF, Shard(), {"finalized": 3, "expired": 0, "swept": 1}, 0, "", api.connect)
    body = _get_posted_event(api)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", body.pop("eventTime"))
    assert body == {
        "metadata": {"generateName": "assets-reconciler-", "namespace": "assets"},
        "type": "Normal",
        "reason": "AssetsChanged",
        "action": "Reconcile",
        "note": "finalized 3, swept 1",
        "regarding": {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": "assets-reconciler",
            "namespace": "assets",
            "uid": "uid-1",
        },
        "reportingController": "assetuploader/reconciler",
        "reportingInstance": "assets-reconciler-1-x",
    }


def test_a_failed_run_posts_a_warning_with_its_exit_code(api: ApiServer) -> None:
    """A run that ends with another code than 0 is a Warning, although it changed nothing."""
    post_run_event(CRONJOB_REF, Shard(), {}, 75, "S3 is unreachable", api.connect)
    body = _get_posted_event(api)
    assert (body["type"], body["reason"], body["note"]) == ("Warning", "RunFailed", "exit code 75. S3 is unreachable")


def test_a_run_without_changes_sends_nothing_to_the_api_server(api: ApiServer) -> None:
    """Idle runs, one a minute, do not fill the list of Events."""
    post_run_event(CRONJOB_REF, Shard(), {"finalized": 0}, 0, "", api.connect)
    assert api.requests == []


def test_a_long_note_is_cut_to_what_the_api_takes(api: ApiServer) -> None:
    """A note has at most 1,024 bytes and ends with a whole character."""
    post_run_event(CRONJOB_REF, Shard(), {"failed": 1}, 1, "x" + "\u00fc" * 2000, api.connect)
    assert len(_get_posted_event(api)["note"].encode()) in {1023, 1024}
    assert _get_posted_event(api)["note"].endswith("\u00fc\u2026")


def test_an_event_of_a_sharded_run_names_the_shard(api: ApiServer) -> None:
    """All shards post their Events on the same CronJob."""
    post_run_event(CRONJOB_REF, Shard(3, 16), {"finalized": 1}, 0, "", api.connect)
    assert _get_posted_event(api)["note"] == "shard 3 of 16: finalized 1"


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [({"GET": 403}, "403 Forbidden"), ({"GET": 404}, "404 Not Found"), ({"POST": 500}, "500 Internal Server Error")],
)
def test_a_rejected_event_is_one_warning_and_no_error(api: ApiServer, statuses: dict[str, int], reason: str) -> None:
    """A rejected Event is logged once, with the status, and the run continues."""
    api.statuses.update(statuses)
    with capture_logs() as logs:
        post_run_event(CRONJOB_REF, Shard(), {"finalized": 1}, 0, "", api.connect)
    assert logs == [
        {
            "event": "kubernetes_event_failed",
            "log_level": "warning",
            "cronjob": "assets-reconciler",
            "namespace": "assets",
            "error": reason,
        }
    ]


def _connect_to_closed_port() -> ApiClient:
    configuration = Configuration(host="http://127.0.0.1:1")
    configuration.retries = False
    return ApiClient(configuration)


@pytest.mark.parametrize(
    "connect", [_connect_to_closed_port, connect_from_pod], ids=["unreachable", "outside-a-cluster"]
)
def test_an_absent_api_server_is_one_warning_and_no_error(connect: Callable[[], ApiClient]) -> None:
    """Neither a closed port nor a machine outside a cluster raises an error."""
    with capture_logs() as logs:
        post_run_event(CRONJOB_REF, Shard(), {"finalized": 1}, 0, "", connect)
    assert [entry["event"] for entry in logs] == ["kubernetes_event_failed"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"ASSETUPLOADER_CRONJOB": "c"}, None),
        ({"ASSETUPLOADER_NAMESPACE": "n"}, None),
        ({"ASSETUPLOADER_CRONJOB": "", "ASSETUPLOADER_NAMESPACE": "n"}, None),
        (
            {"ASSETUPLOADER_CRONJOB": "c", "ASSETUPLOADER_NAMESPACE": "n", "HOSTNAME": "p"},
            CronJobRef(cronjob="c", namespace="n", pod="p"),
        ),
    ],
)
def test_events_are_off_unless_the_environment_names_the_cronjob(
    environ: dict[str, str], expected: CronJobRef | None
) -> None:
    """Without the chart's two variables no Event is posted."""
    assert cronjob_ref_from(environ) == expected
