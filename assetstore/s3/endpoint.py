"""Where the bucket is: host, path, region and trust, as boto3 resolves them from its own configuration."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, urlsplit

from botocore.config import Config
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from assetstore.errors import StoreMisconfiguredError
from assetstore.s3.sigv4 import Scope, encode_path

if TYPE_CHECKING:
    import boto3
    from types_boto3_s3 import S3Client

_KEY: Final = "k"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bucket's address."""

    scheme: str
    hostname: str
    port: int
    host: str
    """As the `Host` header says it."""
    root: str
    """The encoded path of the bucket, with a slash at its end; keys follow it."""
    scope: Scope

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return f"{self.scheme}://{self.host}"

    def path_of(self, key: str) -> str:
        """The encoded path of this key; of the bucket itself when it is empty."""
        return self.root + encode_path(key) if key else self.root.rstrip("/") or "/"


def resolve(session: "boto3.Session", bucket: str, endpoint_url: str | None) -> Endpoint:
    """The bucket's address: `endpoint_url`, or what boto3 finds in its environment and profile, or Amazon's.

    Raises:
        BotoCoreError, ValueError: boto3 cannot make sense of it.
    """
    if bucket.startswith("arn:"):  # copies name it differently, and some kinds need another signature
        raise ValueError("AWS_BUCKET is the name of a bucket or the alias of an access point, not an ARN")
    client = _client(session, endpoint_url, "virtual")
    # A store of one's own has no host name for each bucket; Amazon wants one.
    if "amazonaws.com" not in (urlsplit(client.meta.endpoint_url).hostname or ""):
        client = _client(session, endpoint_url, "path")
    # What boto3 would sign is what it would send: nothing goes over the wire here.
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": _KEY}, ExpiresIn=60))
    signed = parse_qs(url.query)
    if signed.get("X-Amz-Algorithm") != ["AWS4-HMAC-SHA256"] or url.hostname is None:
        raise ValueError(f"bucket {bucket!r} needs another signature than SigV4")
    _, _, region, service, _ = signed["X-Amz-Credential"][0].split("/")
    return Endpoint(
        url.scheme,
        url.hostname,
        url.port or (443 if url.scheme == "https" else 80),
        url.netloc,
        url.path.removesuffix(_KEY),
        Scope(region, service),
    )


def refuse_proxy(endpoint: Endpoint) -> None:
    """Say so when the environment asks for a proxy: there is no way through one here.

    Raises:
        StoreMisconfiguredError: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is set, and NO_PROXY does not name the endpoint.
    """
    proxies = get_environ_proxies(endpoint.origin)
    if endpoint.scheme in proxies or "all" in proxies:
        raise StoreMisconfiguredError(
            f"the environment sends {endpoint.scheme} through a proxy, which assetuploader cannot use: "
            f"add {endpoint.hostname} to NO_PROXY and let the pods reach it, best by a VPC endpoint"
        )


def trust(session: "boto3.Session", endpoint: Endpoint) -> ssl.SSLContext | None:
    """Whose certificates are believed: AWS_CA_BUNDLE (or `ca_bundle` of the profile) or REQUESTS_CA_BUNDLE alone, as
    in boto3; if neither is set, the system's and those that botocore brings. None for plain HTTP.

    Raises:
        StoreMisconfiguredError: the bundle cannot be read.
    """  # noqa: D205 -- one sentence
    if endpoint.scheme != "https":
        return None
    bundle = session._session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")  # noqa: SLF001
    try:
        if bundle:
            is_folder = Path(bundle).is_dir()
            context = (
                ssl.create_default_context(capath=bundle) if is_folder else ssl.create_default_context(cafile=bundle)
            )
        else:
            context = ssl.create_default_context()
            context.load_verify_locations(get_cert_path(verify=True))
    except OSError as error:  # ssl.SSLError is one
        raise StoreMisconfiguredError(f"the CA bundle {bundle} cannot be read: {error.strerror or error}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _client(session: "boto3.Session", endpoint_url: str | None, addressing: Literal["virtual", "path"]) -> "S3Client":
    return session.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id="only-to-resolve",
        aws_secret_access_key="only-to-resolve",  # noqa: S106 -- no secret
        config=Config(
            signature_version="s3v4",  # boto3 presigns with SigV2 by default
            s3={"addressing_style": addressing},
        ),
    )
