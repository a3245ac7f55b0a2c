"""The S3 server of the benchmarks: one SeaweedFS that serves one bucket over HTTP and over HTTPS."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import trustme

from dev.seaweedfs import HOST, HttpsListener, free_port, running_s3


class Scheme(StrEnum):
    """How a program reaches S3."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


@dataclass(frozen=True, slots=True)
class BenchS3:
    """The running server."""

    pid: int
    environments: Mapping[Scheme, Mapping[str, str]]
    """All environment variables of a program under measurement."""


@contextmanager
def running_bench_s3() -> Iterator[BenchS3]:
    """Run the server, and point this process at it too: its environment is what boto3 reads.

    Raises:
        DevServerError: It did not start.
    """
    # PYTHONDONTWRITEBYTECODE, as in images, would have each start compile every module again.
    ours = ("ASSETUPLOADER_", "AWS_", "PYTHON")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with tempfile.TemporaryDirectory() as folder:
        https, ca_bundle = _https_listener(Path(folder))
        with running_s3(free_port(), "bench", https=https) as s3:
            http = {**inherited, **s3.environment(), "S3_ENDPOINT_URL": s3.endpoint_url}
            https_url = f"https://{HOST}:{https.port}"
            tls = {"AWS_ENDPOINT_URL_S3": https_url, "S3_ENDPOINT_URL": https_url, "AWS_CA_BUNDLE": str(ca_bundle)}
            tls["SSL_CERT_FILE"] = str(ca_bundle)  # version 0.1.0 reads it for one of its clients
            os.environ.clear()
            os.environ.update(http)
            yield BenchS3(s3.process.pid, {Scheme.HTTP: http, Scheme.HTTPS: {**http, **tls}})


def _https_listener(folder: Path) -> tuple[HttpsListener, Path]:
    ca = trustme.CA()
    issued = ca.issue_cert(HOST)
    ca_bundle, certificate, private_key = folder / "ca.pem", folder / "certificate.pem", folder / "key.pem"
    ca.cert_pem.write_to_path(ca_bundle)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(private_key)
    return HttpsListener(free_port(), certificate, private_key), ca_bundle
