"""The address of the bucket: host, path and region, as boto3 resolves them from its own configuration."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from botocore.config import Config
from botocore.session import Session

from assetuploader.s3.sigv4 import Scope, encode_path

_KEY: Final = "k"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bucket's address."""

    scheme: str
    host: str
    """As HTTP clients send it in the `Host` header, because it is signed: see `_to_host_header`."""
    base_path: str
    """The encoded path of the bucket, with a trailing slash. The key follows it."""
    scope: Scope

    @property
    def origin(self) -> str:
        """Scheme and host, as in `https://s3.example.com`."""
        return f"{self.scheme}://{self.host}"

    def path_of(self, key: str) -> str:
        """Return the encoded path of this key, or of the bucket when the key is empty."""
        if key:
            return self.base_path + encode_path(key)
        return self.base_path.rstrip("/") or "/"


def resolve_endpoint(session: Session, bucket: str, endpoint_url: str | None) -> Endpoint:
    """Return the bucket's address: `endpoint_url`, or the one in boto3's environment or profile, or Amazon's.

    Raises:
        BotoCoreError, ValueError: boto3 rejects it.
    """
    if bucket.startswith("arn:"):  # CopyObject takes ARNs in another form, and some kinds need another signature
        raise ValueError("AWS_BUCKET must be the name of a bucket or the alias of an access point, not an ARN")
    client: Any = session.create_client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id="only-to-resolve",
        aws_secret_access_key="only-to-resolve",  # noqa: S106 -- no secret
        config=Config(
            signature_version="s3v4",  # boto3 presigns with SigV2 by default
            s3={"addressing_style": "virtual"},
        ),
    )
    # boto3 signs the URL that it would send. Nothing is sent here.
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": _KEY}, ExpiresIn=60))
    signed = parse_qs(url.query)
    if signed.get("X-Amz-Algorithm") != ["AWS4-HMAC-SHA256"] or url.hostname is None:
        raise ValueError(f"bucket {bucket!r} cannot be used with SigV4: set AWS_BUCKET to a bucket of one region")
    # Amazon wants the bucket in the host name; other stores often cannot serve it there.
    if "amazonaws.com" not in url.hostname:
        url = urlsplit(f"{client.meta.endpoint_url.rstrip('/')}/{bucket}/{_KEY}")
    _, _, region, service, _ = signed["X-Amz-Credential"][0].split("/")
    return Endpoint(url.scheme, _to_host_header(url), url.path.removesuffix(_KEY), Scope(region, service))


def _to_host_header(url: SplitResult) -> str:
    """Return the host as HTTP clients send it: in lower case, without the default port of the scheme.

    Raises:
        ValueError: This cannot be a host or a port.
    """
    if url.hostname is None or url.username is not None:
        raise ValueError("an endpoint is scheme, host and port, as in https://s3.example.com")
    try:
        host = f"[{IPv6Address(url.hostname)}]"
    except ValueError:
        host = url.hostname.rstrip(".")
    return host if url.port in {None, _DEFAULT_PORTS[url.scheme]} else f"{host}:{url.port}"
