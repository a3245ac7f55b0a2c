"""AWS Signature Version 4, for headers and for queries: pure functions, the same bytes as botocore's.

What all that is signed in one second has in common is kept in a `Signature`, and the day's key beyond it; all else is
one SHA-256 and one HMAC for each request. Source of the rules: "Signature Version 4" in the Amazon S3 API reference (S3
signs the path as it is sent, encoded once).
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from time import gmtime, strftime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from _hashlib import HASH

EMPTY_SHA256: Final = sha256(b"").hexdigest()
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"
_PLAIN: Final = re.compile(r"[A-Za-z0-9/_.~-]*", re.ASCII).fullmatch
"""What `quote` leaves as it is, found three times as fast."""


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


class Signature:
    """Who signs, where for and when; and what all that is signed in that second has in common."""

    __slots__ = (
        "_bare_lines",
        "_inner",
        "_outer",
        "_prologue",
        "_queries",
        "at",
        "at_seconds",
        "credential",
        "keys",
        "scope",
    )

    def __init__(self, keys: Keys, scope: Scope, at_seconds: int) -> None:
        self.keys = keys
        self.scope = scope
        self.at_seconds = at_seconds
        """Unix seconds."""
        self.at = strftime("%Y%m%dT%H%M%SZ", gmtime(at_seconds))
        """The instant as `X-Amz-Date` spells it."""
        day = self.at[:8]
        place = f"{day}/{scope.region}/{scope.service}/aws4_request"
        self.credential = f"{keys.access_key_id}/{place}"
        self._prologue = f"{_ALGORITHM}\n{self.at}\n{place}\n"
        self._inner, self._outer = _keyed(keys.secret_access_key, day, scope.region, scope.service)
        self._bare_lines: dict[str, tuple[str, str, str]] = {}
        self._queries: dict[tuple[tuple[tuple[str, str], ...], int], tuple[str, str]] = {}

    def sign(self, canonical: str) -> str:
        """The signature of this canonical request, in hexadecimal."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update((self._prologue + sha256(canonical.encode()).hexdigest()).encode())
        outer.update(inner.digest())
        return outer.hexdigest()

    def lines(self, host: str, headers: Sequence[tuple[str, str]], payload_sha256: str) -> tuple[str, str, str]:
        """The names of the headers, and their lines as they are signed and as they are sent."""
        if headers or payload_sha256 is not EMPTY_SHA256:
            return self._lines(host, headers, payload_sha256)
        found = self._bare_lines.get(host)
        if found is None:  # every HEAD of this second has the same
            found = self._bare_lines[host] = self._lines(host, (), payload_sha256)
        return found

    def _lines(self, host: str, headers: Sequence[tuple[str, str]], payload_sha256: str) -> tuple[str, str, str]:
        everything = [("host", host), ("x-amz-content-sha256", payload_sha256), ("x-amz-date", self.at), *headers]
        if self.keys.session_token is not None:
            everything.append(("x-amz-security-token", self.keys.session_token))
        everything.sort()
        sent = "".join([f"{name}: {value}\r\n" for name, value in everything])
        if not sent.count("\r") == sent.count("\n") == len(everything):
            raise AssertionError("a header's value has a line break")  # never sent: it would be another request
        # The signature counts a run of blanks as one, and none at the ends. Hardly a value has any to take away.
        if "  " in sent or " \r\n" in sent or not "".join([value for _, value in everything]).isprintable():
            everything = [(name, " ".join(value.split())) for name, value in everything]
        signed = "".join([f"{name}:{value}\n" for name, value in everything])
        return ";".join([name for name, _ in everything]), signed, sent

    def query(self, query: tuple[tuple[str, str], ...], lives_seconds: int) -> tuple[str, str]:
        """A presigned URL's query without its signature, as it is sent and as it is signed."""
        found = self._queries.get((query, lives_seconds))
        if found is None:
            pairs = [
                *query,
                ("X-Amz-Algorithm", _ALGORITHM),
                ("X-Amz-Credential", self.credential),
                ("X-Amz-Date", self.at),
                ("X-Amz-Expires", str(lives_seconds)),
                ("X-Amz-SignedHeaders", "host"),
            ]
            if self.keys.session_token is not None:
                pairs.append(("X-Amz-Security-Token", self.keys.session_token))
            found = self._queries[query, lives_seconds] = encode_query(pairs), canonical_query(pairs)
        return found


@dataclass(slots=True)  # not frozen: see assetstore.s3.caller.Ask
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
    return key if _PLAIN(key) else quote(key, safe="/" + _UNRESERVED)


def encode_query(query: Iterable[tuple[str, str]]) -> str:
    """The query as it is sent, in the order given."""
    return "&".join([f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for name, value in query])


def sign_headers(target: Target, headers: Sequence[tuple[str, str]], payload_sha256: str, by: Signature) -> str:
    """The lines of all headers to send, in the order of their names, `authorization` last, each ended by CR LF.

    `headers` have names in lower case, none twice, and none of `host`, `x-amz-content-sha256`, `x-amz-date` and
    `x-amz-security-token`.
    """
    names, signed, sent = by.lines(target.host, headers, payload_sha256)
    query = canonical_query(target.query) if target.query else ""
    signature = by.sign(f"{target.method}\n{target.path}\n{query}\n{signed}\n{names}\n{payload_sha256}")
    return (
        f"{sent}authorization: {_ALGORITHM} Credential={by.credential}, "
        f"SignedHeaders={names}, Signature={signature}\r\n"
    )


def sign_query(target: Target, lives_seconds: int, by: Signature) -> str:
    """The query of a presigned URL: the target's own, and a signature that covers it, the path and the host."""
    sent, signed = by.query(tuple(target.query), lives_seconds)
    signature = by.sign(f"{target.method}\n{target.path}\n{signed}\nhost:{target.host}\n\nhost\n{UNSIGNED_PAYLOAD}")
    return f"{sent}&X-Amz-Signature={signature}"


def canonical_query(query: Iterable[tuple[str, str]]) -> str:
    """The query as it is signed, and as well sent: in the order of its encoded names."""
    pairs = [(quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query]
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


@lru_cache(maxsize=8)
def _keyed(secret: str, day: str, region: str, service: str) -> "tuple[HASH, HASH]":
    # The two halves of RFC 2104's HMAC with the day's key: to copy them takes two thirds of copying an hmac.HMAC.
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    block = key.ljust(64, b"\0")
    return sha256(block.translate(hmac.trans_36)), sha256(block.translate(hmac.trans_5C))
