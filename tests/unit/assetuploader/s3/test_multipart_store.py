"""What the store sends for uploads in parts, and how it reads S3's responses."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from assetuploader.errors import (
    MultipartUploadLostError,
    PartsRejectedError,
    PreconditionFailedError,
    StoreAccessDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from assetuploader.instrumentation import CallOutcome
from assetuploader.s3.client import COPY_TIMEOUT
from assetuploader.s3.http import Request, Response, Transport, TransportError
from assetuploader.s3.multipart_store import S3MultipartStore
from assetuploader.store import CompletedPart, ObjectAttributes, OpenUpload, OpenUploadPage, UploadedPart, UploadMarker
from tests.support.fake_server import AfterResponse, Step
from tests.support.s3_harness import Harness, http_response, s3_harness
from tests.unit.assetuploader.s3.test_object_store import (
    ATTRIBUTES,
    BOTO3_ATTRIBUTES,
    simplify_boto3_request,
    simplify_request,
)

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

KEY: Final = "uploaded/ü +&=%2F~'()*!x"
UPLOAD_ID: Final = "a+b/c=&d~e.f_g"
PARTS: Final = [CompletedPart(1, "e1"), CompletedPart(2, "e2")]
DATE: Final = "Sun, 22 Nov 2026 12:00:00 GMT"
SERVER_TIME: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMESPACE: Final = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def store_of(harness: Harness) -> S3MultipartStore:
    """Return the store on the fake server."""
    return S3MultipartStore(harness.store.client)


def error(status: str, code: str) -> Step:
    """Return a response with S3's error document, or an empty one without a code."""
    return Step(http_response(status, f"<Error><Code>{code}</Code></Error>".encode() if code else b""))


def describe(value: object) -> str:
    """Return the status and the body of a response, or the name of an error, as the id of a test."""
    if isinstance(value, Step) and isinstance(value.message, bytes):
        head, _, body = value.message.decode().partition("\r\n\r\n")
        return f"{head[9:12]} {body}"
    return value.__name__ if isinstance(value, type) else str(value)


def success(body: str, **headers: str) -> Step:
    """Return a response of 200."""
    return Step(http_response(body=body.encode(), **headers))


async def complete(harness: Harness, size: int | None = None) -> str:
    """Complete an upload."""
    return await store_of(harness).complete_multipart_upload(KEY, UPLOAD_ID, PARTS, if_match="old", size=size)


# --- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(
            lambda store: store.create_multipart_upload(KEY, ATTRIBUTES),
            lambda client: client.create_multipart_upload(Bucket="bucket", Key=KEY, **BOTO3_ATTRIBUTES),
            id="create",
        ),
        pytest.param(
            lambda store: store.abort_multipart_upload(KEY, UPLOAD_ID),
            lambda client: client.abort_multipart_upload(Bucket="bucket", Key=KEY, UploadId=UPLOAD_ID),
            id="abort",
        ),
        pytest.param(
            lambda store: store.list_parts(KEY, UPLOAD_ID),
            lambda client: client.list_parts(Bucket="bucket", Key=KEY, UploadId=UPLOAD_ID, PartNumberMarker=0),
            id="list parts",
        ),
        pytest.param(
            lambda store: store.list_multipart_uploads("uploaded/ü &x"),
            lambda client: client.list_multipart_uploads(Bucket="bucket", EncodingType="url", Prefix="uploaded/ü &x"),
            id="list uploads",
        ),
        pytest.param(
            lambda store: store.list_multipart_uploads("a/", UploadMarker("a/ü", UPLOAD_ID)),
            lambda client: client.list_multipart_uploads(
                Bucket="bucket", EncodingType="url", Prefix="a/", KeyMarker="a/ü", UploadIdMarker=UPLOAD_ID
            ),
            id="list more uploads",
        ),
        pytest.param(
            lambda store: store.list_multipart_uploads("a/", UploadMarker("", UPLOAD_ID)),
            lambda client: client.list_multipart_uploads(
                Bucket="bucket", EncodingType="url", Prefix="a/", UploadIdMarker=UPLOAD_ID
            ),
            id="list more uploads without a key",
        ),
        pytest.param(
            lambda store: store.list_multipart_uploads("a/", UploadMarker("a/b", "")),
            lambda client: client.list_multipart_uploads(
                Bucket="bucket", EncodingType="url", Prefix="a/", KeyMarker="a/b"
            ),
            id="list more uploads without an id",
        ),
    ],
)
async def test_the_store_sends_what_boto3_sends(
    ours: Callable[[S3MultipartStore], Awaitable[object]], theirs: Callable[["S3Client"], object]
) -> None:
    """Method, path, query, body and every meaningful header are those of boto3's own request."""
    [sent], host = await record(ours)
    method, url, headers, body = simplify_request(sent)
    url = url.replace("uploads=", "uploads")  # both mean and sign the same
    assert (method, url, headers, body) == simplify_boto3_request(host, theirs)


async def record(ours: Callable[[S3MultipartStore], Awaitable[object]]) -> tuple[list[Request], str]:
    """Return what is sent, and the URL of the server."""
    sent: list[Request] = []

    def wrap(_transport: Transport) -> Transport:
        async def stop(request: Request) -> Response:
            sent.append(request)
            raise TransportError("recorded", is_retryable=False)

        return stop

    async with s3_harness(wrap_transport=wrap) as harness:
        with pytest.raises(StoreUnavailableError, match="recorded"):
            await ours(store_of(harness))
        return sent, f"http://127.0.0.1:{harness.server.port}"


@pytest.mark.parametrize(
    ("size", "header"), [(5, {"x-amz-mp-object-size": "5"}), (0, {"x-amz-mp-object-size": "0"}), (None, {})]
)
async def test_a_completion_sends_what_boto3_sends(size: int | None, header: dict[str, str]) -> None:
    """The body differs in its XML declaration alone, and names its type, without which some proxies guess."""
    [sent], host = await record(
        lambda store: store.complete_multipart_upload(KEY, UPLOAD_ID, PARTS, if_match="old", size=size)
    )
    method, url, headers, body = simplify_boto3_request(
        host,
        lambda client: client.complete_multipart_upload(
            Bucket="bucket",
            Key=KEY,
            UploadId=UPLOAD_ID,
            IfMatch="old",
            MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in PARTS]},
        ),
    )
    our_method, our_url, our_headers, our_body = simplify_request(sent)
    assert (our_method, our_url) == (method, url)
    assert our_headers == headers | header | {"content-type": "application/xml"}
    assert sorted_parts(our_body) == sorted_parts(body)
    assert sent.timeouts == COPY_TIMEOUT


def sorted_parts(body: bytes) -> list[str]:
    """Return the leaves of a completion, part by part; the order within a part does not matter."""
    text = body.decode()
    assert text.count("<Part>") == len(PARTS)
    return [
        f"{part.partition('<PartNumber>')[2].partition('<')[0]}={part.partition('<ETag>')[2].partition('<')[0]}"
        for part in text.split("<Part>")[1:]
    ]


# --- create -----------------------------------------------------------------------------------------------------------


async def test_the_upload_id_is_s3s() -> None:
    """Whatever characters it has."""
    body = f"<InitiateMultipartUploadResult {NAMESPACE}><UploadId>a&amp;b+/=</UploadId></InitiateMultipartUploadResult>"
    async with s3_harness(success(body)) as harness:
        assert await store_of(harness).create_multipart_upload(KEY, ObjectAttributes()) == "a&b+/="


@pytest.mark.parametrize(
    "body", ["", "<html/>", "<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>"]
)
async def test_an_upload_without_an_id_is_not_created(body: str) -> None:
    """The endpoint is no S3 API."""
    async with s3_harness(success(body)) as harness:
        with pytest.raises(StoreUnavailableError, match="cannot be parsed"):
            await store_of(harness).create_multipart_upload(KEY, ObjectAttributes())


# --- complete ---------------------------------------------------------------------------------------------------------

COMPLETED: Final = (
    f"<CompleteMultipartUploadResult {NAMESPACE}><ETag>&quot;e-2&quot;</ETag></CompleteMultipartUploadResult>"
)


@pytest.mark.parametrize("before", ["", "   \n\n ", " " * 5000])
async def test_s3_may_send_white_space_while_it_works(before: str) -> None:
    """XML does not allow it before its declaration."""
    async with s3_harness(success(f'{before}<?xml version="1.0" encoding="UTF-8"?>\n{COMPLETED}')) as harness:
        assert await complete(harness) == "e-2"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (error("404 Not Found", "NoSuchUpload"), MultipartUploadLostError),
        (error("200 OK", "NoSuchUpload"), MultipartUploadLostError),
        (error("409 Conflict", "ConditionalRequestConflict"), MultipartUploadLostError),
        (error("200 OK", "ConditionalRequestConflict"), MultipartUploadLostError),
        (error("412 Precondition Failed", "PreconditionFailed"), PreconditionFailedError),
        (error("412 Precondition Failed", ""), PreconditionFailedError),
        (error("200 OK", "PreconditionFailed"), PreconditionFailedError),
        (error("404 Not Found", "NoSuchKey"), PreconditionFailedError),
        (error("400 Bad Request", "InvalidPart"), PartsRejectedError),
        (error("200 OK", "InvalidPart"), PartsRejectedError),
        (error("400 Bad Request", "InvalidPartOrder"), PartsRejectedError),
        (error("400 Bad Request", "EntityTooSmall"), PartsRejectedError),
        (error("400 Bad Request", "EntityTooLarge"), PartsRejectedError),
        (error("400 Bad Request", "InvalidRequest"), PartsRejectedError),
        (error("400 Bad Request", "MalformedXML"), PartsRejectedError),
        (error("400 Bad Request", "InvalidArgument"), MultipartUploadLostError),
        (error("404 Not Found", ""), StoreUnavailableError),
        (error("404 Not Found", "NoSuchBucket"), StoreMisconfiguredError),
        (error("403 Forbidden", "AccessDenied"), StoreAccessDeniedError),
        (error("501 Not Implemented", "NotImplemented"), StoreUnsupportedError),
        (error("400 Bad Request", "Other"), StoreUnavailableError),
        (success("<html/>"), StoreUnavailableError),
        (success(""), StoreUnavailableError),
    ],
    ids=describe,
)
async def test_an_error_of_a_completion(step: Step, expected: type[Exception]) -> None:
    """S3 sends its status before the work, so that every error may come inside a 200."""
    async with s3_harness(step) as harness:
        with pytest.raises(expected) as raised:
            await complete(harness)
    assert type(raised.value) is expected


async def test_white_space_may_come_before_an_error_too() -> None:
    """A success that is an error."""
    step = Step(http_response(body=b"  \n<?xml version='1.0'?><Error><Code>InvalidPart</Code></Error>"))
    async with s3_harness(step) as harness:
        with pytest.raises(PartsRejectedError, match="InvalidPart"):
            await complete(harness)


@pytest.mark.parametrize(
    "step", [error("200 OK", "InternalError"), error("503 Slow Down", "SlowDown"), Step(then=AfterResponse.CLOSE)]
)
async def test_a_completion_is_retried(step: Step) -> None:
    """The condition makes that safe. If the first attempt succeeded, S3 does not know the upload any more."""
    async with s3_harness(step, success(COMPLETED)) as harness:
        assert await complete(harness) == "e-2"
        assert len(harness.pauses) == 1
    async with s3_harness(step, error("404 Not Found", "NoSuchUpload")) as harness:
        with pytest.raises(MultipartUploadLostError):
            await complete(harness)


async def test_a_completion_that_fails_every_time_is_unavailable() -> None:
    """It may have taken effect."""
    async with s3_harness(*[error("200 OK", "InternalError")] * 3) as harness:
        with pytest.raises(StoreUnavailableError, match="S3 responds 200 InternalError"):
            await complete(harness)


async def test_a_lost_upload_is_counted_as_what_it_is() -> None:
    """It is no failure of S3, and raises no alert."""
    async with s3_harness(error("404 Not Found", "NoSuchUpload")) as harness:
        with pytest.raises(MultipartUploadLostError) as raised:
            await complete(harness)
        assert [call.outcome for call in harness.calls] == [CallOutcome.of_error(raised.value)]


# --- abort ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [Step(b"HTTP/1.1 204 No Content\r\n\r\n"), error("404 Not Found", "NoSuchUpload")])
async def test_an_upload_that_is_gone_is_aborted(step: Step) -> None:
    """It is what the caller wanted."""
    async with s3_harness(step) as harness:
        await store_of(harness).abort_multipart_upload(KEY, UPLOAD_ID)
        assert harness.server.requests[0].startswith(b"DELETE /bucket/uploaded/")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (error("404 Not Found", ""), StoreUnavailableError),
        (error("404 Not Found", "NoSuchBucket"), StoreMisconfiguredError),
        (error("403 Forbidden", "AccessDenied"), StoreAccessDeniedError),
        (error("400 Bad Request", "InvalidPart"), StoreUnavailableError),
        (error("412 Precondition Failed", ""), StoreUnavailableError),
    ],
)
async def test_an_abort_that_fails_is_an_error(step: Step, expected: type[Exception]) -> None:
    """Otherwise parts would be paid for that nobody looks for."""
    async with s3_harness(step) as harness:
        with pytest.raises(expected):
            await store_of(harness).abort_multipart_upload(KEY, UPLOAD_ID)


# --- list of parts ----------------------------------------------------------------------------------------------------


def part(number: int, etag: str = "e", size: int = 5, second: int = 0) -> str:
    """Return one part of a list."""
    return (
        f"<Part><PartNumber>{number}</PartNumber><LastModified>2026-11-22T11:59:{second:02d}.000Z</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Part>"
    )


def part_page(*parts: str, next_number: int | None = None) -> Step:
    """Return one page of a list of parts."""
    more = "false" if next_number is None else "true"
    marker = "" if next_number is None else f"<NextPartNumberMarker>{next_number}</NextPartNumberMarker>"
    return success(
        f"<ListPartsResult {NAMESPACE}><Bucket>b</Bucket>{marker}<MaxParts>1000</MaxParts>"
        f"<IsTruncated>{more}</IsTruncated>{''.join(parts)}<StorageClass>STANDARD</StorageClass></ListPartsResult>"
    )


async def list_parts(*steps: Step) -> tuple[Sequence[UploadedPart], list[bytes]]:
    """Return the parts, and the numbers after which the requests asked for more."""
    async with s3_harness(*steps) as harness:
        parts = await store_of(harness).list_parts("k", "u")
        lines = [request.split(b" ")[1] for request in harness.server.requests]
    return parts, [line.partition(b"part-number-marker=")[2].partition(b"&")[0] for line in lines]


async def test_all_pages_of_parts_are_listed() -> None:
    """Each page begins after the last number of the one before."""
    parts, markers = await list_parts(
        part_page(part(1, "a"), part(2, "b", 0), next_number=2), part_page(next_number=7), part_page(part(9, "c"))
    )
    assert parts == [UploadedPart(1, "a", 5), UploadedPart(2, "b", 0), UploadedPart(9, "c", 5)]
    assert markers == [b"0", b"2", b"7"]


async def test_an_upload_without_parts_has_an_empty_list() -> None:
    """It was just created."""
    assert await list_parts(part_page()) == ([], [b"0"])


@pytest.mark.parametrize("pages", [(2, 2), (2, 1), (5, 4)])
async def test_a_list_of_parts_that_does_not_advance_ends(pages: tuple[int, int]) -> None:
    """Otherwise the request would never end."""
    with pytest.raises(StoreUnavailableError, match="does not advance"):
        await list_parts(*[part_page(part(number), next_number=number) for number in pages])


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([part(1, "old", 5, 1), part(1, "new", 6, 2)], [UploadedPart(1, "new", 6)]),
        ([part(1, "new", 6, 2), part(1, "old", 5, 1)], [UploadedPart(1, "new", 6)]),
        ([part(1, "same", 5, 1), part(1, "same", 5, 1)], [UploadedPart(1, "same", 5)]),
        ([part(1, "one", 5, 1), part(1, "other", 5, 1)], []),
        ([part(1, "one", 5, 1), part(1, "other", 5, 1), part(1, "last", 5, 2)], [UploadedPart(1, "last", 5)]),
        ([part(2, "b"), part(1, "a")], [UploadedPart(1, "a", 5), UploadedPart(2, "b", 5)]),
    ],
    ids=["newer last", "newer first", "sent again", "ambiguous", "ambiguous before", "not in order"],
)
async def test_an_overwritten_part_is_listed_once(versions: list[str], expected: list[UploadedPart]) -> None:
    """SeaweedFS lists each of its versions, with times in whole seconds. An ambiguous part is sent again."""
    parts, _ = await list_parts(part_page(*versions))
    assert parts == expected


async def test_the_versions_of_a_part_may_be_on_two_pages() -> None:
    """It is one part nevertheless."""
    parts, _ = await list_parts(part_page(part(1, "old", 5, 1), next_number=1), part_page(part(1, "new", 5, 2)))
    assert parts == [UploadedPart(1, "new", 5)]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (error("404 Not Found", "NoSuchUpload"), MultipartUploadLostError),
        (error("400 Bad Request", "InvalidRequest"), MultipartUploadLostError),
        (error("400 Bad Request", "InvalidArgument"), MultipartUploadLostError),
        (error("400 Bad Request", "InvalidPart"), StoreUnavailableError),
        (error("404 Not Found", "NoSuchKey"), StoreUnavailableError),
        (error("404 Not Found", "NoSuchBucket"), StoreMisconfiguredError),
        (error("404 Not Found", ""), StoreUnavailableError),
        (error("412 Precondition Failed", ""), StoreUnavailableError),
        (error("409 Conflict", "ConditionalRequestConflict"), StoreUnavailableError),
        (success("<ListBucketResult/>"), StoreUnavailableError),
        (success("<ListPartsResult/>"), StoreUnavailableError),
        (success("<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>"), StoreUnavailableError),
        (part_page(part(1).replace("<Size>5</Size>", "")), StoreUnavailableError),
        (part_page(part(1).replace("<Size>5", "<Size>five")), StoreUnavailableError),
        (part_page(part(1).replace("000Z", "000")), StoreUnavailableError),
    ],
)
async def test_a_list_of_parts_that_fails(step: Step, expected: type[Exception]) -> None:
    """An incomplete list is never taken for a shorter one."""
    with pytest.raises(expected) as raised:
        await list_parts(step)
    assert type(raised.value) is expected


# --- list of uploads --------------------------------------------------------------------------------------------------


def upload_page(
    *keys: str, marker: str = "", more: bool = False, encoding: str = "<EncodingType>url</EncodingType>"
) -> Step:
    """Return one page of a list of uploads."""
    uploads = "".join(
        f"<Upload><Key>{key}</Key><UploadId>id-{number}</UploadId><Initiator><ID>x</ID></Initiator>"
        f"<Initiated>2026-11-22T13:00:0{number}+01:00</Initiated></Upload>"
        for number, key in enumerate(keys)
    )
    return success(
        f"<ListMultipartUploadsResult {NAMESPACE}><Bucket>b</Bucket><KeyMarker/>{encoding}{marker}"
        f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{uploads}</ListMultipartUploadsResult>",
        date=DATE,
    )


async def list_uploads(step: Step, marker: UploadMarker | None = None) -> OpenUploadPage:
    """Return one page."""
    async with s3_harness(step) as harness:
        return await store_of(harness).list_multipart_uploads("uploaded/", marker)


def upload(key: str, number: int) -> OpenUpload:
    """Return an upload of such a page."""
    return OpenUpload(key, f"id-{number}", datetime(2026, 11, 22, 12, 0, number, tzinfo=UTC))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (upload_page(), OpenUploadPage([], None, SERVER_TIME)),
        (upload_page("a%2Bb+c", "d"), OpenUploadPage([upload("a+b c", 0), upload("d", 1)], None, SERVER_TIME)),
        (upload_page("a%2Bb+c", encoding=""), OpenUploadPage([upload("a%2Bb+c", 0)], None, SERVER_TIME)),
        (
            upload_page(
                "a",
                marker="<NextKeyMarker>a+b</NextKeyMarker><NextUploadIdMarker>i+d</NextUploadIdMarker>",
                more=True,
            ),
            OpenUploadPage([upload("a", 0)], UploadMarker("a b", "i+d"), SERVER_TIME),
        ),
        (
            upload_page("a", marker="<NextUploadIdMarker>id</NextUploadIdMarker>", more=True),
            OpenUploadPage([upload("a", 0)], UploadMarker("", "id"), SERVER_TIME),
        ),
        (
            upload_page("a", marker="<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>id</NextUploadIdMarker>"),
            OpenUploadPage([upload("a", 0)], None, SERVER_TIME),
        ),
    ],
    ids=["empty", "encoded", "not encoded", "more", "more without a key, as SeaweedFS", "markers of the last page"],
)
async def test_a_page_of_uploads_is_read(step: Step, expected: OpenUploadPage) -> None:
    """Keys are decoded and times are UTC; upload ids are never encoded."""
    assert await list_uploads(step) == expected


@pytest.mark.parametrize(
    ("marker", "sent"),
    [
        (UploadMarker("a", "id"), "<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>id</NextUploadIdMarker>"),
        (UploadMarker("", "id"), "<NextUploadIdMarker>id</NextUploadIdMarker>"),
        (UploadMarker("", ""), ""),
    ],
)
async def test_a_list_of_uploads_that_does_not_advance_ends(marker: UploadMarker, sent: str) -> None:
    """Otherwise the scan would never end."""
    with pytest.raises(StoreUnavailableError, match="does not advance"):
        await list_uploads(upload_page("a", marker=sent, more=True), marker)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (error("404 Not Found", "NoSuchUpload"), StoreUnavailableError),
        (error("404 Not Found", "NoSuchBucket"), StoreMisconfiguredError),
        (error("403 Forbidden", "AccessDenied"), StoreAccessDeniedError),
        (success("<ListPartsResult/>"), StoreUnavailableError),
        (success("<ListMultipartUploadsResult/>"), StoreUnavailableError),
        (
            success(
                "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>a</Key></Upload>"
                "</ListMultipartUploadsResult>"
            ),
            StoreUnavailableError,
        ),
    ],
)
async def test_a_list_of_uploads_that_fails(step: Step, expected: type[Exception]) -> None:
    """An incomplete list is never taken for a shorter one."""
    with pytest.raises(expected) as raised:
        await list_uploads(step)
    assert type(raised.value) is expected
