"""One HTTP request to S3 and its response."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a response may take."""

    read_seconds: float
    """The longest wait for the first byte, and between two bytes."""
    total_seconds: float
    """The longest wait for the whole response."""


@dataclass(frozen=True, slots=True)
class Request:
    """One signed request."""

    operation: str
    """S3's name of the operation, as in `HeadObject`."""
    method: str
    url: str = field(repr=False)
    """Encoded, as it was signed."""
    headers: Sequence[tuple[str, str]] = field(repr=False)
    """All headers but `content-length`. They contain a signature, so they are never logged."""
    body: bytes = field(repr=False)
    max_response_bytes: int
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response."""

    status: int
    headers: Mapping[bytes, bytes]
    """Names in lower case. Of a repeated header, the last value."""
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """Return the header's value. Bytes beyond ASCII are read as ISO 8859-1, so that none is lost."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")


Transport = Callable[[Request], Awaitable[Response]]
"""Sends one request once and returns its complete response, or raises `TransportError`.

In production it is `AiohttpTransport.send`. `open_bucket` takes a function that wraps it, so that a test can make the
n-th request fail while signing, retries and error mapping are real. Every retry is a request of its own.
"""


class TransportError(Exception):
    """No complete response arrived. The request may have taken effect. The text names no URL and no header."""

    def __init__(self, reason: str, *, is_retryable: bool = True) -> None:
        super().__init__(reason)
        self.is_retryable = is_retryable


class CertificateError(TransportError):
    """The endpoint's certificate is not trusted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, is_retryable=False)
