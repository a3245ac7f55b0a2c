"""TLS connects only to hosts whose certificate is valid for their name and signed by a trusted CA."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assetuploader.errors import StoreMisconfiguredError
from assetuploader.http_settings import HttpSettings
from assetuploader.s3.http import CertificateError
from assetuploader.s3.transport import AiohttpTransport
from tests.support.fake_server import Server, Step
from tests.support.s3_harness import build_request, http_response


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a self-signed certificate for `localhost`, in one file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextlib.asynccontextmanager
async def serving(certificate: Path, *steps: Step) -> AsyncIterator[Server]:
    """Run a fake server behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = Server(steps=list(steps))
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        try:
            yield server
        finally:
            await server.close()


@pytest.fixture
def transport_to() -> Callable[..., AiohttpTransport]:
    """Return a function that opens a transport with the environment's CA bundle."""

    def open_transport(host: str, port: int) -> AiohttpTransport:
        return AiohttpTransport(f"https://{host}:{port}", HttpSettings.from_environment(os.environ), 1)

    return open_transport


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
async def test_a_ca_of_the_bundle_is_trusted(
    variable: str, certificate: Path, monkeypatch: pytest.MonkeyPatch, transport_to: Callable[..., AiohttpTransport]
) -> None:
    """A store with a private CA is reached over TLS, and its connection is kept."""
    monkeypatch.setenv(variable, str(certificate))
    async with serving(certificate, *[Step(http_response(body=b"body"))] * 2) as server:
        transport = transport_to("localhost", server.port)
        for _ in range(2):
            response = await transport.send(build_request(f"https://localhost:{server.port}"))
            assert response.body == b"body"
        assert server.connections == 1
        await transport.aclose()


async def test_an_unknown_ca_is_rejected(certificate: Path, transport_to: Callable[..., AiohttpTransport]) -> None:
    """Without the bundle nothing is sent, and the error names the setting."""
    async with serving(certificate, Step(http_response())) as server:
        transport = transport_to("localhost", server.port)
        with pytest.raises(CertificateError, match="AWS_CA_BUNDLE") as caught:
            await transport.send(build_request(f"https://localhost:{server.port}"))
        assert not caught.value.is_retryable
        assert server.requests == []
        await transport.aclose()


async def test_another_host_name_is_rejected(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, transport_to: Callable[..., AiohttpTransport]
) -> None:
    """A trusted certificate for another name is not enough."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    async with serving(certificate, Step(http_response())) as server:
        transport = transport_to("127.0.0.1", server.port)
        with pytest.raises(CertificateError):
            await transport.send(build_request(f"https://127.0.0.1:{server.port}"))
        assert server.requests == []
        await transport.aclose()


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "nothing"], ids=["missing", "broken"])
def test_an_unreadable_bundle_is_reported(variable: str, content: str | None, tmp_path: Path) -> None:
    """The error names the file."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(StoreMisconfiguredError, match=r"bundle\.pem"):
        HttpSettings.from_environment({variable: str(bundle)}).create_ssl_context()


@pytest.mark.parametrize("ca_bundle", [None, certifi.where()])
def test_certificates_are_verified_without_the_strict_rules(ca_bundle: str | None) -> None:
    """Certificate and host name are required; the extensions that many companies' and clusters' CAs lack are not."""
    context = HttpSettings(ca_bundle).create_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_without_a_bundle_the_public_cas_are_trusted() -> None:
    """Certificates and host names are verified against a store of CAs that is not empty."""
    context = HttpSettings().create_ssl_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) > 50
