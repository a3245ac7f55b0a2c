"""Presigned URLs equal boto3's byte for byte, and their expiry is the true one."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials

from assetuploader.s3.clock import Clock
from assetuploader.s3.credentials import CredentialCache
from assetuploader.s3.endpoint import resolve_endpoint
from assetuploader.s3.presigner import S3Presigner
from assetuploader.s3.signing import SigningKeyProvider
from assetuploader.store import PartTarget
from tests.support.boto_sessions import boto3_session, botocore_session

KEY = "temp/5e0cbbde-7b5b-4d34-b8d4-5a1b1b1b1b1b"
PART = PartTarget("a+b/c=&d e", 10_000, 5_368_709_120)


@pytest.mark.parametrize("token", [None, "a/token+with=signs"])
@pytest.mark.parametrize("endpoint_url", ["http://127.0.0.1:8333", "https://s3.example"])
@pytest.mark.parametrize(
    ("operation", "headers"),
    [
        ("put_object", {}),
        ("get_object", {"content-disposition": "attachment"}),
        (
            "get_object",
            {
                "cache-control": "private, max-age=60",
                "content-disposition": "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A4%20b.txt",
                "content-encoding": "identity",
            },
        ),
        ("upload_part", {}),
    ],
)
async def test_urls_are_boto3s(operation: str, headers: dict[str, str], endpoint_url: str, token: str | None) -> None:
    """An upload URL, a part URL and a download URL equal boto3's of the same second."""
    client = boto3_session("eu-central-1").client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id="AK",
        aws_secret_access_key="SK",  # noqa: S106 -- no secret
        aws_session_token=token,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    parameters: dict[str, str | int] = {
        f"Response{name.title().replace('-', '')}": value for name, value in headers.items()
    }
    if operation == "upload_part":
        parameters = {"UploadId": PART.upload_id, "PartNumber": PART.number, "ContentLength": PART.size}
    theirs = client.generate_presigned_url(operation, Params={"Bucket": "b", "Key": KEY, **parameters}, ExpiresIn=900)
    at = datetime.strptime(parse_qs(urlsplit(theirs).query)["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    clock = Clock(lambda: at.timestamp() + 0.9)
    endpoint = resolve_endpoint(botocore_session("eu-central-1"), "b", endpoint_url)
    presigner = S3Presigner(
        endpoint, SigningKeyProvider(CredentialCache(Credentials("AK", "SK", token), clock), clock, endpoint.scope)
    )
    match operation:
        case "put_object":
            signed = await presigner.presign_put(KEY, 900)
        case "upload_part":
            signed = await presigner.presign_part(KEY, 900, PART)
        case _:
            signed = await presigner.presign_get(KEY, 900, headers)
    ours, boto3s = (urlsplit(url) for url in (signed.url, theirs))
    assert ours._replace(query="") == boto3s._replace(query="")
    if operation == "upload_part":  # the signature covers the parameters in a fixed order, however they are sent
        assert sorted(ours.query.split("&")) == sorted(boto3s.query.split("&"))
    else:
        assert ours.query == boto3s.query
    assert signed.expires_at == at + timedelta(seconds=900)
    assert repr(signed) == f"PresignedUrl(expires_at={signed.expires_at!r})"


@pytest.mark.parametrize(("requested", "granted"), [(60, 60), (7200, 1800), (1, 1)])
async def test_a_url_does_not_outlive_the_credentials_that_signed_it(requested: int, granted: int) -> None:
    """The expiry is the earlier of two: the requested one, and that of the role's credentials."""
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    role = RefreshableCredentials(
        "AK", "SK", "T", now + timedelta(seconds=1800), dict, "test", time_fetcher=lambda: now
    )
    clock = Clock(now.timestamp)
    endpoint = resolve_endpoint(botocore_session(), "b", "http://127.0.0.1:8333")
    signed = await S3Presigner(
        endpoint, SigningKeyProvider(CredentialCache(role, clock), clock, endpoint.scope)
    ).presign_put(KEY, requested)
    assert signed.expires_at == now + timedelta(seconds=granted)
    assert parse_qs(urlsplit(signed.url).query)["X-Amz-Expires"] == [str(granted)]
