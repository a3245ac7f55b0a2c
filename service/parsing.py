"""Reading and checking what a client sends, before anything is done."""

import asyncio
import json
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from sanic import Request
from sanic.exceptions import RequestTimeout

from service.models import RequestModel

MAX_BODY_BYTES: Final = 16_384
BODY_TIMEOUT_SECONDS: Final = 5.0

Model = TypeVar("Model", bound=RequestModel)


class BadRequestError(Exception):
    """The API does not accept the request. The message describes what to send instead, and repeats no input."""


async def read_body(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the request's body.

    Raises:
        PayloadTooLarge: The body is longer than `max_bytes`.
        RequestTimeout: The body did not arrive within BODY_TIMEOUT_SECONDS, no matter how steadily it arrives.
        BadRequest: The framing is broken.
    """
    http: Any = request.stream
    if not http.request_body:
        return b""
    http.request_max_size = max_bytes  # of this request: the connection may have had another one before
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            await request.receive_body()  # type: ignore[no-untyped-call] # Sanic's
    except TimeoutError:
        http.request_body = None  # otherwise Sanic reads the rest after the response, however slowly it arrives
        http.keep_alive = False
        raise RequestTimeout(f"The body did not arrive within {BODY_TIMEOUT_SECONDS:.0f} seconds.") from None
    return request.body


def check_empty(body: bytes) -> None:
    """Check that the body is empty, whitespace or `{}`.

    Raises:
        BadRequestError: The body is anything else.
    """
    if body.strip() not in {b"", b"{}"}:
        raise BadRequestError("Send no body. The bytes of the file go to upload_url, in a separate PUT request.")


def parse_optional_body(model: type[Model], content_type: str | None, body: bytes) -> Model:
    """Return a JSON body as a model. No body is the same as `{}`.

    Raises:
        BadRequestError: The body is not JSON, or the model does not accept it.
    """
    return parse_body(model, content_type, body) if body.strip() else parse_members(model, {})


def parse_body(model: type[Model], content_type: str | None, body: bytes) -> Model:
    """Return a JSON body as a model. The names of its members may be in any case.

    Raises:
        BadRequestError: The body is not JSON, or the model does not accept it.
    """
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise BadRequestError("Send Content-Type: application/json.")
    try:
        members = _DECODER.decode(body.decode("utf-8-sig"))  # some clients start with a byte order mark
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadRequestError(model.hint) from None
    return parse_members(model, members)


def parse_query(model: type[Model], request: Request) -> Model:
    """Return the query parameters that the model has. Others are ignored. Each value is a list of strings.

    Raises:
        BadRequestError: The model does not accept them.
    """
    if not request.query_string:
        return parse_members(model, {})
    arguments = request.get_args(keep_blank_values=True)
    return parse_members(model, {name: arguments.getlist(name) for name in model.model_fields if name in arguments})


def parse_members(model: type[Model], members: object) -> Model:
    """Return decoded JSON as a model.

    Raises:
        BadRequestError: The model does not accept it.
    """
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise BadRequestError(_choose_detail(model, error)) from None


def _choose_detail(model: type[Model], error: ValidationError) -> str:
    """Return our own validator's message, or the hint: pydantic's other messages repeat the client's input."""
    details = error.errors(include_url=False, include_input=False)
    if all(detail["type"] == "value_error" for detail in details):
        return str(details[0]["ctx"]["error"])
    return model.hint


def _lower_case_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = {name.lower(): value for name, value in pairs}
    if len(members) < len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_lower_case_names, parse_constant=_reject_constant)
