"""The formats of ids, S3 keys, ETags and timestamps."""

import re
from datetime import datetime
from typing import Final

UPLOADED_PREFIX: Final = "uploaded/"
TEMP_PREFIX: Final = "temp/"
CHECK_UPLOAD_KEY: Final = TEMP_PREFIX + "_probe"
"""Where programs upload to try the store. It holds no asset id, so the reconciler leaves it alone."""

_ASSET_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_ETAG: Final = re.compile(r"[0-9A-Za-z+/=_.-]{1,128}", re.ASCII)


def is_asset_id(text: str) -> bool:
    """Return whether the text is an asset id: a UUIDv4 in lower case, with hyphens."""
    return _ASSET_ID.fullmatch(text) is not None


def uploaded_key(asset_id: str) -> str:
    """Return the key of the placeholder, which later holds the final asset."""
    return UPLOADED_PREFIX + asset_id


def temp_key(asset_id: str) -> str:
    """Return the key that the upload URL writes to."""
    return TEMP_PREFIX + asset_id


def parse_etag(text: str) -> str | None:
    """Return the ETag without its quotes, or None when the text is not a strong ETag.

    S3 never gives an object a weak ETag (`W/…`).
    """
    if text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    return text if _ETAG.fullmatch(text) else None


def format_timestamp(timestamp: datetime) -> str:
    """Format a UTC timestamp in whole seconds: `2026-01-31T12:00:00Z`."""
    return timestamp.isoformat()[:19] + "Z"


def parse_timestamp(text: str) -> datetime:
    """Parse a timestamp that `format_timestamp` wrote.

    Raises:
        ValueError: The text has another format, or is not a date.
    """
    if _TIMESTAMP.fullmatch(text) is None:
        raise ValueError(text)
    return datetime.fromisoformat(text)
