"""The address of the bucket: host, path and region, as boto3 resolves them from its own configuration."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, urlsplit

from botocore.config import Config

from assetuploader.s3.sigv4 import Scope, encode_path

if TYPE_CHECKING:
    import boto3
    from types_boto3_s3 import S3Client

_KEY: Final = "k"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bucket's address."""

    scheme: str
    host: str
    """As in the `Host` header: with the port, unless it is the default of the scheme."""
    base_path: str
    """The encoded path of the bucket, with a trailing slash. The key follows it."""
    scope: Scope

    @property
    def origin(self) -> str:
        """Scheme and host, as in `https://s3.example.com`."""
        return f"{self.scheme}://{self.host}"

    def path_of(self, key: str) -> str:
        """Return the encoded path of this key, or of the bucket when the key is empty."""
        return self.base_path + encode_path(key) if key else self.base_path.rstrip("/") or "/"


def resolve_endpoint(session: "boto3.Session", bucket: str, endpoint_url: str | None) -> Endpoint:
    """Return the bucket's address: `endpoint_url`, or the one in boto3's environment or profile, or Amazon's.

    Raises:
        BotoCoreError, ValueError: boto3 rejects it.
    """
    if bucket.startswith("arn:"):  # copies name it differently, and some kinds need another signature
        raise ValueError("AWS_BUCKET is the name of a bucket or the alias of an access point, not an ARN")
    client = _client(session, endpoint_url, "virtual")
    # Amazon wants the bucket in the host name; other stores often cannot serve it there.
    if "amazonaws.com" not in (urlsplit(client.meta.endpoint_url).hostname or ""):
        client = _client(session, endpoint_url, "path")
    # boto3 signs the URL that it would send. Nothing is sent here.
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": _KEY}, ExpiresIn=60))
    signed = parse_qs(url.query)
    if signed.get("X-Amz-Algorithm") != ["AWS4-HMAC-SHA256"] or url.hostname is None:
        raise ValueError(f"bucket {bucket!r} needs another signature than SigV4")
    _, _, region, service, _ = signed["X-Amz-Credential"][0].split("/")
    return Endpoint(
        url.scheme,
        url.netloc,
        url.path.removesuffix(_KEY),
        Scope(region, service),
    )


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
