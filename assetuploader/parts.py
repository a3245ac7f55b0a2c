"""S3's limits for sizes, and the arithmetic of uploads in parts. Pure functions.

Limits: "Amazon S3 multipart upload limits" in the Amazon S3 user guide.
"""

import re
from collections.abc import Iterable
from hashlib import md5
from typing import Final

MAX_PUT_BYTES: Final = 5 * 1024**3
"""The longest object that one PUT or one copy writes."""
MIN_PART_BYTES: Final = 5 * 1024**2
"""Every part but the last one has at least as many bytes."""
MAX_PART_BYTES: Final = 5 * 1024**3
MAX_PARTS: Final = 10_000
MAX_MULTIPART_BYTES: Final = MAX_PARTS * MAX_PART_BYTES
"""The longest object: 48.8 TiB."""

_USUAL_PART_BYTES: Final = 16 * 1024**2
"""Small enough to send again, large enough that S3's price for a request does not matter (docs/operations.md)."""
_PART_BYTES_OF_UNKNOWN_SIZE: Final = 64 * 1024**2
"""So that 10,000 parts suffice for 625 GiB."""
_STEP_BYTES: Final = 1024**2
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def choose_part_bytes(size: int | None) -> int:
    """Return how long each part but the last one is, in bytes, so that S3's limits hold for an upload of this size."""
    if size is None:
        return _PART_BYTES_OF_UNKNOWN_SIZE
    needed = -(-size // MAX_PARTS)
    return max(_USUAL_PART_BYTES, -(-needed // _STEP_BYTES) * _STEP_BYTES)


def count_parts(size: int, part_bytes: int) -> int:
    """Return the number of parts of an upload of this size. An empty file has one, which is empty."""
    return max(1, -(-size // part_bytes))


def part_size(number: int, size: int, part_bytes: int) -> int:
    """Return the length of one part of an upload of this size, in bytes."""
    return min(part_bytes, size - (number - 1) * part_bytes)


def implied_etag(part_etags: Iterable[str]) -> str | None:
    """Return the ETag that S3 gives to an object of these parts; None when an ETag is no MD5.

    An object with this ETag has these parts. One with another ETag may have them, too: S3 does not document the ETags
    of objects that it encrypts with a key of KMS.
    """
    digests = list(part_etags)
    if not all(_MD5.fullmatch(etag) for etag in digests):
        return None
    digest = md5(b"".join(map(bytes.fromhex, digests)), usedforsecurity=False).hexdigest()
    return f"{digest}-{len(digests)}"
