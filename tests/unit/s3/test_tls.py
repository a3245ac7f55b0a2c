"""TLS is spoken to whom AWS_CA_BUNDLE vouches for, by the name that was asked for, and to nobody else."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assetstore.s3.dial import Dialer
from assetstore.s3.endpoint import Endpoint, trust
from assetstore.s3.message import UntrustedError
from assetstore.s3.pool import Pool
from assetstore.s3.sigv4 import Scope
from tests.unit.s3.rig import a_request, an_answer
from tests.unit.s3.scripted import Server, Step
from tests.unit.s3.sessions import a_session


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost` that signs itself, in one file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
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
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextlib.asynccontextmanager
async def serving(certificate: Path, *steps: Step) -> AsyncIterator[Server]:
    """A scripted server behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    said = Server(steps=list(steps))
    listening = await asyncio.start_server(said.serve, "127.0.0.1", 0, ssl=context)
    said.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield said


def pool_of(host: str, port: int) -> Pool:
    """A pool that trusts whom the environment says."""
    endpoint = Endpoint("https", host, port, f"{host}:{port}", "/b/", Scope("us-east-1"))
    return Pool(Dialer(host, port, trust(a_session(), endpoint)).dial, 1)


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
async def test_whom_the_bundle_names_is_trusted(
    variable: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store with a certificate of one's own is reached over TLS, and its connection is kept."""
    monkeypatch.setenv(variable, str(certificate))
    async with serving(certificate, *[Step(an_answer(body=b"body"))] * 2) as server:
        pool = pool_of("localhost", server.port)
        for _ in range(2):
            assert (await pool.send(a_request())).body == b"body"
        assert server.connections == 1
        await pool.close()
        assert pool.open_connections == 0


async def test_who_is_not_vouched_for_is_not_spoken_to(certificate: Path) -> None:
    """Without the bundle the same store is refused, before a byte of a request was sent, and told what to set."""
    async with serving(certificate, Step(an_answer())) as server:
        pool = pool_of("localhost", server.port)
        with pytest.raises(UntrustedError, match="AWS_CA_BUNDLE"):
            await pool.send(a_request())
        assert server.requests == []
        await pool.close()


async def test_another_name_is_not_spoken_to(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted certificate for another name is refused all the same."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    async with serving(certificate, Step(an_answer())) as server:
        pool = pool_of("127.0.0.1", server.port)
        with pytest.raises(UntrustedError):
            await pool.send(a_request())
        assert server.requests == []
        await pool.close()
