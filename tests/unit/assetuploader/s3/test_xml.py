"""S3's XML is parsed without expanding entities or fetching anything; missing elements are errors."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetuploader.s3.xml import (
    MalformedResponseError,
    build_completion,
    build_delete_request,
    parse_completed_etag,
    parse_copied_etag,
    parse_deletions,
    parse_error_code,
    parse_list_page,
    parse_open_upload_page,
    parse_part_page,
    parse_upload_id,
)
from assetuploader.store import CompletedPart, ListedObject, ListPage

SERVER_TIME = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
CONTENTS = """<Contents><Key>{}</Key><LastModified>2026-11-22T11:59:59.000Z</LastModified><ETag>&quot;e&quot;</ETag>
<Size>5</Size><Owner><ID>x</ID><DisplayName>y</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>"""


def build_listing(*keys: str, encoding: str = "<EncodingType>url</EncodingType>", truncated: str = "false") -> bytes:
    """Return a listing in S3's format."""
    contents = "".join(CONTENTS.format(key) for key in keys)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult {NAMESPACE}><Name>b</Name><Prefix>temp/</Prefix>'
        f"<KeyCount>{len(keys)}</KeyCount>{encoding}<IsTruncated>{truncated}</IsTruncated>{contents}</ListBucketResult>"
    ).encode()


def test_a_listing_is_read() -> None:
    """A page has the decoded keys and their times in S3's order, and whether more follow."""
    last_modified = datetime(2026, 11, 22, 11, 59, 59, tzinfo=UTC)
    page, _ = parse_list_page(build_listing("temp/a", "temp/b%2Bc+d%C3%BC", truncated="true"), SERVER_TIME)
    assert page == ListPage(
        [ListedObject("temp/a", last_modified), ListedObject("temp/b+c dü", last_modified)],
        is_truncated=True,
        server_time=SERVER_TIME,
    )
    page, _ = parse_list_page(build_listing("a%2B&amp;b", encoding=""), SERVER_TIME)
    assert page == ListPage([ListedObject("a%2B&b", last_modified)], is_truncated=False, server_time=SERVER_TIME)
    assert parse_list_page(build_listing(), SERVER_TIME) == (
        ListPage([], is_truncated=False, server_time=SERVER_TIME),
        "",
    )


def test_a_prefixed_namespace_means_the_same() -> None:
    """`<s3:ETag>` is read as `<ETag>` is."""
    body = b'<s3:CopyObjectResult xmlns:s3="urn:x"><s3:ETag>"e"</s3:ETag></s3:CopyObjectResult>'
    assert parse_copied_etag(body) == "e"


def test_failed_deletions_are_read() -> None:
    """Each key that was not deleted is returned with S3's code."""
    body = f"""<DeleteResult {NAMESPACE}><Deleted><Key>temp/a</Key></Deleted>
    <Error><Key>temp/b&amp;c</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"""
    assert parse_deletions(body.encode()) == {"temp/b&c": "AccessDenied"}


BOMB = b"""<?xml version="1.0"?><!DOCTYPE Error [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Error><Code>&b;</Code></Error>"""
EXTERNAL = b"""<!DOCTYPE Error [<!ENTITY x SYSTEM "file:///etc/passwd">]><Error><Code>&x;</Code></Error>"""
DOCTYPE_ONLY = b"<!DOCTYPE Error SYSTEM 'http://127.0.0.1/x'><Error><Code>SlowDown</Code></Error>"


@pytest.mark.parametrize("body", [BOMB, EXTERNAL, DOCTYPE_ONLY])
def test_document_types_are_rejected(body: bytes) -> None:
    """A document with a type declaration has no error code, so no entity is expanded and nothing is fetched."""
    assert parse_error_code(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<html><body>hello</body></html>",
        build_listing("temp/a")[:-1],
        build_listing("temp/a", truncated="maybe"),
        build_listing().replace(b"<IsTruncated>false</IsTruncated>", b""),
        build_listing("temp/a").replace(b"<Key>temp/a</Key>", b""),
        build_listing("temp/a").replace(b"2026-11-22T11:59:59.000Z", b"2026-11-22T11:59:59"),
        build_listing("temp/a").replace(b"2026-11-22T11:59:59.000Z", b"yesterday"),
        build_listing("<a>" * 20 + "</a>" * 20),
        build_listing("temp/a").replace(b"UTF-8", b"no-such-encoding"),
    ],
)
def test_another_document_is_not_a_listing(body: bytes) -> None:
    """A truncated, incomplete or different document is not taken for a shorter listing."""
    with pytest.raises(MalformedResponseError):
        parse_list_page(body, SERVER_TIME)


@pytest.mark.parametrize("body", [b"<CopyObjectResult/>", b"<CopyObjectResult><ETag/></CopyObjectResult>", b"<Error/>"])
def test_a_copy_without_an_etag_is_malformed(body: bytes) -> None:
    """A copy's response without an ETag is malformed."""
    with pytest.raises(MalformedResponseError):
        parse_copied_etag(body)


@given(st.binary(max_size=300))
def test_random_bytes_are_malformed(body: bytes) -> None:
    """Every parser raises MalformedResponseError, and nothing else."""
    for parse in (
        parse_copied_etag,
        parse_completed_etag,
        parse_upload_id,
        parse_part_page,
        parse_deletions,
        lambda body: parse_list_page(body, SERVER_TIME),
        lambda body: parse_open_upload_page(body, SERVER_TIME),
    ):
        with pytest.raises(MalformedResponseError):
            parse(body)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\r\n\t<>&\"'"), min_size=1)))
def test_a_delete_request_contains_exactly_its_keys(keys: list[str]) -> None:
    """Whatever the keys are, a parser of the request finds these keys and no others."""
    root = ET.fromstring(build_delete_request(keys))  # noqa: S314 -- our own document, by an independent parser
    namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert [element.text for element in root.iter(f"{namespace}Key")] == keys
    assert root.findtext(f"{namespace}Quiet") == "true"


@given(st.lists(st.builds(CompletedPart, st.integers(1, 10_000), st.text("aB0+/=_.-<>&\"'\r\n\t", min_size=1))))
def test_a_completion_contains_exactly_its_parts(parts: list[CompletedPart]) -> None:
    """In their order, whatever a store calls an ETag."""
    root = ET.fromstring(build_completion(parts))  # noqa: S314 -- our own document, by an independent parser
    namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert root.tag == f"{namespace}CompleteMultipartUpload"
    assert [(element.findtext(f"{namespace}PartNumber"), element.findtext(f"{namespace}ETag")) for element in root] == [
        (str(part.number), part.etag) for part in parts
    ]
