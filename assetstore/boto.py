"""S3 behind the door, by boto3 in threads. Nothing outside this file and `assetstore.boto_errors` knows of boto3."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from assetstore.boto_errors import translated
from assetstore.door import RESTATED_HEADERS, Bucket, Head, Listed, Page, Said, SignedUrl
from assetstore.errors import StoreMisconfiguredError

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from types_boto3_s3 import S3Client

THREADS: Final = 32
CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
COPY_SECONDS: Final = 300
"""S3 answers CopyObject when the copy is made: minutes for the 5 GB that one may have."""

_PARAMETERS: Final = {header: "".join(word.title() for word in header.split("-")) for header in RESTATED_HEADERS}


@dataclass(frozen=True, slots=True)
class BotoDoor:
    """`assetstore.door.Door` on one bucket."""

    bucket: str
    client: "S3Client"
    copying: "S3Client"
    """The same with a longer patience: a large copy takes minutes."""

    async def head(self, key: str) -> Head | None:
        """See `Door.head`."""
        with translated(missing_is_precondition=False):
            try:
                answer = await asyncio.to_thread(self.client.head_object, Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:  # noqa: PLR2004
                    return None
                raise
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return Head(
            _bare(answer["ETag"]),
            answer["ContentLength"],
            answer["LastModified"].astimezone(UTC),
            {name.lower(): value for name, value in answer["Metadata"].items()},
            {name: headers[name] for name in RESTATED_HEADERS if name in headers},
        )

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """See `Door.put_if`."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with translated(missing_is_precondition=etag is not None):
            answer = await asyncio.to_thread(
                self.client.put_object, Bucket=self.bucket, Key=key, Body=body, **condition, **_spoken(said)
            )
        return _bare(answer["ETag"])

    async def copy_if(self, source: str, source_etag: str, target: str, target_etag: str, said: Said) -> str:
        """See `Door.copy_if`."""
        with translated(missing_is_precondition=True):
            answer = await asyncio.to_thread(
                self.copying.copy_object,
                Bucket=self.bucket,
                Key=target,
                IfMatch=target_etag,
                CopySource={"Bucket": self.bucket, "Key": source},
                CopySourceIfMatch=source_etag,
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                **_spoken(said),
            )
        return _bare(answer["CopyObjectResult"]["ETag"])

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""
        with translated(missing_is_precondition=False):
            answer = await asyncio.to_thread(
                self.client.list_objects_v2, Bucket=self.bucket, Prefix=prefix, StartAfter=start_after
            )
        return Page(
            [Listed(found["Key"], found["LastModified"].astimezone(UTC)) for found in answer.get("Contents", ())],
            is_last=not answer["IsTruncated"],
            listed_at=parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]),
        )

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `Door.delete_many`."""
        with translated(missing_is_precondition=False):
            answer = await asyncio.to_thread(
                self.client.delete_objects,
                Bucket=self.bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
        return {failed["Key"]: failed.get("Code", "unknown") for failed in answer.get("Errors", ())}


@dataclass(frozen=True, slots=True)
class BotoSigner:
    """`assetstore.door.Signer` on one bucket, at the endpoint that clients reach."""

    bucket: str
    client: "S3Client"
    credentials: "Credentials"

    async def sign_upload(self, key: str, seconds: int) -> SignedUrl:
        """See `Signer.sign_upload`."""
        return await asyncio.to_thread(self._sign, "put_object", {"Key": key}, seconds)

    async def sign_download(self, key: str, seconds: int) -> SignedUrl:
        """See `Signer.sign_download`."""
        said = {"Key": key, "ResponseContentDisposition": "attachment"}
        return await asyncio.to_thread(self._sign, "get_object", said, seconds)

    def _sign(self, operation: str, parameters: dict[str, str], seconds: int) -> SignedUrl:
        with translated(missing_is_precondition=False):
            self.credentials.get_frozen_credentials()  # refreshes what is about to end
            # Temporary credentials know their end, but only privately: a URL dies with them, whatever it says.
            ends_at: datetime | None = getattr(self.credentials, "_expiry_time", None)
            if ends_at is not None:
                seconds = max(1, min(seconds, int((ends_at - datetime.now(UTC)).total_seconds())))
            url = self.client.generate_presigned_url(
                operation, Params={"Bucket": self.bucket, **parameters}, ExpiresIn=seconds
            )
        signed = parse_qs(urlsplit(url).query)
        signed_at = datetime.strptime(signed["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return SignedUrl(url, signed_at + timedelta(seconds=int(signed["X-Amz-Expires"][0])))


_NO_CREDENTIALS: Final = (
    "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role "
    "(IRSA or Pod Identity)"
)


def credentials_problems() -> list[str]:
    """What is wrong with the credentials, as far as can be told without S3: a line each, or none."""
    try:
        return [] if boto3.Session().get_credentials() else [_NO_CREDENTIALS]
    except BotoCoreError as error:
        return [f"boto3 refuses this configuration: {error}"]


def connect(region: str, bucket: str, public_endpoint_url: str | None) -> Bucket:
    """Make ready to use a bucket; nothing is sent yet.

    Credentials and the endpoint come from boto3's own chain (environment, profile, IRSA, Pod Identity, instance).

    Raises:
        StoreMisconfiguredError: there are no credentials, or an endpoint is no URL.
    """
    try:
        session = boto3.Session(region_name=region)
        credentials = session.get_credentials()
        if credentials is None:
            raise StoreMisconfiguredError(_NO_CREDENTIALS)
        client = _client(session, None, READ_SECONDS)
        signing = client if public_endpoint_url is None else _client(session, public_endpoint_url, READ_SECONDS)
        return Bucket(
            bucket,
            BotoDoor(bucket, client, _client(session, None, COPY_SECONDS)),
            BotoSigner(bucket, signing, credentials),
            BotoSigner(bucket, client, credentials),
        )
    except (BotoCoreError, ValueError) as error:  # ValueError: boto3's word for an endpoint that is no URL
        raise StoreMisconfiguredError(f"boto3 refuses this configuration: {error}") from error


def _client(session: boto3.Session, endpoint_url: str | None, read_seconds: int) -> "S3Client":
    def make(addressing_style: Literal["virtual", "path"]) -> "S3Client":
        config = Config(
            signature_version="s3v4",  # boto3 presigns with SigV2 by default, which drops conditions
            s3={"addressing_style": addressing_style},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            max_pool_connections=THREADS,
            retries={"mode": "standard", "total_max_attempts": 2},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return session.client("s3", endpoint_url=endpoint_url, config=config)

    client = make("virtual")
    # A store of one's own has no host name for each bucket; Amazon wants one.
    is_amazon = "amazonaws.com" in (urlsplit(client.meta.endpoint_url).hostname or "")
    return client if is_amazon else make("path")


def _bare(etag: str) -> str:
    return etag.strip('"')


def _spoken(said: Said) -> dict[str, Any]:
    headers = dict(said.headers)
    if "expires" in headers:  # a client may have sent anything; boto3 sends dates only
        try:
            headers["expires"] = format_datetime(parsedate_to_datetime(headers["expires"]))
        except ValueError:
            del headers["expires"]
    return {
        "Metadata": dict(said.metadata),
        "Tagging": urlencode(said.tags),
        **{_PARAMETERS[name]: value for name, value in headers.items()},
    }
