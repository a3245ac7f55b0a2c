"""S3's XML: the few documents that go each way.

Parsed by expat with every document type refused, so there are no entities to expand or fetch; only CopyObject's answer,
of which each asset has one, is read by a pattern where it is spelled as usual.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote_plus
from xml.parsers import expat
from xml.sax.saxutils import escape

from assetstore.door import Listed, Page

_DEPTH_LIMIT: Final = 16


class UnreadableError(Exception):
    """The document is not what S3 promises."""


class _Reader:
    """Collects the text of the leaves of a document, grouped by the element of depth two that holds them."""

    __slots__ = ("_depth", "_group", "_name", "_text", "groups", "root")

    def __init__(self) -> None:
        self.root = ""
        self.groups: list[tuple[str, dict[str, str]]] = []
        """Each child of the root, in order: its name, and its leaves; its own text is the leaf `""`."""
        self._depth = 0
        self._group: dict[str, str] = {}
        self._name = ""
        self._text: list[str] = []

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._text.clear()
        if self._depth == 1:
            self.root = _local(name)
        elif self._depth == 2:  # noqa: PLR2004
            self._group = {}
            self.groups.append((_local(name), self._group))
        elif self._depth > _DEPTH_LIMIT:
            raise UnreadableError("the document is too deep")

    def end(self, name: str) -> None:
        if self._depth == 2:  # noqa: PLR2004
            self._group.setdefault("", "".join(self._text))
        elif self._depth == 3:  # noqa: PLR2004
            self._group.setdefault(_local(name), "".join(self._text))
        self._text.clear()
        self._depth -= 1

    def text(self, text: str) -> None:
        self._text.append(text)

    def refuse(self, *_: object) -> None:
        raise UnreadableError("the document brings a document type")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _read(body: bytes, root: str) -> _Reader:
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    try:
        # S3 sends blanks while it copies, and XML allows none before its declaration.
        parser.Parse(body.lstrip(), True)  # noqa: FBT003 -- expat's own signature: this is all
    except (expat.ExpatError, LookupError, ValueError) as error:  # LookupError: an encoding that Python has not
        raise UnreadableError(f"the document is not XML: {error}") from error
    if reader.root != root:
        raise UnreadableError(f"the document is no {root}")
    return reader


def read_error_code(body: bytes) -> str | None:
    """The code of an `Error` document; None when it is none."""
    try:
        return _flat(_read(body, "Error")).get("Code")
    except UnreadableError:
        return None


_TEXT: Final = rb"[^<>&\"\x00-\x1f\x7f-\xff]*"
_COPIED: Final = re.compile(
    rb"\s*(?:<\?xml version=\"1\.0\"(?: encoding=\"UTF-8\")?\?>[\r\n ]*)?"
    rb"<CopyObjectResult(?: xmlns=\"%(text)b\")?>[\r\n ]*(?:<LastModified>%(text)b</LastModified>[\r\n ]*)?"
    rb"<ETag>(?:&quot;|&#34;|\")?([0-9A-Za-z+/=_.-]+)(?:&quot;|&#34;|\")?</ETag>[\r\n ]*"
    rb"(?:<(?!ETag)([A-Z][0-9A-Za-z]*)>%(text)b</\2>[\r\n ]*)*</CopyObjectResult>[\r\n ]*" % {b"text": _TEXT}
)
"""How stores spell it. Each asset has one such answer, and expat takes five times as long."""


def read_copied_etag(body: bytes) -> str:
    """An answer to CopyObject that is no error: the new ETag.

    Raises:
        UnreadableError: it is none.
    """
    usual = _COPIED.fullmatch(body)
    if usual is not None:
        return usual[1].decode()
    etag = _flat(_read(body, "CopyObjectResult")).get("ETag", "").strip('"')
    if not etag:
        raise UnreadableError("the copy has no ETag")
    return etag


def read_page(body: bytes, listed_at: datetime) -> Page:
    """An answer to ListObjectsV2.

    Raises:
        UnreadableError: it is none.
    """
    reader = _read(body, "ListBucketResult")
    found = _flat(reader)
    is_encoded = found.get("EncodingType") == "url"
    try:
        objects = [
            Listed(
                unquote_plus(leaves["Key"]) if is_encoded else leaves["Key"],
                _instant(leaves["LastModified"]),
            )
            for name, leaves in reader.groups
            if name == "Contents"
        ]
        is_last = {"true": False, "false": True}[found["IsTruncated"]]
    except (KeyError, ValueError) as error:
        raise UnreadableError("the listing lacks a part") from error
    return Page(objects, is_last, listed_at)


def read_deletions(body: bytes) -> dict[str, str]:
    """An answer to DeleteObjects: the keys that were not deleted, each with the error's code.

    Raises:
        UnreadableError: it is none.
    """
    reader = _read(body, "DeleteResult")
    return {leaves.get("Key", ""): leaves.get("Code", "unknown") for name, leaves in reader.groups if name == "Error"}


def write_deletions(keys: Sequence[str]) -> bytes:
    """A request of DeleteObjects that answers only what failed."""
    objects = "".join([f"<Object><Key>{escape(key, _CONTROL)}</Key></Object>" for key in keys])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}<Quiet>true</Quiet></Delete>'
    ).encode()


_CONTROL: Final = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone")
    return instant.astimezone(UTC)


def _flat(reader: _Reader) -> dict[str, str]:
    return {name: leaves[""] for name, leaves in reader.groups if "" in leaves}
