"""Secrets that no log may contain, whole or in part: signatures, secret keys, presigned URLs."""

import re
from typing import Final

from dev.seaweedfs import SECRET_KEY

_PATTERNS: Final = {
    "a presigned URL's signature": re.compile(rb"X-Amz-Signature=[0-9a-fA-F]+", re.IGNORECASE),
    "a presigned URL's credential": re.compile(rb"X-Amz-Credential=", re.IGNORECASE),
    "a request's signature": re.compile(rb"(?<![-\w])Signature=[0-9a-f]{64}"),
    "an Authorization header": re.compile(rb"AWS4-HMAC-SHA256"),
    "a session token": re.compile(rb"X-Amz-Security-Token\W+\w", re.IGNORECASE),
    "the secret key": re.compile(re.escape(SECRET_KEY.encode())),
}


def leaks(output: bytes) -> list[str]:
    """Return every line of the output that contains a secret, with the secret masked."""
    return [
        f"{name} was written: {pattern.sub(b'<secret>', line)[:300]!r}"
        for name, pattern in _PATTERNS.items()
        for line in output.splitlines()
        if pattern.search(line)
    ]
