"""The door says what boto3 would say, and restates a client's own headers faithfully or not at all."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from assetstore.door import RESTATED_HEADERS, Head, Said
from assetstore.s3.door import S3Door, restatable
from assetstore.s3.message import Answer, NoAnswerError, Request, Send
from tests.unit.s3.rig import a_request, an_answer, rigged
from tests.unit.s3.scripted import Step
from tests.unit.s3.sessions import a_session

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SAID = Said(
    {"status": "marked", "expires-at": "2026-11-22T12:00:00Z", "pin": "e-2"},
    {"status": "marked", "expires-at": "2026-11-22T12:00:00Z"},
    {"content-type": "text/html; charset=utf-8", "content-disposition": 'inline; filename="a b.html"'},
)
SPOKEN: Any = {
    "Metadata": dict(SAID.metadata),
    "Tagging": "status=marked&expires-at=2026-11-22T12%3A00%3A00Z",
    "ContentType": "text/html; charset=utf-8",
    "ContentDisposition": 'inline; filename="a b.html"',
}
KEY = "temp/ü +&=%2F~'()*!x"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(
            lambda door: door.head(KEY), lambda client: client.head_object(Bucket="bucket", Key=KEY), id="head"
        ),
        pytest.param(
            lambda door: door.put_if(KEY, b"nonce", SAID, etag=None),
            lambda client: client.put_object(Bucket="bucket", Key=KEY, Body=b"nonce", IfNoneMatch="*", **SPOKEN),
            id="put if none",
        ),
        pytest.param(
            lambda door: door.put_if(KEY, b"nonce", SAID, etag="old"),
            lambda client: client.put_object(Bucket="bucket", Key=KEY, Body=b"nonce", IfMatch="old", **SPOKEN),
            id="put if match",
        ),
        pytest.param(
            lambda door: door.copy_if(KEY, "source-etag", "uploaded/a", "old", SAID),
            lambda client: client.copy_object(
                Bucket="bucket",
                Key="uploaded/a",
                IfMatch="old",
                CopySource={"Bucket": "bucket", "Key": KEY},
                CopySourceIfMatch="source-etag",
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                **SPOKEN,
            ),
            id="copy",
        ),
        pytest.param(
            lambda door: door.list_page("temp/", "temp/ü &x"),
            lambda client: client.list_objects_v2(Bucket="bucket", Prefix="temp/", StartAfter="temp/ü &x"),
            id="list",
        ),
        pytest.param(
            lambda door: door.get(KEY, 10), lambda client: client.get_object(Bucket="bucket", Key=KEY), id="get"
        ),
        pytest.param(
            lambda door: door.put(KEY, b"{}", "application/json"),
            lambda client: client.put_object(Bucket="bucket", Key=KEY, Body=b"{}", ContentType="application/json"),
            id="put",
        ),
    ],
)
async def test_the_door_asks_what_boto3_would(
    ours: Callable[[S3Door], Awaitable[object]], theirs: Callable[["S3Client"], object]
) -> None:
    """Method, path, query, body and every header that means something are those of boto3's own request."""
    sent: list[Request] = []

    def listening(_send: Send) -> Send:
        async def note(request: Request) -> Answer:
            sent.append(request)
            raise NoAnswerError("noted", was_sent=False, is_final=True)

        return note

    async with rigged(wrap=listening) as rig:
        with pytest.raises(Exception, match="noted"):
            await ours(rig.door)
        host = f"127.0.0.1:{rig.server.port}"
    assert parsed(sent[0].data) == as_boto3_asks(f"http://{host}", theirs)


MEANINGLESS = {"user-agent", "x-amz-date", "authorization", "accept-encoding", "amz-sdk-invocation-id", "expect"} | {
    "amz-sdk-request",
    "x-amz-content-sha256",  # botocore signs a body's hash or not, as it likes
}


def parsed(data: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Method, URL, meaningful headers and body of a request."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    url = f"http://{headers.pop('host')}{path}"
    return method, url, {name: text for name, text in headers.items() if name not in MEANINGLESS}, body


def as_boto3_asks(endpoint_url: str, call: Callable[["S3Client"], object]) -> tuple[str, str, dict[str, str], bytes]:
    """The same of the request that boto3 would send."""
    client = a_session().client(
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
    seen: list[AWSPreparedRequest] = []

    class NotedError(Exception):
        pass

    def note(request: AWSPreparedRequest, **_: object) -> None:
        seen.append(request)
        raise NotedError

    client.meta.events.register("before-send.s3.*", note)
    with pytest.raises(NotedError):
        call(client)
    request = seen[0]
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


@given(st.dictionaries(st.sampled_from(RESTATED_HEADERS), HEADER_BYTES.map(lambda raw: raw.decode("latin-1"))))
def test_a_clients_headers_are_restated_as_they_are_or_dropped(headers: dict[str, str]) -> None:
    """Whatever bytes a client gave its upload, what is restated is exactly that or nothing, and never breaks a line."""
    kept = dict(restatable(headers))
    assert kept.items() <= headers.items()
    assert all(value.isascii() and value.isprintable() for value in kept.values())
    assert kept.keys() >= {name for name, value in headers.items() if value and value.isascii() and value.isprintable()}


def test_restated_headers_leave_room_for_ours() -> None:
    """S3 takes 8 kB of headers: a client who used them all up cannot keep its upload from being finalized."""
    kept = restatable(dict.fromkeys(RESTATED_HEADERS, "x" * 1500))
    assert sum(len(value) for _, value in kept) <= 4096
    assert kept


async def test_a_head_is_read_with_every_byte_of_its_headers() -> None:
    """ETag without quotes, size, instant, metadata, and the client's headers byte for byte."""
    says = (
        b'HTTP/1.1 200 OK\r\nETag: "e-2"\r\nContent-Length: 5\r\nLast-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\n'
        b"X-Amz-Meta-Status: marked\r\nContent-Type: text/\xc3\xbc\r\nExpires: whenever\r\nServer: x\r\n\r\n"
    )
    async with rigged(Step(says)) as rig:
        assert await rig.door.head("k") == Head(
            "e-2",
            5,
            datetime(2026, 11, 22, 12, tzinfo=UTC),
            {"status": "marked"},
            {"content-type": "text/Ã¼", "expires": "whenever"},
        )


async def test_nothing_to_delete_asks_nothing() -> None:
    """An empty batch is no request: S3 would call it malformed."""
    async with rigged() as rig:
        assert await rig.door.delete_many([]) == {}
        assert rig.server.requests == []


async def test_what_could_not_be_deleted_is_told() -> None:
    """Failures inside a 200 answer to DeleteObjects come back with their codes."""
    body = b"<DeleteResult><Error><Key>temp/a</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    async with rigged(Step(an_answer(body=body))) as rig:
        assert await rig.door.delete_many(["temp/a", "temp/b"]) == {"temp/a": "AccessDenied"}


def test_a_request_does_not_show_its_signature() -> None:
    """What a log prints of a request has neither its headers nor its body."""
    assert "GET /" not in repr(a_request())
