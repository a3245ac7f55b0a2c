"""Programs that cannot start: the exit code, and a reason that a person can act on."""

import json
import signal
import socket
from collections.abc import Mapping

import pytest
import urllib3

from assetuploader.conformance import CHECK_KEY
from dev.seaweedfs import ACCESS_KEY, HOST, REGION, SECRET_KEY, LocalS3, free_port
from tests.support.processes import ended, started
from tests.support.stores import BUCKET, moto, raw_client

PROGRAMS = ["serve", "reconcile"]
NO_CREDENTIALS = (
    "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role "
    "(IRSA or Pod Identity)"
)


def _exit_code_and_reason(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Return the exit code, and the reason in the last line of the log. A service that cannot start logs only that."""
    done = ended(arguments, environment)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 or arguments[0] == "reconcile", lines
    return done.returncode, json.loads(lines[-1])["reason"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_mistakes_in_the_configuration_are_reported_at_once(program: str) -> None:
    """Missing and invalid settings: 78 (EX_CONFIG), one line for each mistake, and no other line."""
    done = ended(
        [program],
        {
            "HOME": "/nowhere",
            "ASSETUPLOADER_GRACE_SECONDS": "1_0",
            "ASSETUPLOADER_SHARD_COUNT": "2",
            "JOB_COMPLETION_INDEX": "2",
        },
    )

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        "assetuploader: AWS_REGION: is not set; set it, or give --region",
        "assetuploader: AWS_BUCKET: is not set; set it, or give --bucket",
        "assetuploader: ASSETUPLOADER_GRACE_SECONDS: must be a whole number, in digits, not '1_0'",
        "assetuploader: JOB_COMPLETION_INDEX: must be below ASSETUPLOADER_SHARD_COUNT, which is 2, not '2'",
        f"assetuploader: {NO_CREDENTIALS}",
    ]


def test_missing_credentials_are_reported() -> None:
    """If only the credentials are missing: 78 and the reason, before any request."""
    environment = {"HOME": "/nowhere", "AWS_REGION": "us-east-1", "AWS_BUCKET": "assets"}

    assert _exit_code_and_reason(["reconcile"], environment) == (78, NO_CREDENTIALS)


def test_an_invalid_argument_is_a_usage_error() -> None:
    """64 (EX_USAGE), the usage, the invalid argument, and where to read more."""
    done = ended(["serve", "--nonsense"], {})

    assert done.returncode == 64
    assert done.stderr.startswith("usage: assetuploader")
    assert done.stderr.splitlines()[-2:] == [
        "assetuploader: unrecognized arguments: --nonsense",
        "Try assetuploader --help",
    ]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_bucket_that_does_not_exist_ends_the_program(s3: LocalS3, program: str) -> None:
    """78 (EX_CONFIG): a retry would not create the bucket."""
    reason = _exit_code_and_reason([program, "--bucket", "nobody-made-this"], s3.environment())

    assert reason == (78, "the bucket does not exist: create it, or correct AWS_BUCKET")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_wrong_secret_ends_the_program(s3: LocalS3, program: str) -> None:
    """77 (EX_NOPERM): S3 responds, and rejects the request."""
    code, reason = _exit_code_and_reason([program], {**s3.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"})

    assert code == 77
    assert reason.startswith("S3 responds 403 SignatureDoesNotMatch: check the credentials and their IAM policy")


@pytest.mark.parametrize("program", PROGRAMS)
def test_credentials_that_are_not_there_yet_are_worth_another_start(s3: LocalS3, program: str) -> None:
    """75 (EX_TEMPFAIL): on a new node, the agent of Pod Identity may start after the pod."""
    environment = {name: text for name, text in s3.environment().items() if "KEY" not in name}
    agent = f"http://{HOST}:{free_port()}/v1/credentials"

    code, reason = _exit_code_and_reason(
        [program], {**environment, "HOME": "/nowhere", "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent}
    )

    assert code == 75
    assert reason.startswith("the AWS credentials could not be fetched")


def test_whitespace_around_settings_is_ignored(s3: LocalS3) -> None:
    """A Secret or ConfigMap that was made with `echo` ends in a line break."""
    environment = {
        **s3.environment(),
        "ASSETUPLOADER_GRACE_SECONDS": "60",
        "ASSETUPLOADER_LOG_LEVEL": "info",
        "NO_PROXY": "example.com",
    }

    done = ended(["reconcile"], {name: f" {text}\n" for name, text in environment.items()})

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_line_break_in_a_key_ends_the_program(s3: LocalS3, program: str) -> None:
    """78, and the variable: no control character reaches a header."""
    token = "first\nsecond"  # noqa: S105 -- no secret
    code, reason = _exit_code_and_reason([program], {**s3.environment(), "AWS_SESSION_TOKEN": token})

    assert code == 78
    assert reason.startswith("the session token (AWS_SESSION_TOKEN) contains a space, a line break")


def test_a_run_that_cannot_reach_s3_ends_unavailable(s3: LocalS3) -> None:
    """75 (EX_TEMPFAIL): the CronJob's next run may succeed. A service waits instead."""
    code, reason = _exit_code_and_reason(
        ["reconcile"], {**s3.environment(), "AWS_ENDPOINT_URL_S3": f"http://{HOST}:{free_port()}"}
    )

    assert code == 75
    assert reason.startswith("S3 could not be reached: ")


def test_a_service_whose_port_is_taken_ends(s3: LocalS3) -> None:
    """78, and the port that is taken: the API's or that of the metrics."""
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        for flags in (
            ["--port", port, "--metrics-port", str(free_port())],
            ["--port", str(free_port()), "--metrics-port", port],
        ):
            done = ended(["serve", "--host", HOST, *flags], s3.environment())
            last = done.stderr.splitlines()[-1]
            assert (done.returncode, last) == (
                78,
                f"assetuploader: cannot listen on {HOST}:{port} (Address already in use): choose another host or port",
            )


def test_a_service_listens_on_both_families(s3: LocalS3) -> None:
    """By default, API and metrics answer to IPv4 and to IPv6, as an IPv6-only cluster needs."""
    port, metrics_port = free_port(), free_port()
    with (
        started(["serve", "--port", str(port), "--metrics-port", str(metrics_port)], s3.environment()) as service,
        urllib3.PoolManager(timeout=10, retries=False) as http,
    ):
        service.await_event("service_started")
        for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            for path in (f"{port}/livez", f"{metrics_port}/metrics"):
                assert http.request("GET", f"http://{host}:{path}").status == 200


def test_a_dry_run_writes_nothing(s3: LocalS3) -> None:
    """It runs no conformance check and writes no report, so read permission is enough."""
    client = raw_client(s3.endpoint_url)
    client.create_bucket(Bucket="untouched")
    client.put_object(Bucket="untouched", Key="temp/00000000-0000-4000-8000-000000000000")
    client.put_object(Bucket="untouched", Key=CHECK_KEY)

    done = ended(["reconcile", "--dry-run", "--bucket", "untouched"], s3.environment())

    finished = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, finished["dry_run"], finished["orphaned"]) == (0, True, 1)
    assert [listed["Key"] for listed in client.list_objects_v2(Bucket="untouched")["Contents"]] == [
        "temp/00000000-0000-4000-8000-000000000000",
        CHECK_KEY,
    ]


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unsupported_store_is_rejected(program: str) -> None:
    """78, and the check that failed: on such a store assets would be lost."""
    with moto() as store:
        environment = {
            "AWS_REGION": REGION,
            "AWS_BUCKET": BUCKET,
            "AWS_ENDPOINT_URL_S3": store.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }
        code, reason = _exit_code_and_reason([program], environment)

    assert code == 78
    assert reason == (
        "this store ignores conditions: CopyObject with x-amz-copy-source-if-match wrote although its condition failed"
    )


def test_a_service_that_waits_for_its_store_can_be_stopped(s3: LocalS3) -> None:
    """SIGTERM while the service waits for S3 is a clean exit, too."""
    environment = {**s3.environment(), "AWS_ENDPOINT_URL_S3": f"http://{HOST}:{free_port()}"}
    arguments = ["serve", "--host", HOST, "--port", str(free_port()), "--metrics-port", str(free_port())]
    with started(arguments, environment) as service:
        service.await_event("service_started")
        assert service.end(signal.SIGTERM) == 0
