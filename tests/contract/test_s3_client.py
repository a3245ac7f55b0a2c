"""The S3 client against a real S3 server: each side understands the other.

Plain boto3 prepares and inspects the bucket, so that the code under test does not check itself.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from email.message import Message
from typing import TYPE_CHECKING, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from assetuploader.conformance import prepare_check_object
from assetuploader.errors import (
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)
from assetuploader.s3.bucket import open_bucket
from assetuploader.s3.clock import Clock
from assetuploader.store import Bucket, ObjectAttributes, ObjectInfo
from dev.seaweedfs import LocalS3, free_port, running_s3
from tests.support.stores import raw_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


PLAIN: Final = ObjectAttributes(headers={"content-type": "text/plain"})


def send_as_client(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, Message]:
    """Request this URL as a client does; return status, body and headers."""
    request = Request(url, body, dict(headers or {}), method=method)  # noqa: S310 -- http on loopback
    try:
        with urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status, response.read(), response.headers
    except HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


@pytest.fixture(scope="module")
def server() -> Iterator[LocalS3]:
    """Run SeaweedFS for all tests of this file."""
    with running_s3(free_port(), "contract") as running:
        yield running


@pytest.fixture(scope="module")
def raw(server: LocalS3) -> "S3Client":
    """Return a plain boto3 client of it."""
    return raw_client(server.endpoint_url)


@pytest.fixture(autouse=True)
def _environment(server: LocalS3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in server.environment().items():
        monkeypatch.setenv(name, text)


@pytest.fixture
async def bucket() -> AsyncIterator[Bucket]:
    """Open the bucket as the programs do."""
    async with open_bucket("us-east-1", "contract", None) as opened:
        await prepare_check_object(opened.store)
        yield opened


async def test_a_head_returns_what_boto3_wrote(bucket: Bucket, raw: "S3Client") -> None:
    """ETag, size, time, metadata and system headers are those of the object; a missing object is None."""
    raw.put_object(
        Bucket="contract",
        Key="head",
        Body=b"12345",
        Metadata={"Status": "pending"},
        ContentType="text/html;  charset=utf-8",
        CacheControl="no-cache",
    )
    expected = raw.head_object(Bucket="contract", Key="head")
    assert await bucket.store.head_object("head") == ObjectInfo(
        expected["ETag"].strip('"'),
        5,
        expected["LastModified"],
        {"status": "pending"},
        {"content-type": "text/html;  charset=utf-8", "cache-control": "no-cache"},
    )
    assert await bucket.store.head_object("nothing") is None


async def test_a_write_keeps_its_conditions(bucket: Bucket, raw: "S3Client") -> None:
    """A write succeeds if its condition holds, and fails otherwise; bytes, metadata and tags arrive."""
    attributes = ObjectAttributes({"status": "pending"}, {"status": "pending", "expires-at": "2026-11-22T12:00:00Z"})
    etag = await bucket.store.put_object("put", b"one", attributes, if_none_match="*")
    with pytest.raises(PreconditionFailedError):
        await bucket.store.put_object("put", b"two", attributes, if_none_match="*")
    newer = await bucket.store.put_object("put", b"three", attributes, if_match=etag)
    with pytest.raises(PreconditionFailedError):
        await bucket.store.put_object("put", b"four", attributes, if_match=etag)
    with pytest.raises(PreconditionFailedError):
        await bucket.store.put_object("nothing", b"five", attributes, if_match=etag)
    found = raw.get_object(Bucket="contract", Key="put")
    tags = raw.get_object_tagging(Bucket="contract", Key="put")["TagSet"]
    assert (found["Body"].read(), found["ETag"].strip('"'), found["Metadata"]) == (b"three", newer, attributes.metadata)
    assert {tag["Key"]: tag["Value"] for tag in tags} == attributes.tags


async def test_a_copy_keeps_both_its_conditions(bucket: Bucket, raw: "S3Client") -> None:
    """A copy succeeds when both versions are as named, and fails otherwise; all attributes are replaced."""
    for key in ("temp/copy ü+&=%2F", "uploaded/copy"):
        raw.put_object(Bucket="contract", Key=key, Body=key.encode(), Metadata={"old": "yes"}, Tagging="old=yes")
    source = raw.head_object(Bucket="contract", Key="temp/copy ü+&=%2F")["ETag"].strip('"')
    target = raw.head_object(Bucket="contract", Key="uploaded/copy")["ETag"].strip('"')
    attributes = ObjectAttributes(
        {"status": "uploaded"}, {"status": "uploaded"}, {"content-type": "image/png", "expires": "whenever"}
    )
    for wrong_source, wrong_target in (("0" * 32, target), (source, "0" * 32)):
        with pytest.raises(PreconditionFailedError):
            await bucket.store.copy_object(
                "temp/copy ü+&=%2F", "uploaded/copy", attributes, source_if_match=wrong_source, if_match=wrong_target
            )
    with pytest.raises(PreconditionFailedError):
        await bucket.store.copy_object(
            "temp/nothing", "uploaded/copy", attributes, source_if_match=source, if_match=target
        )
    etag = await bucket.store.copy_object(
        "temp/copy ü+&=%2F", "uploaded/copy", attributes, source_if_match=source, if_match=target
    )
    found = raw.get_object(Bucket="contract", Key="uploaded/copy")
    tags = raw.get_object_tagging(Bucket="contract", Key="uploaded/copy")["TagSet"]
    assert found["Body"].read() == "temp/copy ü+&=%2F".encode()
    assert (found["ETag"].strip('"'), found["Metadata"], found["ContentType"]) == (
        etag,
        {"status": "uploaded"},
        "image/png",
    )
    assert tags == [{"Key": "status", "Value": "uploaded"}]


@pytest.mark.parametrize(
    "value",
    ["text/html;  charset=utf-8", 'attachment; filename="a  b.txt"', "x" * 1024, "ü", "text/plain; a='!#$%&*+^`|~'"],
)
async def test_any_headers_that_s3_returns_can_be_copied(bucket: Bucket, raw: "S3Client", value: str) -> None:
    """Whatever headers a client sends with its upload, it can be finalized."""
    raw.put_object(Bucket="contract", Key="uploaded/label", Body=os.urandom(8))
    signed = await bucket.presigner.presign_put("temp/label", 60)
    headers = dict.fromkeys(("Content-Type", "Content-Disposition", "Cache-Control"), value.encode().decode("latin-1"))
    assert send_as_client("PUT", signed.url, os.urandom(8), headers)[0] == 200
    upload, placeholder = await bucket.store.head_object("temp/label"), await bucket.store.head_object("uploaded/label")
    assert upload is not None
    assert placeholder is not None
    attributes = ObjectAttributes({"status": "uploaded"}, {}, upload.headers)
    await bucket.store.copy_object(
        "temp/label", "uploaded/label", attributes, source_if_match=upload.etag, if_match=placeholder.etag
    )
    final = await bucket.store.head_object("uploaded/label")
    assert final is not None
    if value.isascii():
        assert final.headers == upload.headers


async def test_a_listing_continues_where_the_last_page_ended(bucket: Bucket, raw: "S3Client") -> None:
    """1,003 objects are two pages, in order, each key once, however odd; each page has the time of S3."""
    odd = ["list/ü &<>\"'+%", "list/z\tb", "list/z z"]
    keys = sorted([f"list/{number:04}" for number in range(1000)] + odd, key=str.encode)
    limit = asyncio.Semaphore(16)

    async def write(key: str) -> None:
        async with limit:
            await bucket.reports.put_object(key, b"x", PLAIN)

    await asyncio.gather(*[write(key) for key in keys])
    first = await bucket.store.list_objects("list/", "")
    second = await bucket.store.list_objects("list/", first.objects[-1].key)
    assert [one.key for page in (first, second) for one in page.objects] == keys
    assert (len(first.objects), first.is_truncated, second.is_truncated) == (1000, True, False)
    expected = raw.head_object(Bucket="contract", Key=keys[-1])["LastModified"]
    assert abs((second.objects[-1].last_modified - expected).total_seconds()) < 1
    assert first.server_time >= expected.replace(microsecond=0)


async def test_a_batch_is_deleted(bucket: Bucket, raw: "S3Client") -> None:
    """Every named key is deleted, a missing one is no failure, and no other is deleted."""
    for key in ("gone/ü &<>", "gone/b", "kept"):
        raw.put_object(Bucket="contract", Key=key, Body=b"x")
    assert await bucket.store.delete_objects(["gone/ü &<>", "gone/b", "gone/never was"]) == {}
    assert "Contents" not in raw.list_objects_v2(Bucket="contract", Prefix="gone/")
    assert raw.head_object(Bucket="contract", Key="kept")["ContentLength"] == 1


async def test_a_report_is_written_and_read(bucket: Bucket, raw: "S3Client") -> None:
    """get_object() returns what put_object() wrote, also over an earlier object."""
    json = ObjectAttributes(headers={"content-type": "application/json"})
    for body in (b'{"run": 1}', b'{"run": 2}'):
        await bucket.reports.put_object("report.json", body, json)
        assert await bucket.reports.get_object("report.json", 100) == body
    assert raw.head_object(Bucket="contract", Key="report.json")["ContentType"] == "application/json"
    assert await bucket.reports.get_object("no-report.json", 100) is None


async def test_presigned_urls_do_what_they_are_for(bucket: Bucket, raw: "S3Client") -> None:
    """An upload URL accepts the bytes, a download URL returns them as an attachment, and neither does more."""
    upload = await bucket.presigner.presign_put("temp/signed", 60)
    download = await bucket.presigner.presign_get("temp/signed", 60)
    assert send_as_client("PUT", upload.url, b"bytes")[0] == 200
    assert raw.get_object(Bucket="contract", Key="temp/signed")["Body"].read() == b"bytes"
    status, body, headers = send_as_client("GET", download.url)
    assert (status, body, headers["content-disposition"]) == (200, b"bytes", "attachment")
    assert send_as_client("GET", upload.url)[0] == 403
    assert send_as_client("PUT", download.url, b"x")[0] == 403
    assert send_as_client("PUT", upload.url.replace("signed", "other"), b"x")[0] == 403


async def test_session_tokens_are_signed(server: LocalS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a session token in the environment, each request and URL carries it; the server checks the signature."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a+token/with=signs")
    async with open_bucket("us-east-1", server.bucket, None) as opened:
        with pytest.raises(StoreAccessDeniedError):  # this server rejects session tokens
            await opened.reports.put_object("token", b"x", PLAIN)
        assert "X-Amz-Security-Token=a%2Btoken%2Fwith%3Dsigns" in (await opened.presigner.presign_put("k", 60)).url


async def test_a_missing_bucket_is_reported(server: LocalS3) -> None:
    """The error says that the bucket does not exist."""
    async with open_bucket("us-east-1", f"{server.bucket}-not", None) as opened:
        with pytest.raises(StoreMisconfiguredError, match="bucket does not exist"):
            await opened.store.list_objects("temp/", "")


async def test_wrong_keys_are_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store rejects a wrong secret, and the error says what to check."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    async with open_bucket("us-east-1", "contract", None) as opened:
        for call in (opened.store.head_object("k"), opened.reports.put_object("k", b"x", PLAIN)):
            with pytest.raises(StoreAccessDeniedError, match="credentials"):
                await call


@pytest.mark.parametrize("offset_seconds", [-3600, -90, 90, 3600])
async def test_a_wrong_clock_is_corrected(bucket: Bucket, offset_seconds: int) -> None:
    """With a clock that is off, S3's first response corrects it; URLs are right from then on."""
    await bucket.reports.put_object("clock", b"x", PLAIN)
    async with open_bucket("us-east-1", "contract", None, clock=Clock(lambda: time.time() + offset_seconds)) as off:
        found = await off.store.head_object("clock")
        assert found is not None
        signed = await off.presigner.presign_get("clock", 60)
        assert abs(signed.expires_at.timestamp() - time.time() - 60) < 30
        assert send_as_client("GET", signed.url)[:2] == (200, b"x")


async def test_a_closed_port_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port is unavailable after three quick attempts, and does not hang."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    async with open_bucket("us-east-1", "contract", None) as opened:
        with pytest.raises(StoreUnavailableError, match="could not be reached"):
            await opened.store.head_object("k")
