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


def sign_headers(target: Target, headers: Sequence[tuple[str, str]], payload_sha256: str, by: Signature) -> str:
    """The lines of all headers to send, in the order of their names, `authorization` last, each ended by CR LF.

    `headers` have names in lower case, none twice, and none of `host`, `x-amz-content-sha256`, `x-amz-date` and
    `x-amz-security-token`.
    """
    names, signed, sent = _header_lines(target.host, tuple(headers), payload_sha256, by)
    query = canonical_query(target.query) if target.query else ""
    canonical = f"{target.method}\n{target.path}\n{query}\n{signed}\n{names}\n{payload_sha256}"
    credential, signature = _sign(canonical, timestamp(by.at_seconds), by)
    return (
        f"{sent}authorization: {_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n"
    )


@lru_cache(maxsize=8)
def _header_lines(
    host: str, headers: tuple[tuple[str, str], ...], payload_sha256: str, by: Signature
) -> tuple[str, str, str]:
    """The names of the headers, and their lines as they are signed and as they are sent.

    Kept, because all HEADs of one second have the same.
    """
    everything = [
        ("host", host),
        ("x-amz-content-sha256", payload_sha256),
        ("x-amz-date", timestamp(by.at_seconds)),
        *headers,
    ]
    if by.keys.session_token is not None:
        everything.append(("x-amz-security-token", by.keys.session_token))
    everything.sort()
    sent = "".join([f"{name}: {value}\r\n" for name, value in everything])
    if not sent.count("\r") == sent.count("\n") == len(everything):
        raise AssertionError("a header's value has a line break")  # never sent: it would be another request
    return (
        ";".join([name for name, _ in everything]),
        # " ".join(value.split()): the signature counts a run of blanks as one.
        "".join([f"{name}:{' '.join(value.split())}\n" for name, value in everything]),
        sent,
    )


def sign_query(target: Target, lives_seconds: int, by: Signature) -> str:
    """The query of a presigned URL: the target's own, and a signature that covers it, the path and the host."""
    sent, signed = _presigned_query(tuple(target.query), lives_seconds, by)
    canonical = f"{target.method}\n{target.path}\n{signed}\nhost:{target.host}\n\nhost\n{UNSIGNED_PAYLOAD}"
    return f"{sent}&X-Amz-Signature={_sign(canonical, timestamp(by.at_seconds), by)[1]}"


@lru_cache(maxsize=8)
def _presigned_query(query: tuple[tuple[str, str], ...], lives_seconds: int, by: Signature) -> tuple[str, str]:
    """The query without its signature, as it is sent and as it is signed: all URLs of one second share it."""
    at = timestamp(by.at_seconds)
    pairs = [
        *query,
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{by.keys.access_key_id}/{at[:8]}/{by.scope.region}/{by.scope.service}/aws4_request"),
        ("X-Amz-Date", at),
        ("X-Amz-Expires", str(lives_seconds)),
        ("X-Amz-SignedHeaders", "host"),
    ]
    if by.keys.session_token is not None:
        pairs.append(("X-Amz-Security-Token", by.keys.session_token))
    return encode_query(pairs), canonical_query(pairs)


def canonical_query(query: Iterable[tuple[str, str]]) -> str:
    """The query as it is signed, and as well sent: in the order of its encoded names."""
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
