"""Answers: JSON in one piece, with headers that are all our own."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from sanic import HTTPResponse

PROBLEM_TYPE: Final = "application/problem+json"


class Answer(HTTPResponse):
    """A JSON answer whose headers need no cleaning: all that they repeat of a client's is a UUID (`ApiRequest.id`).

    Stock Sanic keeps headers in a multidict and translates each name and value, for every answer; that takes longer
    than all else about it. Here they are a plain dict, so a name has one spelling.
    """

    __slots__ = ()
    headers: Any

    def __init__(
        self,
        body: Mapping[str, Any] | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        self.asgi = False
        self.stream = None
        self._cookies = None
        self.status = status
        self.content_type = content_type
        self.body = b"" if body is None else orjson.dumps(body)
        self.headers = {} if headers is None else {**headers}
        if body is not None:
            self.headers["content-type"] = content_type

    @property
    def processed_headers(self) -> Any:  # noqa: ANN401 -- Sanic's
        """The headers as Sanic writes them."""
        return [(name.encode(), f"{value}".encode()) for name, value in self.headers.items()]
