"""S3 behind a private CA, and a proxy that does not reach it: every program uses the same settings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from dev.seaweedfs import HOST, HttpsListener, free_port, running_s3
from tests.support.processes import ended, serving, started

OK = {"ok", "skipped", "warning"}
DEAD_PROXY = "http://127.0.0.1:1"
PROXIES = {"HTTP_PROXY": DEAD_PROXY, "HTTPS_PROXY": DEAD_PROXY, "NO_PROXY": "example.com,127.0.0.0/8"}


@dataclass(frozen=True, slots=True)
class TlsS3:
    """An S3 server that speaks TLS."""

    environment: Mapping[str, str]
    ca_bundle: str


@pytest.fixture(scope="module")
def tls_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsS3]:
    """SeaweedFS with a certificate of a private CA."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    issued = ca.issue_cert(HOST)
    ca.cert_pem.write_to_path(folder / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    https = HttpsListener(free_port(), folder / "certificate.pem", folder / "key.pem")
    with running_s3(free_port(), "assets", https=https) as s3:
        environment = {**s3.environment(), "AWS_ENDPOINT_URL_S3": f"https://{HOST}:{https.port}"}
        yield TlsS3(environment, str(folder / "ca.pem"))


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_all_programs_trust_the_bundle_and_bypass_the_proxy(tls_s3: TlsS3, variable: str) -> None:
    """Serve, reconcile, doctor and selftest reach S3 with either variable, and directly."""
    environment = {**tls_s3.environment, variable: tls_s3.ca_bundle, **PROXIES}
    with serving(environment) as service:
        assert ended(["reconcile"], environment).returncode == 0
        done = ended(["doctor", "--json"], environment)
        results = json.loads(done.stdout)["results"]
        assert {result["check"]: result["message"] for result in results if result["severity"] not in OK} == {}
        watching = {**environment, "ASSETUPLOADER_WATCH_SECONDS": "30", "ASSETUPLOADER_POLL_INTERVAL_SECONDS": "1"}
        with started(["reconcile"], watching):
            tested = ended(["selftest", service.url], environment)
    assert tested.returncode == 0, tested.stdout


@pytest.mark.parametrize("program", ["serve", "reconcile"])
def test_a_missing_bundle_is_named(tls_s3: TlsS3, program: str) -> None:
    """78, and the setting that is missing."""
    done = ended([program], tls_s3.environment)
    reason = json.loads(done.stderr.splitlines()[-1])["reason"]
    assert done.returncode == 78
    assert reason.startswith(f"the certificate of {HOST} is not trusted")
    assert reason.endswith("set AWS_CA_BUNDLE to a file with its CA")


def test_a_bundle_without_the_ca_is_named(tls_s3: TlsS3, tmp_path: Path) -> None:
    """78, and the file that lacks the CA."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    done = ended(["reconcile"], {**tls_s3.environment, "AWS_CA_BUNDLE": str(other)})
    assert done.returncode == 78
    assert f"put its CA into {other} (AWS_CA_BUNDLE)" in done.stderr
