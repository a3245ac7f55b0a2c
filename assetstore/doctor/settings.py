"""The bucket's settings, read by boto3. Only a person's credentials may read most of them, and no program needs to."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from assetstore.errors import StoreDeniedError, StoreMisconfiguredError, StoreUnavailableError, StoreUnfitError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PATIENCE: Final = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})


class Setting(StrEnum):
    """What can be read, by the IAM action that allows it."""

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
_UNKNOWN: Final = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented", "InvalidRequest"})


class Settings(Protocol):
    """A bucket's settings, and who asks for them."""

    @property
    def is_amazon(self) -> bool:
        """Whether this is Amazon's S3."""

    async def who(self) -> str:
        """The identity that these credentials are. Raises StoreError."""

    async def read(self, setting: Setting) -> Mapping[str, Any] | None:
        """What S3 answers; None when there is no such setting. Raises StoreError; unfit: the store knows none."""


@dataclass(frozen=True, slots=True)
class BotoSettings:
    """`Settings` of one bucket."""

    bucket: str
    is_amazon: bool
    session: boto3.Session
    client: "S3Client"

    async def who(self) -> str:
        """See `Settings.who`."""
        sts = self.session.client("sts", config=_PATIENCE)
        answer = await asyncio.to_thread(_asked, sts.get_caller_identity)
        return str(answer["Arn"]) if answer else "nobody"

    async def read(self, setting: Setting) -> Mapping[str, Any] | None:
        """See `Settings.read`."""
        client, bucket = self.client, self.bucket
        calls: dict[Setting, Callable[[], Mapping[str, Any]]] = {
            Setting.BUCKET: lambda: client.head_bucket(Bucket=bucket),
            Setting.LIFECYCLE: lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket),
            Setting.VERSIONING: lambda: client.get_bucket_versioning(Bucket=bucket),
            Setting.OBJECT_LOCK: lambda: client.get_object_lock_configuration(Bucket=bucket),
            Setting.PUBLIC_ACCESS: lambda: client.get_public_access_block(Bucket=bucket),
            Setting.POLICY: lambda: client.get_bucket_policy(Bucket=bucket),
        }
        return await asyncio.to_thread(_asked, calls[setting])


def open_settings(region: str, bucket: str) -> BotoSettings:
    """The bucket's settings; nothing is asked yet.

    Raises:
        StoreMisconfiguredError: boto3 refuses the configuration.
    """
    try:
        session = boto3.Session(region_name=region)
        client = session.client("s3", config=_PATIENCE.merge(Config(s3={"addressing_style": "path"})))
    except (BotoCoreError, ValueError) as error:
        raise StoreMisconfiguredError(f"boto3 refuses this configuration: {error}") from error
    is_amazon = "amazonaws.com" in (urlsplit(client.meta.endpoint_url).hostname or "")
    return BotoSettings(bucket, is_amazon, session, client)


def _asked(call: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    try:
        return call()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code in _ABSENT:
            return None
        if code in _UNKNOWN or status in {405, 501}:
            raise StoreUnfitError(f"this store knows no such setting ({status} {code})") from None
        if code == "NoSuchBucket" or (code == "404" and status == 404):  # noqa: PLR2004
            raise StoreMisconfiguredError("the bucket does not exist: create it, or correct AWS_BUCKET") from None
        if status in {301, 307, 400}:
            raise StoreMisconfiguredError(f"S3 answers {status} {code}: is the bucket in this region?") from None
        if status in {401, 403}:
            raise StoreDeniedError(f"S3 answers {status} {code}") from None
        raise StoreUnavailableError(f"S3 answers {status} {code}") from None
    except BotoCoreError as error:
        raise StoreUnavailableError(f"S3 could not be reached ({type(error).__name__})") from error
