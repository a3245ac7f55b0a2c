"""Requests with an id and a start time."""

import re
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from sanic import Request
from sanic.exceptions import BadURL
from structlog.typing import EventDict

_REQUEST_ID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}", re.ASCII)
"""A UUID, or the 32 digits that ingress-nginx makes."""
_SANICS_BOGUS_METHOD: Final = "NONE"
_current: Final[ContextVar["ApiRequest | None"]] = ContextVar("current_request", default=None)


class ApiRequest(Request):
    """A request whose id is the client's `X-Request-ID` if that has the form of one. Sanic would accept any text."""

    __slots__ = ("_request_id", "asset_id", "is_finished", "problem_code", "started")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- whatever Sanic passes
        try:
            super().__init__(*args, **kwargs)
        except BadURL:
            if kwargs.get("method") != _SANICS_BOGUS_METHOD:
                raise
            # Sanic responds to an unreadable target through a bogus request that has the same target and fails again.
            # Without this the client gets no response, and the log gets a traceback.
            super().__init__(*args, **{**kwargs, "url_bytes": b"*"})
        self.started = perf_counter()
        self.is_finished = False
        """Whether it was counted and logged. Sanic handles it twice when the client disconnects during the response."""
        self.problem_code: str | None = None
        """The code of the problem that was the response."""
        self.asset_id: str | None = None
        """The asset in the path, once it is known to be an asset id."""
        given = self.headers.getone("x-request-id", "")
        self._request_id = given.lower() if given and _REQUEST_ID.fullmatch(given) else str(uuid4())
        _current.set(self)  # in the context of its connection, until the next request there

    def relative_to_root(self, reference: str) -> str:
        """Return a reference to this path below the root of the API, relative to this request.

        Behind a path prefix, which the service does not know, an absolute path would lead nowhere.
        """
        return "../" * (self.path.count("/") - 1) + reference

    @property
    def id(self) -> str:
        """The request's id: a UUID, or 32 hexadecimal digits."""
        return self._request_id


def add_request_context(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the ids of the current request and of its asset: a structlog processor."""
    request = _current.get()
    if request is not None:
        event["request_id"] = request.id
        if request.asset_id is not None:
            event["asset_id"] = request.asset_id
    return event
