"""S3 behind the door, by boto3 in threads. Nothing outside this file and `assetstore.boto_errors` knows of boto3."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from assetstore.boto_errors import translated
from assetstore.calls import Called, Ending, Observe, observe_nothing
from assetstore.door import RESTATED_HEADERS, Bucket, Head, Listed, Page, Said, SignedUrl
from assetstore.errors import (
    PreconditionFailedError,
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from types_boto3_s3 import S3Client

THREADS: Final = 32
CONNECT_SECONDS: Final = 2
READ_SECONDS: Final = 5
COPY_SECONDS: Final = 300
"""S3 answers CopyObject when the copy is made: minutes for the 5 GB that one may have."""

T = TypeVar("T")

_PARAMETERS: Final = {header: "".join(word.title() for word in header.split("-")) for header in RESTATED_HEADERS}


@dataclass(frozen=True, slots=True)
class BotoDoor:
    """`assetstore.door.Door` on one bucket."""

    bucket: str
    client: "S3Client"
    copying: "S3Client"
    """The same with a longer patience: a large copy takes minutes."""
    observe: Observe = observe_nothing

    async def head(self, key: str) -> Head | None:
        """See `Door.head`."""
        answer = await self._call(
            "HeadObject", lambda: _or_none(lambda: self.client.head_object(Bucket=self.bucket, Key=key))
        )
        if answer is None:
            return None
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return Head(
            _bare(answer["ETag"]),
            answer["ContentLength"],
            answer["LastModified"].astimezone(UTC),
            {name.lower(): value for name, value in answer["Metadata"].items()},
            {name: _text(headers[name]) for name in RESTATED_HEADERS if name in headers},
        )

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """See `Door.put_if`."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        answer = await self._call(
            "PutObject",
            lambda: self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **condition, **_spoken(said)),
            missing_is_precondition=etag is not None,
        )
        return _bare(answer["ETag"])

    async def copy_if(self, source: str, source_etag: str, target: str, target_etag: str, said: Said) -> str:
        """See `Door.copy_if`."""
        answer = await self._call(
            "CopyObject",
            lambda: self.copying.copy_object(
                Bucket=self.bucket,
                Key=target,
                IfMatch=target_etag,
                CopySource={"Bucket": self.bucket, "Key": source},
                CopySourceIfMatch=source_etag,
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                **_spoken(said),
            ),
            missing_is_precondition=True,
        )
        return _bare(answer["CopyObjectResult"]["ETag"])

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""
        answer = await self._call(
            "ListObjectsV2",
            lambda: self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, StartAfter=start_after),
        )
        return Page(
            [Listed(found["Key"], found["LastModified"].astimezone(UTC)) for found in answer.get("Contents", ())],
            is_last=not answer["IsTruncated"],
            listed_at=parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]),
        )

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `Door.delete_many`."""
        answer = await self._call(
            "DeleteObjects",
            lambda: self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            ),
        )
        return {failed["Key"]: failed.get("Code", "unknown") for failed in answer.get("Errors", ())}

    async def get(self, key: str, limit_bytes: int) -> bytes | None:
        """See `ReportStore.get`."""

        def read() -> bytes | None:
            answer = _or_none(lambda: self.client.get_object(Bucket=self.bucket, Key=key))
            if answer is None:
                return None
            with closing(answer["Body"]) as body:
                return body.read(limit_bytes + 1)

        found = await self._call("GetObject", read)
        if found is not None and len(found) > limit_bytes:
            raise StoreUnavailableError(f"{key} is longer than {limit_bytes} bytes: it is none of ours")
        return found

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """See `ReportStore.put`."""
        await self._call(
            "PutObject",
            lambda: self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type),
        )

    async def _call(self, operation: str, call: Callable[[], T], *, missing_is_precondition: bool = False) -> T:
        started_at = time.perf_counter()
        ending, retries = Ending.CANCELLED, 0
        try:
            with translated(missing_is_precondition=missing_is_precondition):
                answer = await asyncio.to_thread(call)
            ending = Ending.MISSING if answer is None else Ending.DONE
            retries = _retries(answer)
        except (StoreError, PreconditionFailedError) as error:
            ending, retries = _ending(error), _retries(getattr(error.__cause__, "response", None))
            raise
        finally:
            self.observe(Called(operation, ending, time.perf_counter() - started_at, retries))
        return answer


def _or_none(call: Callable[[], T]) -> T | None:
    """What the call answers, None when there is no such object."""
    try:
        return call()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in {"404", "NoSuchKey"}:
            return None
        raise


def _retries(answer: object) -> int:
    metadata = answer.get("ResponseMetadata", {}) if isinstance(answer, dict) else {}
    return int(metadata.get("RetryAttempts", 0))


def _ending(error: Exception) -> Ending:
    match error:
        case PreconditionFailedError():
            return Ending.PRECONDITION_FAILED
        case StoreDeniedError():
            return Ending.DENIED
        case StoreUnavailableError():
            return Ending.UNAVAILABLE
        case _:
            return Ending.MISCONFIGURED


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


def connect(region: str, bucket: str, public_endpoint_url: str | None, *, observe: Observe = observe_nothing) -> Bucket:
    """Make ready to use a bucket; nothing is sent yet. `observe` is told of each call's end.

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
        door = BotoDoor(bucket, client, _client(session, None, COPY_SECONDS), observe)
        return Bucket(
            bucket,
            door,
            door,
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


def _text(header: str) -> str:
    """The header as its client wrote it: http.client reads Latin-1 where most write UTF-8, and boto3 writes UTF-8."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _spoken(said: Said) -> dict[str, Any]:
    headers = dict(said.headers)
    if "expires" in headers:  # a client may have sent anything; boto3 sends dates only
        try:
            expires_at = parsedate_to_datetime(headers["expires"]).astimezone(UTC)
            headers["expires"] = format_datetime(expires_at, usegmt=True)
        except (ValueError, OverflowError):
            del headers["expires"]
    return {
        "Metadata": dict(said.metadata),
        "Tagging": urlencode(said.tags),
        **{_PARAMETERS[name]: value for name, value in headers.items()},
    }
