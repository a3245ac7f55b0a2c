"""Presigned URLs: what the holder of one can do, and cannot."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from assetuploader.download_headers import download_headers
from dev.seaweedfs import free_port
from tests.contract.conftest import opened
from tests.support.stores import BUCKET, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")

Change = Callable[[str], str]


async def test_an_upload_url_takes_bytes_by_put(subject: Subject) -> None:
    """Its holder can write that object and nothing else; the response's ETag is the pin."""
    key = subject.key()
    signed = await subject.bucket.presigner.presign_put(key, 60)

    response = subject.http.request("PUT", signed.url, body=b"bytes")

    head = await subject.bucket.store.head_object(key)
    assert head is not None
    assert (response.status, response.headers["ETag"]) == (200, f'"{head.etag}"')
    assert subject.store.body(key) == b"bytes"


async def test_an_upload_url_works_until_it_ends_and_the_last_bytes_count(subject: Subject) -> None:
    """A client may send its file again while the URL is valid."""
    key = subject.key()
    signed = await subject.bucket.presigner.presign_put(key, 60)

    statuses = [subject.http.request("PUT", signed.url, body=body).status for body in (b"1", b"2", b"3")]

    assert (statuses, subject.store.body(key)) == ([200] * 3, b"3")


async def test_the_expiry_of_a_url_is_the_signed_one(subject: Subject) -> None:
    """`expires_at` is the date in the URL plus the seconds in it, and the URL is not in the repr."""
    before = datetime.now(UTC).replace(microsecond=0)
    for sign in (subject.bucket.presigner.presign_put, subject.bucket.presigner.presign_get):
        signed = await sign(subject.key(), 604_800)

        query = parse_qs(urlsplit(signed.url).query)
        signed_at = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert signed.expires_at == signed_at + timedelta(seconds=int(query["X-Amz-Expires"][0]))
        assert timedelta() <= signed.expires_at - before - timedelta(days=7) < timedelta(seconds=10)
        assert signed.url not in repr(signed)


async def test_a_url_is_signed_with_sigv4_and_its_host(subject: Subject) -> None:
    """SigV2, boto3's default, would drop conditions; the host is part of the signature."""
    signed = await subject.bucket.presigner.presign_put(subject.key(), 60)

    query = parse_qs(urlsplit(signed.url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-SignedHeaders"] == ["host"]


@pytest.mark.moto_unsupported("ignores the expiry of presigned URLs")
async def test_an_upload_url_ends(subject: Subject) -> None:
    """After its expiry the same URL writes nothing more."""
    key = subject.key()
    signed = await subject.bucket.presigner.presign_put(key, 1)
    await _sleep_until(signed.expires_at + timedelta(seconds=1))

    response = subject.http.request("PUT", signed.url, body=b"late")

    assert (response.status, subject.store.keys(key)) == (403, [])


@pytest.mark.moto_unsupported("ignores the expiry of presigned URLs")
async def test_a_download_url_ends(subject: Subject) -> None:
    """After its expiry the same URL reads nothing more."""
    key = subject.key()
    subject.store.put(key, b"bytes")
    signed = await subject.bucket.presigner.presign_get(key, 1)
    await _sleep_until(signed.expires_at + timedelta(seconds=1))

    assert subject.http.request("GET", signed.url).status == 403


async def _sleep_until(timestamp: datetime) -> None:
    await asyncio.sleep((timestamp - datetime.now(UTC)).total_seconds())


@pytest.mark.moto_unsupported("ignores signatures")
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
async def test_an_upload_url_only_uploads(subject: Subject, method: str) -> None:
    """It can neither read back nor delete what was sent."""
    key = subject.key()
    signed = await subject.bucket.presigner.presign_put(key, 60)
    subject.http.request("PUT", signed.url, body=b"bytes")

    assert subject.http.request(method, signed.url).status in {403, 405}
    assert subject.store.body(key) == b"bytes"


@pytest.mark.moto_unsupported("ignores signatures")
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_download_url_only_downloads(subject: Subject, method: str) -> None:
    """It can neither overwrite nor delete a final asset."""
    key = subject.key()
    subject.store.put(key, b"bytes")
    signed = await subject.bucket.presigner.presign_get(key, 60)

    assert subject.http.request(method, signed.url, body=b"other" if method == "PUT" else None).status in {403, 405}
    assert subject.store.body(key) == b"bytes"


@pytest.mark.moto_unsupported("ignores signatures")
@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("/temp/", "/uploaded/"),
        lambda url: url.replace("/mine", "/yours"),
        lambda url: url.replace("X-Amz-Expires=60", "X-Amz-Expires=604800"),
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url + "&tagging",
        lambda url: url + "&acl",
        lambda url: url.replace("/temp/mine", "/temp/../uploaded/mine"),
    ],
    ids=["the other prefix", "another id", "a later expiry", "another signature", "tags", "an ACL", "a path with dots"],
)
async def test_an_altered_upload_url_is_refused(subject: Subject, change: Change) -> None:
    """The signature covers key, expiry and operation: no other object can be written with it."""
    signed = await subject.bucket.presigner.presign_put(subject.key("temp/mine"), 60)
    altered = change(signed.url)
    assert altered != signed.url

    response = subject.http.urlopen("PUT", altered, body=b"altered")

    assert (response.status, subject.store.keys(subject.prefix)) == (403, [])


@pytest.mark.moto_unsupported("obeys an unsigned x-amz-copy-source")
async def test_an_upload_url_cannot_be_made_to_copy(subject: Subject) -> None:
    """If an unsigned x-amz-copy-source were obeyed, the holder of an upload URL could read any object."""
    secret, key = subject.key("secret"), subject.key("temp")
    subject.store.put(secret, b"secret")
    signed = await subject.bucket.presigner.presign_put(key, 60)

    for source in (f"/{BUCKET}/{secret}", f"{BUCKET}/{secret}"):
        response = subject.http.request("PUT", signed.url, headers={"x-amz-copy-source": source})
        assert b"CopyObjectResult" not in response.data

    head = await subject.bucket.store.head_object(key)
    assert head is None or head.size == 0


async def test_a_download_url_saves_the_bytes_whatever_their_type(subject: Subject) -> None:
    """The client chose the content type, so a browser must not show the file as a page of ours."""
    key = subject.key()
    subject.store.raw.put_object(Bucket=BUCKET, Key=key, Body=b"<script>", ContentType="text/html")
    signed = await subject.bucket.presigner.presign_get(key, 60)

    response = subject.http.request("GET", signed.url)

    assert (response.status, response.data, response.headers["Content-Disposition"]) == (200, b"<script>", "attachment")


async def test_a_download_has_the_headers_that_its_url_names(subject: Subject) -> None:
    """The file name reaches the one who downloads; what the client chose for caches and decoders does not."""
    key = subject.key()
    stored = {
        "content-disposition": "inline; filename*=UTF-8''na%C3%AFve%20%22%E2%82%AC%22.txt",
        "content-encoding": "aws-chunked",
        "cache-control": "public, max-age=31536000",
    }
    subject.store.raw.put_object(
        Bucket=BUCKET,
        Key=key,
        Body=b"bytes",
        ContentType="text/html",
        ContentDisposition=stored["content-disposition"],
        ContentEncoding=stored["content-encoding"],
        CacheControl=stored["cache-control"],
    )
    signed = await subject.bucket.presigner.presign_get(key, 60, download_headers(stored, 60))

    response = subject.http.request("GET", signed.url)

    assert (response.status, response.data) == (200, b"bytes")
    names = ("content-type", "content-disposition", "content-encoding", "cache-control")
    assert [response.headers[name] for name in names] == [
        "text/html",
        "attachment; filename=\"naive ___.txt\"; filename*=UTF-8''na%C3%AFve%20_%E2%82%AC_.txt",
        "identity",
        "private, max-age=60",
    ]


@pytest.mark.moto_unsupported("ignores signatures")
async def test_a_download_urls_disposition_cannot_be_removed(subject: Subject) -> None:
    """The disposition is signed."""
    key = subject.key()
    subject.store.put(key, b"bytes")
    signed = await subject.bucket.presigner.presign_get(key, 60)

    for altered in (
        signed.url.replace("response-content-disposition=attachment", "response-content-disposition=inline"),
        signed.url.replace("response-content-disposition=attachment&", ""),
    ):
        assert altered != signed.url
        assert subject.http.request("GET", altered).status == 403


async def test_a_download_url_serves_ranges(subject: Subject) -> None:
    """A download manager can continue an interrupted download."""
    key = subject.key()
    subject.store.put(key, b"0123456789")
    signed = await subject.bucket.presigner.presign_get(key, 60)

    response = subject.http.request("GET", signed.url, headers={"Range": "bytes=3-5"})

    assert (response.status, response.data) == (206, b"345")


async def test_urls_are_for_the_public_endpoint(subject: Subject) -> None:
    """The service reaches S3 by one name and clients by another: each presigner signs for its own."""
    async with opened(subject.store.endpoint_url, public_endpoint_url="https://s3.example.com") as bucket:
        public = await bucket.presigner.presign_put(subject.key(), 60)
        internal = await bucket.internal_presigner.presign_put(subject.key(), 60)

    assert public.url.startswith(f"https://s3.example.com/{BUCKET}/{subject.key()}?")
    assert internal.url.startswith(f"{subject.store.endpoint_url}/{BUCKET}/{subject.key()}?")


@pytest.mark.moto_unsupported("ignores signatures")
async def test_a_urls_host_is_signed(subject: Subject) -> None:
    """A URL for one host name is rejected under another: connecting to the right address is not enough."""
    port = free_port()
    async with opened(subject.store.endpoint_url, public_endpoint_url=f"http://s3.example.com:{port}") as bucket:
        signed = await bucket.presigner.presign_put(subject.key(), 60)
    parts = urlsplit(signed.url)
    statuses = []
    for host in (parts.netloc, urlsplit(subject.store.endpoint_url).netloc):
        with urllib3.connection_from_url(subject.store.endpoint_url) as pool:
            target = f"{parts.path}?{parts.query}"
            statuses.append(pool.urlopen("PUT", target, body=b"bytes", headers={"Host": host}).status)

    assert statuses == [200, 403]


async def test_an_endpoint_in_upper_case_is_signed_as_clients_send_it(subject: Subject) -> None:
    """A client sends the host in lower case. On moto this shows nothing: it ignores signatures."""
    endpoint_url = subject.store.endpoint_url.replace("127.0.0.1", "LocalHost")
    key = subject.key()
    subject.store.put(key, b"bytes")
    async with opened(endpoint_url, public_endpoint_url=endpoint_url) as bucket:
        assert await bucket.store.head_object(key) is not None
        signed = await bucket.presigner.presign_get(key, 60)
    assert subject.http.request("GET", signed.url).data == b"bytes"
