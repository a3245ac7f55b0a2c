"""The store sends what boto3 sends, and copies a client's own headers unchanged or not at all."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from assetuploader.declaration import Declaration
from assetuploader.errors import PreconditionFailedError, StoreError, StoreMisconfiguredError, StoreUnavailableError
from assetuploader.instrumentation import CallOutcome
from assetuploader.s3.client import READ_TIMEOUT
from assetuploader.s3.http import Request, Response, Transport, TransportError
from assetuploader.s3.object_store import S3ObjectStore, copyable_headers
from assetuploader.state_machine import AssetState, Status, excess_metadata_bytes, to_metadata, to_tags
from assetuploader.store import SYSTEM_METADATA_HEADERS, ObjectAttributes, ObjectInfo
from tests.support.boto_sessions import boto3_session, capture_request
from tests.support.fake_server import AfterResponse, Step
from tests.support.s3_harness import http_response, s3_harness

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ATTRIBUTES = ObjectAttributes(
    {"status": "marked", "expires-at": "2026-11-22T12:00:00Z", "pin": "e-2"},
    {"status": "marked", "expires-at": "2026-11-22T12:00:00Z"},
    {"content-type": "text/html; charset=utf-8", "content-disposition": 'inline; filename="a b.html"'},
)
BOTO3_ATTRIBUTES: Any = {
    "Metadata": dict(ATTRIBUTES.metadata),
    "Tagging": "status=marked&expires-at=2026-11-22T12%3A00%3A00Z",
    "ContentType": "text/html; charset=utf-8",
    "ContentDisposition": 'inline; filename="a b.html"',
}
KEY = "temp/ü +&=%2F~'()*!x"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(
            lambda store: store.head_object(KEY),
            lambda client: client.head_object(Bucket="bucket", Key=KEY, ChecksumMode="ENABLED"),
            id="head",
        ),
        pytest.param(
            lambda store: store.put_object(KEY, b"nonce", ATTRIBUTES, if_none_match="*"),
            lambda client: client.put_object(
                Bucket="bucket", Key=KEY, Body=b"nonce", IfNoneMatch="*", **BOTO3_ATTRIBUTES
            ),
            id="put if none",
        ),
        pytest.param(
            lambda store: store.put_object(KEY, b"nonce", ATTRIBUTES, if_match="old"),
            lambda client: client.put_object(
                Bucket="bucket", Key=KEY, Body=b"nonce", IfMatch="old", **BOTO3_ATTRIBUTES
            ),
            id="put if match",
        ),
        pytest.param(
            lambda store: store.copy_object(
                KEY, "uploaded/a", ATTRIBUTES, source_if_match="source-etag", if_match="old"
            ),
            lambda client: client.copy_object(
                Bucket="bucket",
                Key="uploaded/a",
                IfMatch="old",
                CopySource={"Bucket": "bucket", "Key": KEY},
                CopySourceIfMatch="source-etag",
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                **BOTO3_ATTRIBUTES,
            ),
            id="copy",
        ),
        pytest.param(
            lambda store: store.delete_object(KEY, if_match="old"),
            lambda client: client.delete_object(Bucket="bucket", Key=KEY, IfMatch="old"),
            id="delete",
        ),
        pytest.param(
            lambda store: store.list_objects("temp/", "temp/ü &x"),
            lambda client: client.list_objects_v2(Bucket="bucket", Prefix="temp/", StartAfter="temp/ü &x"),
            id="list",
        ),
        pytest.param(
            lambda store: store.get_object(KEY, 10),
            lambda client: client.get_object(Bucket="bucket", Key=KEY, Range="bytes=0-10"),
            id="get",
        ),
        pytest.param(
            lambda store: store.put_object(KEY, b"{}", ObjectAttributes(headers={"content-type": "application/json"})),
            lambda client: client.put_object(Bucket="bucket", Key=KEY, Body=b"{}", ContentType="application/json"),
            id="put",
        ),
    ],
)
async def test_the_store_sends_what_boto3_sends(
    ours: Callable[[S3ObjectStore], Awaitable[object]], theirs: Callable[["S3Client"], object]
) -> None:
    """Method, path, query, body and every meaningful header are those of boto3's own request."""
    sent: list[Request] = []

    def record(_transport: Transport) -> Transport:
        async def stop(request: Request) -> Response:
            sent.append(request)
            raise TransportError("recorded", is_retryable=False)

        return stop

    async with s3_harness(wrap_transport=record) as harness:
        with pytest.raises(Exception, match="recorded"):
            await ours(harness.store)
        host = f"127.0.0.1:{harness.server.port}"
    assert simplify_request(sent[0]) == simplify_boto3_request(f"http://{host}", theirs)


MEANINGLESS = {
    "accept-encoding",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-length",
    "expect",
    "host",
    "user-agent",
    "x-amz-content-sha256",  # botocore does not sign the hash of every body
    "x-amz-date",
}


def simplify_request(request: Request) -> tuple[str, str, dict[str, str], bytes]:
    """Return method, URL, meaningful headers and body of a request."""
    headers = {name: text for name, text in request.headers if name not in MEANINGLESS}
    return request.method, request.url, headers, request.body


def simplify_boto3_request(
    endpoint_url: str, call: Callable[["S3Client"], object]
) -> tuple[str, str, dict[str, str], bytes]:
    """Return the same parts of the request that boto3 would send."""
    client = boto3_session().client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id="AK",
        aws_secret_access_key="SK",  # noqa: S106 -- no secret
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    request = capture_request(client, call)
    headers: dict[str, str] = {
        name.lower(): text.decode() if isinstance(text, bytes) else text for name, text in request.headers.items()
    }
    body: Any = request.body or b""
    path, _, query = request.url.partition("?")
    sorted_query = "&".join(sorted(query.split("&"))) if query else ""
    return (
        request.method,
        f"{path}?{sorted_query}" if query else path,
        {name: text for name, text in headers.items() if name not in MEANINGLESS},
        body if isinstance(body, bytes) else body.read(),
    )


HEADER_BYTES = st.binary(max_size=60).filter(lambda raw: not set(raw) & set(b"\r\n\0")).map(lambda raw: raw.strip())


@given(st.dictionaries(st.sampled_from(SYSTEM_METADATA_HEADERS), HEADER_BYTES.map(lambda raw: raw.decode("latin-1"))))
def test_a_clients_headers_are_copied_unchanged_or_dropped(headers: dict[str, str]) -> None:
    """Whatever header values a client sent, a copy has them unchanged or not at all, and never with a line break."""
    kept = dict(copyable_headers(headers, {}))
    assert kept.items() <= headers.items()
    assert all(value.isascii() and value.isprintable() for value in kept.values())
    assert kept.keys() >= {name for name, value in headers.items() if value and value.isascii() and value.isprintable()}


def test_copied_headers_leave_room_for_our_own() -> None:
    """S3 accepts 8 kB of headers. A client that uses all of them cannot keep its upload from being final."""
    kept = copyable_headers(dict.fromkeys(SYSTEM_METADATA_HEADERS, "x" * 1500), {})
    assert sum(len(value) for _, value in kept) <= 4096
    assert kept


async def test_a_copy_with_all_metadata_fits_into_s3s_headers() -> None:
    """With the most metadata that an asset may have, headers that the client chose, and a token, S3 gets under 8 kB."""
    names = {f"n{number:02d}" + "x" * 60: "" for number in range(20)}
    free = 2048 - sum(len("client-" + name) for name in names) - 400  # for our own
    declaration = Declaration("f", "image/png", 1, "a" * 64, metadata={**names, "n00" + "x" * 60: "v" * free})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert excess_metadata_bytes(declaration, now) == 0
    state = AssetState(Status.UPLOADED, now, "0" * 32, now, declaration)
    chosen = dict.fromkeys(SYSTEM_METADATA_HEADERS, "x" * 1000)
    chosen["content-type"] = "image/png"
    sent: list[Request] = []

    def record(_transport: Transport) -> Transport:
        async def stop(request: Request) -> Response:
            sent.append(request)
            raise TransportError("recorded", is_retryable=False)

        return stop

    async with s3_harness(wrap_transport=record) as harness:
        with pytest.raises(StoreError):
            await harness.store.copy_object(
                "temp/a",
                "uploaded/a",
                ObjectAttributes(to_metadata(state), to_tags(state), chosen),
                source_if_match="0" * 32,
                if_match="0" * 32,
            )
    [request] = sent
    token_bytes = 1500
    assert sum(len(name) + len(value) + 4 for name, value in request.headers) + token_bytes < 8192
    assert ("content-type", "image/png") in request.headers


async def test_a_head_is_read_with_every_byte_of_its_headers() -> None:
    """The result has the ETag without quotes, size, time, metadata, and the client's headers byte for byte."""
    message = (
        b'HTTP/1.1 200 OK\r\nETag: "e-2"\r\nContent-Length: 5\r\nLast-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\n'
        b"X-Amz-Meta-Status: marked\r\nContent-Type: text/\xc3\xbc\r\nExpires: whenever\r\nServer: x\r\n\r\n"
    )
    async with s3_harness(Step(message)) as harness:
        assert await harness.store.head_object("k") == ObjectInfo(
            "e-2",
            5,
            datetime(2026, 11, 22, 12, tzinfo=UTC),
            {"status": "marked"},
            {"content-type": "text/Ã¼", "expires": "whenever"},
        )


@pytest.mark.parametrize(("encryption", "is_opaque"), [("AES256", False), ("aws:kms", True), ("aws:kms:dsse", True)])
async def test_only_the_etag_of_an_object_that_kms_encrypts_is_opaque(encryption: str, *, is_opaque: bool) -> None:
    """Amazon documents that such ETags are no MD5 digests."""
    message = http_response(
        ETag='"e"', Last_Modified="Sun, 22 Nov 2026 12:00:00 GMT", x_amz_server_side_encryption=encryption
    )
    async with s3_harness(Step(message)) as harness:
        info = await harness.store.head_object("k")
        assert info is not None
        assert info.has_opaque_etag is is_opaque


@pytest.mark.parametrize(
    ("checksum", "sha256"),
    [
        (b64encode(hashlib.sha256(b"bytes").digest()), hashlib.sha256(b"bytes").hexdigest()),
        (b64encode(hashlib.sha256(b"bytes").digest()) + b"-2", None),
        (b64encode(b"short"), None),
        (b"=", None),
        (b"\xfc", None),
        (b"", None),
    ],
    ids=["whole", "in parts", "too short", "not base64", "not ASCII", "empty"],
)
async def test_a_checksum_counts_only_if_it_is_one_of_the_whole_object(checksum: bytes, sha256: str | None) -> None:
    """Whatever a store sends in its place, the object can be read."""
    message = (
        b"HTTP/1.1 200 OK\r\nETag: e\r\nContent-Length: 5\r\nLast-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
        b"x-amz-checksum-sha256: %s\r\n\r\n" % checksum
    )
    async with s3_harness(Step(message)) as harness:
        found = await harness.store.head_object("k")
    assert found is not None
    assert found.sha256 == sha256


async def copy_within(store: S3ObjectStore, max_seconds: float) -> str:
    """Copy an object, with a limit of time."""
    return await store.copy_object(
        "temp/a", "uploaded/a", ATTRIBUTES, source_if_match="s", if_match="t", max_seconds=max_seconds
    )


async def test_a_copy_that_takes_too_long_is_given_up_with_its_connection() -> None:
    """The caller learns that the outcome is unknown, and a late response can never be taken for another one's."""
    async with s3_harness(Step(b"HTTP/1.1 200 OK\r\n", AfterResponse.HANG), connections=1) as harness:
        with pytest.raises(StoreUnavailableError) as given_up:
            await copy_within(harness.store, 0.05)
        await asyncio.wait_for(harness.server.disconnected.wait(), 10)

    assert str(given_up.value) == "the copy of temp/a took longer than 0.05 s: it may still take effect"
    assert (harness.limiter.in_flight, [call.outcome for call in harness.calls]) == (0, [CallOutcome.CANCELLED])


async def test_a_copy_in_time_returns_its_etag() -> None:
    """The limit changes nothing for a copy that ends before."""
    body = b"<CopyObjectResult><ETag>&quot;new&quot;</ETag></CopyObjectResult>"
    async with s3_harness(Step(http_response(body=body))) as harness:
        assert await copy_within(harness.store, 30) == "new"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("412 Precondition Failed", "PreconditionFailed"),
        ("409 Conflict", "ConditionalRequestConflict"),
        ("404 Not Found", "NoSuchKey"),
        ("404 Not Found", ""),
    ],
)
async def test_a_version_that_is_not_there_is_not_deleted(status: str, code: str) -> None:
    """Another version, a write at the same time, and no object are one answer: the caller reads again."""
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
    async with s3_harness(Step(http_response(status, body))) as harness:
        with pytest.raises(PreconditionFailedError):
            await harness.store.delete_object("k", if_match="old")


async def test_a_bucket_that_is_gone_is_not_a_deleted_object() -> None:
    """A 404 proves nothing about the object when S3 says that it is the bucket's."""
    body = b"<Error><Code>NoSuchBucket</Code></Error>"
    async with s3_harness(Step(http_response("404 Not Found", body))) as harness:
        with pytest.raises(StoreMisconfiguredError):
            await harness.store.delete_object("k", if_match="old")


async def test_a_deletion_has_no_result() -> None:
    """S3 answers 204."""
    async with s3_harness(Step(b"HTTP/1.1 204 No Content\r\n\r\n")) as harness:
        await harness.store.delete_object("k", if_match="old")
        assert b"if-match: old" in harness.server.requests[0].lower()


async def test_an_empty_batch_sends_nothing() -> None:
    """S3 would reject an empty batch as malformed."""
    async with s3_harness() as harness:
        assert await harness.store.delete_objects([]) == {}
        assert harness.server.requests == []


async def test_failed_deletions_are_returned() -> None:
    """Failures inside a 200 response to DeleteObjects are returned with their codes."""
    body = b"<DeleteResult><Error><Key>temp/a</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    async with s3_harness(Step(http_response(body=body))) as harness:
        assert await harness.store.delete_objects(["temp/a", "temp/b"]) == {"temp/a": "AccessDenied"}


def test_a_request_does_not_show_its_signature() -> None:
    """The text of a request in a log contains neither its URL, its headers nor its body."""
    text = repr(
        Request("GetObject", "GET", "http://x/secret", [("authorization", "secret")], b"secret", 1, READ_TIMEOUT)
    )
    assert "secret" not in text
