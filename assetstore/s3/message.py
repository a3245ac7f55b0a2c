"""One request to S3 and its answer, as they go over a connection."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer may take."""

    silent_seconds: float
    """Longest wait for the first byte, and between two."""
    total_seconds: float
    """Longest wait for the whole answer."""


@dataclass(slots=True)  # not frozen: see assetstore.s3.caller.Ask
class Request:
    """One signed request, ready to be written."""

    operation: str
    """S3's name of it: `HeadObject`."""
    data: bytes = field(repr=False)
    """Head and body as they go over the wire: with a signature, so never logged."""
    is_head: bool
    """HTTP's HEAD: its answer has no body, whatever `Content-Length` says."""
    body_limit: int
    """Longest body taken, in bytes."""
    patience: Patience


@dataclass(slots=True)  # not frozen: see assetstore.s3.caller.Ask
class Answer:
    """What S3 answered, whole."""

    status: int
    headers: Mapping[bytes, bytes]
    """Names in lower case; of a repeated one the last."""
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The header's value as text; bytes beyond ASCII as ISO 8859-1, so that none is lost."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")


Send = Callable[[Request], Awaitable[Answer]]
"""Sends one request once and brings its whole answer, or raises `NoAnswerError`.

The real one is `Pool.send`. `connect` takes a function that wraps it: that is how a test fails the n-th call on the
real path (raise `NoAnswerError` without or after sending, or answer something else); signing, retries and
translation stay real, and a retry counts as a call of its own.
"""


class NoAnswerError(Exception):
    """No whole answer came. The text names no URL and no header."""

    def __init__(self, reason: str, *, was_sent: bool, is_final: bool = False) -> None:
        super().__init__(reason)
        self.was_sent = was_sent
        """What was asked may have happened all the same."""
        self.is_final = is_final
        """Asking again would end the same way."""


class UntrustedError(NoAnswerError):
    """The endpoint's certificate is not one that this program was told to believe."""
