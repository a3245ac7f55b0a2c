"""What clients send, read and checked before anything is done."""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from sanic import Request
from sanic.exceptions import RequestTimeout

from assetstore.protocol import parse_etag

BODY_BYTES: Final = 16_384
BODY_SECONDS: Final = 5.0
MAX_URL_SECONDS: Final = 604_800
"""S3's own limit for a presigned URL: seven days."""

_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


class BadRequestError(Exception):
    """The request is not one that this API knows; the message tells the client what to send instead."""


@dataclass(frozen=True, slots=True)
class MarkBody:
    """The body of a mark."""

    pin: str | None


async def read_body(request: Request) -> bytes:
    """The request's body.

    Raises:
        PayloadTooLarge: it has more than BODY_BYTES.
        RequestTimeout: it did not come within BODY_SECONDS, however steadily it trickles.
        BadRequestError: its framing is broken.
    """
    http: Any = request.stream
    if not http.request_body:
        return b""
    if http.request_body is True and len(http.recv_buffer) >= http.request_bytes_left:  # it is all here
        await request.receive_body()  # type: ignore[no-untyped-call] # Sanic's
        return request.body
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.receive_body()  # type: ignore[no-untyped-call]
    except TimeoutError:
        http.request_body = None  # else Sanic reads the rest after the answer, however slowly it comes
        http.keep_alive = False
        raise RequestTimeout(f"The body did not arrive within {BODY_SECONDS:.0f} seconds.") from None
    return request.body


def check_empty(body: bytes) -> None:
    """Check the body of a request that needs none.

    Raises:
        BadRequestError: there is something in it.
    """
    if body.strip() not in {b"", b"{}"}:
        raise BadRequestError("Send no body: the bytes of the file go to upload_url, in a PUT of their own.")


def parse_mark(content_type: str | None, body: bytes) -> MarkBody:
    """The body of `PUT /asset/{id}`: `{"Status": "uploaded"}`, and `"etag"` for a pin; member names in any case.

    Raises:
        BadRequestError: it is anything else.
    """
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequestError("Send Content-Type: application/json.")
    try:
        members = _DECODER.decode(body.decode("utf-8-sig"))  # some clients begin with a byte order mark
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        members = None
    if not isinstance(members, dict) or not members.keys() <= {"status", "etag"} or members.get("status") != "uploaded":
        raise BadRequestError('Send {"Status": "uploaded"} and nothing else, or with "etag" the ETag of your upload.')
    if "etag" not in members:
        return MarkBody(None)
    pin = parse_etag(members["etag"]) if isinstance(members["etag"], str) else None
    if pin is None:
        raise BadRequestError('"etag" must be the ETag header that S3 answered to your upload, with or without quotes.')
    return MarkBody(pin)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = {name.lower(): value for name, value in pairs}
    if len(members) < len(pairs):
        raise ValueError("a member stands there twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant)


def parse_timeout(given: list[str], default_seconds: int) -> int:
    """How long a download URL is to live, from the values of `?timeout=`.

    Raises:
        BadRequestError: it is not one whole number of seconds from 1 to MAX_URL_SECONDS.
    """
    match given:
        case []:
            return default_seconds
        case [text] if _SECONDS.fullmatch(text) and 1 <= int(text) <= MAX_URL_SECONDS:
            return int(text)
        case _:
            raise BadRequestError(f"timeout must be one whole number of seconds from 1 to {MAX_URL_SECONDS}.")
