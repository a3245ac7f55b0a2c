"""S3's XML documents: the few that are sent and parsed.

expat parses them, and a document type is refused, so that there are no entities to expand or fetch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_plus
from xml.parsers import expat
from xml.sax.saxutils import escape

from assetuploader.store import (
    CompletedPart,
    ListedObject,
    ListPage,
    OpenUpload,
    OpenUploadPage,
    UploadedPart,
    UploadMarker,
)

_DEPTH_LIMIT: Final = 16
_BOOLEANS: Final = {"true": True, "false": False}
_XMLNS: Final = "http://s3.amazonaws.com/doc/2006-03-01/"


class MalformedResponseError(Exception):
    """The response is not what the S3 API promises."""


class _LeafCollector:
    """A collector of the text of the leaves, grouped by the child of the root that contains them."""

    __slots__ = ("_depth", "_group", "_text", "groups", "root")

    def __init__(self) -> None:
        self.root = ""
        self.groups: list[tuple[str, dict[str, str]]] = []
        """The children of the root, in order: name and leaves. A child's own text is the leaf `""`."""
        self._depth = 0
        self._group: dict[str, str] = {}
        self._text: list[str] = []

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._text.clear()
        if self._depth == 1:
            self.root = _local_name(name)
        elif self._depth == 2:  # noqa: PLR2004
            self._group = {}
            self.groups.append((_local_name(name), self._group))
        elif self._depth > _DEPTH_LIMIT:
            raise MalformedResponseError("the document is nested too deeply")

    def end(self, name: str) -> None:
        if self._depth == 2:  # noqa: PLR2004
            self._group.setdefault("", "".join(self._text))
        elif self._depth == 3:  # noqa: PLR2004
            self._group.setdefault(_local_name(name), "".join(self._text))
        self._text.clear()
        self._depth -= 1

    def add_text(self, text: str) -> None:
        self._text.append(text)

    def refuse(self, *_: object) -> None:
        raise MalformedResponseError("the document contains a document type")


def _local_name(name: str) -> str:
    return name.rpartition(":")[2]


def _parse(body: bytes, root: str) -> _LeafCollector:
    collector = _LeafCollector()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = collector.start
    parser.EndElementHandler = collector.end
    parser.CharacterDataHandler = collector.add_text
    parser.StartDoctypeDeclHandler = collector.refuse
    parser.EntityDeclHandler = collector.refuse
    try:
        # S3 sends white space while it copies, which XML does not allow before its declaration.
        parser.Parse(body.lstrip(), True)  # noqa: FBT003 -- expat's own signature: the document is complete
    except (expat.ExpatError, LookupError, ValueError) as error:  # LookupError: an unknown encoding
        raise MalformedResponseError(f"the document is not XML: {error}") from error
    if collector.root != root:
        raise MalformedResponseError(f"the document is not a {root}")
    return collector


def parse_error_code(body: bytes) -> str | None:
    """Return the code of an `Error` document, None for another document."""
    try:
        return _collect_texts(_parse(body, "Error")).get("Code")
    except MalformedResponseError:
        return None


def parse_copied_etag(body: bytes) -> str:
    """Return the new ETag from a response to CopyObject.

    Raises:
        MalformedResponseError: It is not such a response.
    """
    return _require_text(_parse(body, "CopyObjectResult"), "ETag").strip('"')


def parse_completed_etag(body: bytes) -> str:
    """Return the new ETag from a response to CompleteMultipartUpload.

    Raises:
        MalformedResponseError: It is not such a response.
    """
    return _require_text(_parse(body, "CompleteMultipartUploadResult"), "ETag").strip('"')


def parse_upload_id(body: bytes) -> str:
    """Return the upload id from a response to CreateMultipartUpload.

    Raises:
        MalformedResponseError: It is not such a response.
    """
    return _require_text(_parse(body, "InitiateMultipartUploadResult"), "UploadId")


@dataclass(frozen=True, slots=True)
class ListedPart:
    """One part in a response to ListParts. Some stores list an overwritten part once for each time it was sent."""

    part: UploadedPart
    last_modified: datetime


def parse_part_page(body: bytes) -> tuple[list[ListedPart], int | None]:
    """Return the parts in a response to ListParts, and the number after which the next page begins, None at the end.

    Raises:
        MalformedResponseError: It is not such a response.
    """
    collector = _parse(body, "ListPartsResult")
    found = _collect_texts(collector)
    try:
        parts = [
            ListedPart(
                UploadedPart(int(leaves["PartNumber"]), leaves["ETag"].strip('"'), int(leaves["Size"])),
                _parse_timestamp(leaves["LastModified"]),
            )
            for name, leaves in collector.groups
            if name == "Part"
        ]
        next_number = int(found["NextPartNumberMarker"]) if _BOOLEANS[found["IsTruncated"]] else None
    except (KeyError, ValueError) as error:
        raise MalformedResponseError("the list of parts is incomplete") from error
    return parts, next_number


def parse_open_upload_page(body: bytes, server_time: datetime) -> OpenUploadPage:
    """Return the page in a response to ListMultipartUploads.

    Raises:
        MalformedResponseError: It is not such a response.
    """
    collector = _parse(body, "ListMultipartUploadsResult")
    found = _collect_texts(collector)
    decode = unquote_plus if found.get("EncodingType") == "url" else str
    try:
        uploads = [
            OpenUpload(decode(leaves["Key"]), leaves["UploadId"], _parse_timestamp(leaves["Initiated"]))
            for name, leaves in collector.groups
            if name == "Upload"
        ]
        is_truncated = _BOOLEANS[found["IsTruncated"]]
    except (KeyError, ValueError) as error:
        raise MalformedResponseError("the list of uploads is incomplete") from error
    marker = UploadMarker(decode(found.get("NextKeyMarker", "")), found.get("NextUploadIdMarker", ""))
    return OpenUploadPage(uploads, marker if is_truncated else None, server_time)


def parse_list_page(body: bytes, server_time: datetime) -> tuple[ListPage, str]:
    """Return the page in a response to ListObjectsV2, and the token of the next page if this one has no keys.

    Raises:
        MalformedResponseError: It is not such a response.
    """
    collector = _parse(body, "ListBucketResult")
    found = _collect_texts(collector)
    is_encoded = found.get("EncodingType") == "url"
    try:
        objects = [
            ListedObject(
                unquote_plus(leaves["Key"]) if is_encoded else leaves["Key"],
                _parse_timestamp(leaves["LastModified"]),
            )
            for name, leaves in collector.groups
            if name == "Contents"
        ]
        is_truncated = _BOOLEANS[found["IsTruncated"]]
        token = found["NextContinuationToken"] if is_truncated and not objects else ""
    except (KeyError, ValueError) as error:
        raise MalformedResponseError("the listing is incomplete") from error
    return ListPage(objects, is_truncated, server_time), token


def parse_deletions(body: bytes) -> dict[str, str]:
    """Return the keys that a response to DeleteObjects reports as not deleted, each with the error code.

    Raises:
        MalformedResponseError: It is not such a response.
    """
    collector = _parse(body, "DeleteResult")
    return {
        leaves.get("Key", ""): leaves.get("Code", "unknown") for name, leaves in collector.groups if name == "Error"
    }


def build_delete_request(keys: Sequence[str]) -> bytes:
    """Return the body of a DeleteObjects request whose response contains only failures."""
    objects = "".join([f"<Object><Key>{escape(key, _CONTROL)}</Key></Object>" for key in keys])
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Delete xmlns="{_XMLNS}">{objects}<Quiet>true</Quiet></Delete>'
    ).encode()


def build_completion(parts: Iterable[CompletedPart]) -> bytes:
    """Return the body of a CompleteMultipartUpload request."""
    listed = "".join(
        [
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag, _CONTROL)}</ETag></Part>"
            for part in parts
        ]
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<CompleteMultipartUpload xmlns="{_XMLNS}">{listed}</CompleteMultipartUpload>'
    ).encode()


_CONTROL: Final = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


def _parse_timestamp(text: str) -> datetime:
    timestamp = datetime.fromisoformat(text)
    if timestamp.tzinfo is None:
        raise ValueError("a timestamp without a time zone")
    return timestamp.astimezone(UTC)


def _require_text(collector: _LeafCollector, name: str) -> str:
    text = _collect_texts(collector).get(name, "")
    if not text:
        raise MalformedResponseError(f"the document has no {name}")
    return text


def _collect_texts(collector: _LeafCollector) -> dict[str, str]:
    """Return the texts of the root's children, by their names."""
    return {name: leaves[""] for name, leaves in collector.groups if "" in leaves}
