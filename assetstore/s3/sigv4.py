"""AWS Signature Version 4, for headers and for queries: pure functions, the same bytes as botocore's.

The signing key changes once a day and is kept; all else is one SHA-256 and one HMAC for each request. Source of the
rules: "Signature Version 4" in the Amazon S3 API reference (S3 signs the path as it is sent, encoded once).
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from time import gmtime, strftime
from typing import Final
from urllib.parse import quote

EMPTY_SHA256: Final = sha256(b"").hexdigest()
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"


@dataclass(frozen=True, slots=True)
class Keys:
    """What proves who is asking."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature is good for, besides its day."""

    region: str
    service: str = "s3"


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signs, where for and when."""

    keys: Keys
    scope: Scope
    at_seconds: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: the part of a request that headers do not say."""

    method: str
    host: str
    """As the `Host` header says it: with the port unless that is the scheme's own."""
    path: str
    """Encoded, from the root."""
    query: Sequence[tuple[str, str]] = ()
    """Names and values, not encoded."""


def encode_path(key: str) -> str:
    """The key as it stands in a path and in `x-amz-copy-source`."""
    return quote(key, safe="/" + _UNRESERVED)


def encode_query(query: Iterable[tuple[str, str]]) -> str:
    """The query as it is sent, in the order given."""
    return "&".join([f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for name, value in query])


@lru_cache(maxsize=4)
def timestamp(seconds: int) -> str:
    """A Unix instant as `X-Amz-Date` spells it."""
    return strftime("%Y%m%dT%H%M%SZ", gmtime(seconds))


def sign_headers(
    target: Target, headers: Iterable[tuple[str, str]], payload_sha256: str, by: Signature
) -> list[tuple[str, str]]:
    """All headers to send, in the order of their names (lower case), `authorization` last.

    `headers` names none of `host`, `x-amz-content-sha256`, `x-amz-date`, `x-amz-security-token`, and no name twice.
    """
    at = timestamp(by.at_seconds)
    signed = [
        ("host", target.host),
        ("x-amz-content-sha256", payload_sha256),
        ("x-amz-date", at),
        *headers,
    ]
    if by.keys.session_token is not None:
        signed.append(("x-amz-security-token", by.keys.session_token))
    signed.sort()
    names = ";".join([name for name, _ in signed])
    # " ".join(value.split()): the signature counts a run of blanks as one.
    lines = "".join([f"{name}:{' '.join(value.split())}\n" for name, value in signed])
    query = _canonical_query(target.query) if target.query else ""
    canonical = f"{target.method}\n{target.path}\n{query}\n{lines}\n{names}\n{payload_sha256}"
    credential, signature = _sign(canonical, at, by)
    signed.append(
        ("authorization", f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}")
    )
    return signed


def sign_query(target: Target, lives_seconds: int, by: Signature) -> str:
    """The query of a presigned URL: the target's own, and a signature that covers it, the path and the host."""
    at = timestamp(by.at_seconds)
    query = [
        *target.query,
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{by.keys.access_key_id}/{at[:8]}/{by.scope.region}/{by.scope.service}/aws4_request"),
        ("X-Amz-Date", at),
        ("X-Amz-Expires", str(lives_seconds)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    if by.keys.session_token is not None:
        query.append(("X-Amz-Security-Token", by.keys.session_token))
    canonical = (
        f"{target.method}\n{target.path}\n{_canonical_query(query)}\nhost:{target.host}\n\nhost\n{UNSIGNED_PAYLOAD}"
    )
    return f"{encode_query(query)}&X-Amz-Signature={_sign(canonical, at, by)[1]}"


def _canonical_query(query: Iterable[tuple[str, str]]) -> str:
    pairs = [(quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query]
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _sign(canonical: str, at: str, by: Signature) -> tuple[str, str]:
    day = at[:8]
    keys, scope = by.keys, by.scope
    place = f"{day}/{scope.region}/{scope.service}/aws4_request"
    text = f"{_ALGORITHM}\n{at}\n{place}\n{sha256(canonical.encode()).hexdigest()}"
    key = _day_key(keys.secret_access_key, day, scope.region, scope.service)
    return f"{keys.access_key_id}/{place}", hmac.digest(key, text.encode(), "sha256").hex()


@lru_cache(maxsize=8)
def _day_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
