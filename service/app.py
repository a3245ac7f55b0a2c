"""The Sanic application: routes, one line of log for each request, and a stop that fails nobody."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any, Final

import structlog
from sanic import HTTPResponse, Sanic
from sanic.exceptions import RequestCancelled

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
    app.error_handler.add(Exception, _answer_unanswered)
    app.error_handler.add(RequestCancelled, _answer_unanswered)  # which is no Exception

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
        app.route(path, methods, name=name, ignore_body=True, ctx_template=template)(_answered(handler, template))


def _answered(handler: Handler, route: str) -> Handler:
    """The handler with all that every answer has: no middleware, which would cost as much again."""

    async def answered(request: ApiRequest, **parameters: str) -> HTTPResponse:
        context: Context = request.app.ctx.context
        context.metrics.in_flight += 1
        try:
            http: Any = request.stream
            if http.request_body and request.headers.getone("content-length", "") == "0":
                # Ends a body of no bytes: Sanic logs an unread one as an error.
                await request.receive_body()  # type: ignore[no-untyped-call]
            response = await handler(request, **parameters)
        except Exception as error:  # noqa: BLE001 -- whatever it is becomes an answer
            response = answer_problem(request, error)
        finally:
            context.metrics.in_flight -= 1
        return _finished(request, route, response)

    return answered


def _answer_unanswered(request: ApiRequest, error: BaseException) -> HTTPResponse:
    """What no handler answers: there is none, the request cannot be read, or the client has gone."""
    route = request.route.ctx.template if request.route else "unmatched"
    return _finished(request, route, answer_problem(request, error))


def _finished(request: ApiRequest, route: str, response: HTTPResponse) -> HTTPResponse:
    headers = response.headers
    headers["X-Request-ID"] = request.id
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"
    if request.is_finished:
        return response
    request.is_finished = True
    seconds = perf_counter() - request.started
    request.app.ctx.context.metrics.count(route, request.method, response.status, seconds)
    log.log(
        logging.DEBUG if response.status == 200 and route in QUIET_ROUTES else logging.INFO,  # noqa: PLR2004
        "request_finished",
        method=request.method,
        route=route,
        status=response.status,
        **({} if request.problem_code is None else {"code": request.problem_code}),
        milliseconds=round(seconds * 1000, 1),
    )
    return response
