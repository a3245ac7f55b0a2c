"""`assetuploader doctor` on the command line: with a conforming store, another store, and wrong settings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from assetuploader.multipart_check import CHECK_MULTIPART_KEY
from dev.seaweedfs import ACCESS_KEY, HOST, REGION, SECRET_KEY, LocalS3, free_port, running_s3
from tests.support.iam_recorder import Needed, recording
from tests.support.product import run_command

ORIGIN = "https://app.example.com"
ABORT_OWN = ("s3:AbortMultipartUpload", CHECK_MULTIPART_KEY)
LIST_UPLOADS = ("s3:ListBucketMultipartUploads", "")


@pytest.fixture(scope="module")
def conforming() -> Iterator[LocalS3]:
    """A store that keeps its promises."""
    with running_s3(free_port(), "assets") as s3:
        yield s3


@pytest.fixture(scope="module")
def nonconforming() -> Iterator[dict[str, str]]:
    """The settings of a nonconforming store: moto, which ignores the conditions of copies, and signatures."""
    server = ThreadedMotoServer(HOST, free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_REGION": REGION,
        "AWS_BUCKET": "assets",
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    raw(environment["AWS_ENDPOINT_URL_S3"]).create_bucket(Bucket="assets")
    yield environment
    server.stop()


def raw(endpoint_url: str) -> Any:  # noqa: ANN401 -- boto3's client
    """Return a plain boto3 client of the store."""
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


def run_doctor(environment: dict[str, str], *arguments: str) -> tuple[int, dict[str, list[str]]]:
    """Return the exit code, and the checks by severity."""
    run = run_command(("doctor", "--json", *arguments), environment)
    report = json.loads(run.stdout)
    assert report["exit_code"] == run.returncode
    checks: dict[str, list[str]] = {}
    for result in report["results"]:
        checks.setdefault(result["severity"], []).append(result["check"])
        assert bool(result["remediation"]) == (result["severity"] not in {"ok", "skipped"}), result
    return run.returncode, checks


def test_every_check_passes_on_a_conforming_store(conforming: LocalS3) -> None:
    """On SeaweedFS every check that applies passes, and only check objects remain in the bucket."""
    store = raw(conforming.endpoint_url)
    store.put_object(Bucket="assets", Key="temp/users", Body=b"a user's")
    code, checks = run_doctor(conforming.environment(), "--origin", ORIGIN)
    assert (code, checks["skipped"]) == (0, ["credentials", "region"])
    assert checks.keys() == {"ok", "skipped"}
    assert len(checks["ok"]) == 31
    keys = [found["Key"] for found in store.list_objects_v2(Bucket="assets")["Contents"]]
    assert keys == ["temp/users", "uploaded/_probe", "uploaded/_probe-multipart"]
    assert "Uploads" not in store.list_multipart_uploads(Bucket="assets")


def test_a_person_sees_a_line_for_each_check_and_what_to_do(conforming: LocalS3) -> None:
    """Without --json there is a tick or a cross for each check, and an arrow under each cross."""
    run = run_command(("doctor",), {**conforming.environment(), "AWS_BUCKET": "no-such-bucket"})
    assert run.returncode == 78
    assert run.stdout.splitlines() == [
        "- credentials: this store is not Amazon's, so STS cannot identify them",
        "✗ bucket: the bucket does not exist: create it, or correct AWS_BUCKET",
        (
            "  → Create no-such-bucket, or correct AWS_BUCKET and AWS_REGION; allow s3:ListBucket on it; "
            "check AWS_ENDPOINT_URL_S3."
        ),
        "1 of 2 checks failed",
    ]


@pytest.mark.parametrize(
    ("setting", "value", "code", "severity"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", 77, "access_denied"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1", 75, "unavailable"),
    ],
)
def test_the_exit_code_is_that_of_the_worst_result(
    conforming: LocalS3, setting: str, value: str, code: int, severity: str
) -> None:
    """Rejected and unreachable have different exit codes, the same as the reconciler's."""
    assert run_doctor({**conforming.environment(), setting: value}) == (
        code,
        {"skipped": ["credentials"], severity: ["bucket"]},
    )


def test_one_programs_permissions_can_be_tried_alone(conforming: LocalS3) -> None:
    """With --program service, permissions that only the reconciler needs are not checked."""
    _, service = run_doctor(conforming.environment(), "--program", "service")
    _, reconciler = run_doctor(conforming.environment(), "--program", "reconciler")
    alone = set(reconciler["ok"]) - set(service["ok"])
    assert alone == {
        "list temp/ (s3:ListBucket)",
        "copy temp/ to uploaded/",
        "write reports/ (s3:PutObject)",
        "abort uploads in parts (s3:AbortMultipartUpload, s3:ListBucketMultipartUploads)",
        "delete in temp/ (s3:DeleteObject)",
    }
    assert set(service["ok"]) - set(reconciler["ok"]) == {
        "declared size",
        "declared content type",
        "declared sha256",
        "write once",
        "uploads in parts",
        "read reports/ (s3:GetObject)",
    }


@pytest.mark.parametrize(
    ("program", "action", "code", "severity"),
    [("service", ABORT_OWN, 0, "warning"), ("reconciler", LIST_UPLOADS, 77, "access_denied")],
)
def test_the_policies_of_a_version_without_parts_are_recognized(
    conforming: LocalS3, program: str, action: Needed, code: int, severity: str
) -> None:
    """The service works with them, and refuses parts. The reconciler would not see uploads that are paid for."""
    with recording(conforming.endpoint_url, {action}) as proxy:
        environment = {**conforming.environment(), "AWS_ENDPOINT_URL_S3": proxy.endpoint_url}
        actual, checks = run_doctor(environment, "--program", program)
    [check] = checks[severity]
    assert (actual, "uploads in parts" in check) == (code, True)


def test_a_public_endpoint_that_leads_nowhere_is_found(conforming: LocalS3) -> None:
    """One cause, one result: all other checks use the endpoint of the programs."""
    elsewhere = {"ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL": "http://127.0.0.2:1"}
    code, checks = run_doctor({**conforming.environment(), **elsewhere})
    assert (code, checks.pop("unavailable"), checks.pop("warning")) == (75, ["public endpoint"], ["TLS"])
    assert checks.keys() == {"ok", "skipped"}


def test_a_trials_doctor_in_a_pod_only_warns(conforming: LocalS3) -> None:
    """Clients reach S3 at localhost, which is another machine for a pod."""
    trial = {"ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL": "http://localhost:1"}
    code, checks = run_doctor({**conforming.environment(), **trial})
    assert (code, checks.pop("warning")) == (0, ["public endpoint"])
    assert checks.keys() == {"ok", "skipped"}


@contextmanager
def responding(status: int) -> Iterator[str]:
    """Run a server that responds to everything with this status, as an ingress without a route does."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_OPTIONS = respond  # noqa: N815 -- http.server's names

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer((HOST, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("status", [404, 500])
def test_an_endpoint_that_is_not_s3_is_not_a_missing_permission(conforming: LocalS3, status: int) -> None:
    """Nor does it prove that nobody can read assets."""
    with responding(status) as url:
        environment = {**conforming.environment(), "ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL": url}
        code, checks = run_doctor(environment, "--program", "reconciler")
    assert (code, checks["failed"]) == (1, ["upload URL", "download URL", "anonymous access"])
    assert "copy temp/ to uploaded/" in checks["skipped"]
    assert "access_denied" not in checks


def test_a_nonconforming_store_is_recognized(nonconforming: dict[str, str]) -> None:
    """On moto the checks of the copy's conditions and of the unsigned copy source fail."""
    code, checks = run_doctor(nonconforming, "--origin", ORIGIN)
    assert code == 1
    assert checks["failed"] == [
        "CopyObject with x-amz-copy-source-if-match",
        "CopyObject with If-Match",
        "unsigned copy source",
    ]
    assert checks["warning"] == [
        "declared size",
        "declared content type",
        "declared sha256",
        "write once",
        "uploads in parts",
        "CORS",  # it exposes no ETag
    ]
    assert len(checks["ok"]) == 23


def test_settings_that_would_delete_data_are_reported(nonconforming: dict[str, str]) -> None:
    """A lifecycle rule on temp/ and versions that are kept without a limit are reported."""
    store = raw(nonconforming["AWS_ENDPOINT_URL_S3"])
    store.create_bucket(Bucket="other")
    rules = [{"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "temp/"}, "Expiration": {"Days": 1}}]
    store.put_bucket_lifecycle_configuration(Bucket="other", LifecycleConfiguration={"Rules": rules})
    store.put_bucket_versioning(Bucket="other", VersioningConfiguration={"Status": "Enabled"})
    _, checks = run_doctor({**nonconforming, "AWS_BUCKET": "other"})
    assert "lifecycle" in checks["failed"]
    assert "versioning" in checks["warning"]
