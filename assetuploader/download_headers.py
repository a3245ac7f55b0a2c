"""The headers of a download: what the one who uploaded chose, and what a browser may see of it.

S3 returns the system headers of the upload, and a presigned URL can replace them. docs/design.md has the list of all
headers, with reasons. Those that are not replaced here are harmless in a file that browsers only save.
"""

import re
import unicodedata
from collections.abc import Mapping
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Final
from urllib.parse import quote

_CHOSEN: Final = frozenset({"content-disposition", "content-encoding"})
"""The headers of an upload that decide about its download."""
_CODINGS: Final = frozenset({"gzip", "deflate", "br", "zstd"})
_MAX_NAME_BYTES: Final = 200
"""In UTF-8. File systems take 255."""
_MAX_SUFFIX_CHARACTERS: Final = 20
_NOT_IN_NAMES: Final = re.compile(r'[<>:"|?*]')
"""Characters that some file system forbids."""


def download_headers(
    stored: Mapping[str, str], expires_in: int, filename: str | None = None, *, is_inline: bool = False
) -> dict[str, str]:
    """Return the headers that replace the stored ones in a download by a URL that is valid for this many seconds.

    A declared file name replaces that of the upload. Browsers save the file, or show it if `is_inline`. Keys
    are in lower case, and values in printable ASCII.
    """
    kind = "inline" if is_inline else "attachment"
    headers = {"content-disposition": kind, "cache-control": f"private, max-age={expires_in}"}
    if filename is None and _CHOSEN.isdisjoint(
        stored
    ):  # most uploads: the rest takes 7 of the 28 us of a GET from memory
        return headers
    if filename is None:
        filename = _parse_name(stored.get("content-disposition", ""))
    headers["content-disposition"] = _disposition(kind, filename)
    encoding = stored.get("content-encoding", "")
    codings = [coding for coding in re.split(r"[,\s]+", encoding.lower()) if coding not in {"", "aws-chunked"}]
    allowed = ", ".join(codings) if _CODINGS.issuperset(codings) else ""
    if allowed != encoding:
        headers["content-encoding"] = allowed or "identity"
    return headers


def _disposition(kind: str, filename: str) -> str:
    """Return a `Content-Disposition` with this file name, made safe, as RFC 6266 says."""
    name = safe_name(filename)
    if not name:
        return kind
    decomposed = unicodedata.normalize("NFKD", name)
    ascii_name = "".join(c if c.isascii() else "_" for c in decomposed if not unicodedata.combining(c))
    # NFKD may bring back forbidden characters; some browsers decode percent signs here
    fallback = re.sub(r"[/\\%]", "_", _NOT_IN_NAMES.sub("_", ascii_name))
    disposition = f'{kind}; filename="{fallback}"'
    return disposition if fallback == name else f"{disposition}; filename*=UTF-8''{quote(name, safe='')}"


def _parse_name(disposition: str) -> str:
    message = Message()
    try:
        message["content-disposition"] = disposition
        parameters = message.get_params([], "content-disposition")
        names = [value for name, value in parameters[1:] if name.lower() == "filename"]
        extended = [value for value in names if isinstance(value, tuple)]  # filename* counts, if both are there
        return collapse_rfc2231_value([*extended, *names, ""][0])
    except ValueError:  # the client may send anything
        return ""


def safe_name(name: str) -> str:
    """Return the last part of a file name, without what deceives people or file systems; it may be empty.

    Control characters and those that change the direction of text are removed, and so are leading dots.
    """
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    visible = "".join(
        c for c in name if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in {"Zl", "Zp"}
    )
    name = _NOT_IN_NAMES.sub("_", visible).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > _MAX_SUFFIX_CHARACTERS:
        stem, dot, suffix = name, "", ""
    while len(f"{stem}{dot}{suffix}".encode()) > _MAX_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem}{dot}{suffix}"
