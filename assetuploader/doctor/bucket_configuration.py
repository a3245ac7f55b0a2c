"""The bucket's configuration, read by boto3. The programs do not need it, so an operator's credentials read it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError

from assetuploader.errors import (
    StoreAccessDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from assetuploader.http_settings import HttpSettings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CLIENT_CONFIG: Final = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})


class ConfigurationItem(StrEnum):
    """A setting of the bucket; its value is the IAM action that allows reading it."""

    BUCKET = "s3:ListBucket"
    LIFECYCLE = "s3:GetLifecycleConfiguration"
    VERSIONING = "s3:GetBucketVersioning"
    OBJECT_LOCK = "s3:GetBucketObjectLockConfiguration"
    PUBLIC_ACCESS = "s3:GetBucketPublicAccessBlock"
    POLICY = "s3:GetBucketPolicy"


_ABSENT: Final = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchLifecycleConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
        "ObjectLockConfigurationNotFoundError",
    }
)
_UNSUPPORTED: Final = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented", "InvalidRequest"})


class BucketConfiguration(Protocol):
    """The configuration of a bucket, and the identity that reads it."""

    @property
    def is_amazon(self) -> bool:
        """Whether this is Amazon S3."""

    async def caller_identity(self) -> str:
        """Return the ARN that the credentials belong to. Raises StoreError."""

    async def read(self, item: ConfigurationItem) -> Mapping[str, Any] | None:
        """Return S3's response, None when the item is not configured.

        Raises:
            StoreUnsupportedError: The store does not support this setting.
            StoreError: The request to S3 failed.
        """


@dataclass(frozen=True, slots=True)
class BotoBucketConfiguration:
    """`BucketConfiguration` by boto3."""

    bucket: str
    is_amazon: bool
    client: "S3Client"
    sts: Any

    async def caller_identity(self) -> str:
        """See `BucketConfiguration.caller_identity`."""
        identity = await asyncio.to_thread(_call, self.sts.get_caller_identity)
        return str(identity["Arn"]) if identity else "unknown"

    async def read(self, item: ConfigurationItem) -> Mapping[str, Any] | None:
        """See `BucketConfiguration.read`."""
        client, bucket = self.client, self.bucket
        operations: dict[ConfigurationItem, Callable[[], Mapping[str, Any]]] = {
            ConfigurationItem.BUCKET: lambda: client.head_bucket(Bucket=bucket),
            ConfigurationItem.LIFECYCLE: lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket),
            ConfigurationItem.VERSIONING: lambda: client.get_bucket_versioning(Bucket=bucket),
            ConfigurationItem.OBJECT_LOCK: lambda: client.get_object_lock_configuration(Bucket=bucket),
            ConfigurationItem.PUBLIC_ACCESS: lambda: client.get_public_access_block(Bucket=bucket),
            ConfigurationItem.POLICY: lambda: client.get_bucket_policy(Bucket=bucket),
        }
        return await asyncio.to_thread(_call, operations[item])


def open_bucket_configuration(region: str, bucket: str, http: HttpSettings) -> BotoBucketConfiguration:
    """Prepare to read the configuration with the CAs and proxies of all our clients; nothing is sent yet.

    Raises:
        StoreMisconfiguredError: boto3 rejects the settings.
    """
    try:
        session = boto3.Session(region_name=region)
        client = _create_client(session, "s3", http, CLIENT_CONFIG.merge(Config(s3={"addressing_style": "path"})))
        sts = _create_client(session, "sts", http, CLIENT_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise StoreMisconfiguredError(f"boto3 rejects this configuration: {error}") from error
    is_amazon = "amazonaws.com" in (urlsplit(client.meta.endpoint_url).hostname or "")
    return BotoBucketConfiguration(bucket, is_amazon, client, sts)


def _create_client(session: boto3.Session, service: Literal["s3", "sts"], http: HttpSettings, config: Config) -> Any:  # noqa: ANN401 -- boto3's
    endpoint_url = session.client(service, config=config).meta.endpoint_url
    proxy = http.proxy_for(endpoint_url)
    # boto3's own reading of NO_PROXY knows no networks.
    proxies = {} if proxy is None else {urlsplit(endpoint_url).scheme: proxy}
    client: Any = session.client(service, config=config.merge(Config(proxies=proxies)), verify=http.ca_bundle)
    if endpoint_url.startswith("https:"):
        # boto3 has no setting for the TLS context. Its own is strict on Python 3.13: see HttpSettings.
        manager = client._endpoint.http_session._manager  # noqa: SLF001
        manager.connection_pool_kw["ssl_context"] = http.create_ssl_context()
    return client


def _call(operation: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    try:
        return operation()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code in _ABSENT:
            return None
        if code in _UNSUPPORTED or status in {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}:
            raise StoreUnsupportedError(f"this store does not support the setting ({status} {code})") from None
        if code == "NoSuchBucket" or (code == "404" and status == HTTPStatus.NOT_FOUND):
            raise StoreMisconfiguredError("the bucket does not exist: create it, or correct AWS_BUCKET") from None
        if status in {301, 307, 400}:  # the response to HEAD has no code: 400 is a wrong region, or an expired token
            raise StoreMisconfiguredError(
                f"S3 responds {status} {code}: check AWS_REGION, the endpoint and AWS_SESSION_TOKEN"
            ) from None
        if status in {401, 403}:
            raise StoreAccessDeniedError(f"S3 responds {status} {code}") from None
        raise StoreUnavailableError(f"S3 responds {status} {code}") from None
    except SSLError as error:
        raise StoreMisconfiguredError(f"the certificate of S3 is not trusted: check AWS_CA_BUNDLE ({error})") from error
    except BotoCoreError as error:
        raise StoreUnavailableError(f"S3 could not be reached ({type(error).__name__})") from error
