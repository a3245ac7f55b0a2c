"""What a client declares about its file when it creates an asset, as pure values and functions.

A declaration is enforced twice. The upload URL signs it, so that S3 refuses other bytes. And the bytes are compared
with it again before they become final. It is kept in the placeholder's metadata. Text is percent-encoded there, because
metadata travel in HTTP headers.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

CLIENT_PREFIX: Final = "client-"
"""The client's own metadata have it before their names, so that they cannot be mistaken for ours."""
_KEYS: Final = frozenset({"filename", "content-type", "size", "sha256", "write-once"})
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_UNENCODED: Final = "!#$&'()*+,/:;=?@[]^_`{|}~"
"""The printable ASCII that `quote` would encode and that a header value holds unchanged. A space is encoded: SigV4
collapses several of them."""
_EMPTY: Final = "%00"
"""How an empty text is stored: SeaweedFS drops metadata without a value. No text contains this character."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a client declared. None means that it did not."""

    filename: str | None = None
    """Any text without control characters."""
    content_type: str | None = None
    """Printable ASCII."""
    size: int | None = None
    """In bytes."""
    sha256: str | None = None
    """64 hexadecimal digits in lower case."""
    write_once: bool = False
    """Whether a second upload is refused."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The client's own: names in lower-case letters, digits and hyphens, values any text without control characters."""

    @property
    def upload_headers(self) -> dict[str, str]:
        """The headers that the upload must have, names in lower case. The upload URL signs them."""
        headers = {}
        if self.size is not None:
            headers["content-length"] = str(self.size)
        if self.content_type is not None:
            headers["content-type"] = self.content_type
        if self.write_once:
            headers["if-none-match"] = "*"
        if self.sha256 is not None:
            headers["x-amz-checksum-sha256"] = b64encode(bytes.fromhex(self.sha256)).decode()
        return headers

    def allows(self, size: int, content_type: str | None, sha256: str | None) -> bool:
        """Whether an upload with these properties, as S3 returns them, is the declared one."""
        return (
            self.size in (None, size)
            and self.content_type in (None, content_type)
            and (self.sha256 is None or self.sha256 == sha256)
        )


def declaration_to_metadata(declaration: Declaration) -> dict[str, str]:
    """Return the declaration as `x-amz-meta-*` values: those that are declared, in printable ASCII."""
    metadata = {}
    if declaration.filename is not None:
        metadata["filename"] = _encode(declaration.filename)
    if declaration.content_type is not None:
        metadata["content-type"] = _encode(declaration.content_type)
    if declaration.size is not None:
        metadata["size"] = str(declaration.size)
    if declaration.sha256 is not None:
        metadata["sha256"] = declaration.sha256
    if declaration.write_once:
        metadata["write-once"] = "true"
    metadata.update({CLIENT_PREFIX + name: _encode(value) for name, value in declaration.metadata.items()})
    return metadata


def declaration_from_metadata(metadata: Mapping[str, str]) -> Declaration:
    """Return the declaration in these `x-amz-meta-*` values; other keys are ignored.

    Raises:
        ValueError: A value is not one that `declaration_to_metadata` writes.
    """
    size, sha256 = metadata.get("size"), metadata.get("sha256")
    if size is not None and not _SIZE.fullmatch(size):
        raise ValueError(f"the declared size is not a number: {size!r}")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise ValueError(f"the declared checksum is not a SHA-256: {sha256!r}")
    filename, content_type = metadata.get("filename"), metadata.get("content-type")
    return Declaration(
        None if filename is None else _decode(filename),
        None if content_type is None else _decode(content_type),
        None if size is None else int(size),
        sha256,
        metadata.get("write-once") == "true",
        {
            name.removeprefix(CLIENT_PREFIX): _decode(value)
            for name, value in metadata.items()
            if name.startswith(CLIENT_PREFIX)
        },
    )


def is_declaration_key(name: str) -> bool:
    """Whether a declaration is stored under this metadata key."""
    return name in _KEYS or name.startswith(CLIENT_PREFIX)


def _encode(text: str) -> str:
    return quote(text, safe=_UNENCODED) or _EMPTY


def _decode(text: str) -> str:
    return "" if text == _EMPTY else unquote(text)
