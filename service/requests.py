"""A request as this service knows it: with an id that may stand in logs, and timed."""

import re
from contextvars import ContextVar
from itertools import count
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from sanic import Request
from sanic.exceptions import BadURL
from sanic.http import Stage
from sanic.server.protocols.http_protocol import HttpProtocol
from structlog.typing import EventDict

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)

_BOGUS_METHOD: Final = "NONE"
_FIRST_24: Final = str(uuid4())[:24]
_NUMBERS: Final = count()
_current: Final[ContextVar["ApiRequest | None"]] = ContextVar("current_request", default=None)


class ApiRequest(Request):
    """A request whose id is the caller's `X-Request-ID` only if that is a UUID: stock Sanic takes anything."""

    __slots__ = ("_request_id", "asset_id", "is_finished", "problem_code", "started")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- whatever Sanic passes
        try:
            super().__init__(*args, **kwargs)
        except BadURL:
            if kwargs.get("method") != _BOGUS_METHOD:
                raise
            # Sanic answers an unreadable target through a bogus request with the same target, which fails again:
            # nobody would be answered, and a traceback logged.
            super().__init__(*args, **{**kwargs, "url_bytes": b"*"})
        self.started = perf_counter()
        self.is_finished = False
        """It was counted and logged: a client that goes while its answer is written makes Sanic ask for another."""
        self.problem_code: str | None = None
        """The code of the problem that it was answered with."""
        self.asset_id: str | None = None
        """The asset that it is about, once that is known to be an id."""
        given = self.headers.getone("x-request-id", "")
        # Of a process' own ids only the number differs: a uuid4 for each takes ten times as long.
        self._request_id = given.lower() if given and _UUID.fullmatch(given) else f"{_FIRST_24}{next(_NUMBERS):012x}"
        _current.set(self)  # in the context of its connection, until the next request there

    @property
    def id(self) -> str:
        """The request's id, a UUID."""
        return self._request_id


def name_request(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Structlog's processor that says of each line which request it is about, and which asset."""
    request = _current.get()
    if request is not None:
        line["request_id"] = request.id
        if request.asset_id is not None:
            line["asset_id"] = request.asset_id
    return line


class PatientProtocol(HttpProtocol):
    """HTTP whose REQUEST_TIMEOUT counts from the first byte of the head.

    Stock Sanic counts from the last byte, so a client that trickles one a second holds its connection for hours. The
    rest of a body that was answered unread has KEEP_ALIVE_TIMEOUT from the answer on, for the same reason.
    """

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Take in bytes without resetting the clock of a head, or of an unread rest, that is on its way."""
        http = getattr(self, "_http", None)  # set by a task that the first bytes may overtake
        is_trickle = http is not None and (
            http.stage is Stage.REQUEST or (http.stage is Stage.IDLE and bool(http.request_body))
        )
        started = self._time if is_trickle else None
        super().data_received(data)
        if started is not None:
            self._time = started
