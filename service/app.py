"""The Sanic application: routes, one line of log for each request, and a stop that fails nobody."""

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any, Final

import structlog
from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import RequestCancelled
from sanic.response import BaseHTTPResponse
from structlog.contextvars import bind_contextvars, clear_contextvars

from service import handlers
from service.bodies import BODY_BYTES
from service.context import Context
from service.description import docs, openapi
from service.problems import answer_problem
from service.requests import ApiRequest

GRACEFUL_SECONDS: Final = 15
QUIET_ROUTES: Final = frozenset({"/livez", "/readyz", "/healthcheck"})

Handler = Callable[..., Coroutine[Any, Any, HTTPResponse]]

log = structlog.get_logger()


def build_app(context: Context, drain_seconds: float) -> Sanic[Any, Any]:
    """The application, ready to run.

    When it is told to stop it first says so at /readyz, closes each connection after the answer in hand, and goes on
    serving for `drain_seconds`, until every load balancer has turned away; then the requests in hand have
    GRACEFUL_SECONDS.
    """
    app: Sanic[Any, Any] = Sanic("assetuploader", request_class=ApiRequest, configure_logging=False)
    app.ctx.context = context
    app.config.update(
        {
            "FALLBACK_ERROR_FORMAT": "json",
            "GRACEFUL_SHUTDOWN_TIMEOUT": GRACEFUL_SECONDS,
            "KEEP_ALIVE_TIMEOUT": 75,  # longer than the 60 s of an AWS load balancer, which must be the one to close
            "MOTD": False,
            "REQUEST_MAX_SIZE": BODY_BYTES,
            "REQUEST_TIMEOUT": 10,
            "RESPONSE_TIMEOUT": 30,
        }
    )
    _add_routes(app)
    app.error_handler.add(Exception, answer_problem)
    app.error_handler.add(RequestCancelled, answer_problem)  # which is no Exception
    app.register_middleware(_begin, "request")
    app.register_middleware(_finish, "response")

    @app.after_server_start
    async def _start(_: Sanic[Any, Any]) -> None:
        context.readiness.is_started = True
        log.info("service_started")

    @app.before_server_stop
    async def _drain(app: Sanic[Any, Any]) -> None:
        context.readiness.is_draining = True
        app.config.KEEP_ALIVE = False
        log.info("service_draining", seconds=drain_seconds)
        await asyncio.sleep(drain_seconds)

    return app


def _add_routes(app: Sanic[Any, Any]) -> None:
    read = ("GET", "HEAD")
    routes: list[tuple[Handler, str, tuple[str, ...], str]] = [
        (handlers.healthcheck, "/healthcheck", read, "/healthcheck"),
        (handlers.livez, "/livez", read, "/livez"),
        (handlers.readyz, "/readyz", read, "/readyz"),
        (openapi, "/openapi.json", read, "/openapi.json"),
        (docs, "/docs", read, "/docs"),
    ]
    for path in ("/asset", "/assets"):
        routes += [
            (handlers.post_asset, path, ("POST",), "/asset"),
            (handlers.get_asset, f"{path}/<asset_id:str>", read, "/asset/{id}"),
            (handlers.put_asset, f"{path}/<asset_id:str>", ("PUT",), "/asset/{id}"),
        ]
    for handler, path, methods, template in routes:
        name = f"{handler.__name__}_{path.split('/')[1]}"
        # The handlers read bodies themselves, with a deadline: Sanic answers a stalled one with 503.
        app.route(path, methods, name=name, ignore_body=True, ctx_template=template)(_tracked(handler))


def _tracked(handler: Handler) -> Handler:
    async def tracked(request: Request, **parameters: str) -> HTTPResponse:
        with request.app.ctx.context.metrics.in_flight.track_inprogress():
            return await handler(request, **parameters)

    return tracked


async def _begin(request: Request) -> None:
    clear_contextvars()  # Sanic runs all requests of a kept-alive connection in one context
    bind_contextvars(request_id=request.id)
    if request.headers.getone("content-length", "") == "0":
        await request.receive_body()  # type: ignore[no-untyped-call] # ends a body of no bytes: Sanic logs an unread one as an error


async def _finish(request: ApiRequest, response: BaseHTTPResponse) -> None:
    response.headers["X-Request-ID"] = request.id
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    route = request.route.ctx.template if request.route else "unmatched"
    seconds = perf_counter() - request.started
    request.app.ctx.context.metrics.count(route, request.method, response.status, seconds)
    level = 10 if route in QUIET_ROUTES and response.status == 200 else 20  # noqa: PLR2004
    log.log(
        level,
        "request_finished",
        method=request.method,
        route=route,
        status=response.status,
        **({"code": request.ctx.code} if hasattr(request.ctx, "code") else {}),
        milliseconds=round(seconds * 1000, 1),
    )
