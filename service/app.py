"""The Sanic application: routes, what every response has in common, and a stop that fails no request."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

import structlog
from sanic import HTTPResponse, Sanic
from sanic.exceptions import MethodNotAllowed, RequestCancelled

from service.context import Context
from service.documentation import build_documentation_operations
from service.operations import OPERATIONS, Handler, Operation, find_allowed_methods
from service.parsing import MAX_BODY_BYTES, read_body
from service.problems import problem_response
from service.requests import ApiRequest

GRACEFUL_SHUTDOWN_SECONDS: Final = 15
UNMATCHED: Final = "unmatched"
"""The route label of requests that match no operation."""
_LITERAL: Final = "literal"

Lifespan = Callable[[Sanic[Any, Any]], AbstractAsyncContextManager[None]]
"""What runs beside the requests: entered before the port is open, left after the last request."""

log = structlog.get_logger()


def no_lifespan(_app: Sanic[Any, Any]) -> AbstractAsyncContextManager[None]:
    """Run nothing beside the requests."""
    return nullcontext()


def build_app(context: Context, drain_seconds: float, lifespan: Lifespan = no_lifespan) -> Sanic[Any, Any]:
    """Return the application.

    When it stops, `/readyz` reports it first. The service then closes each connection after its next response, and
    serves for another `drain_seconds`, until load balancers have noticed. Then the requests that are being handled have
    GRACEFUL_SHUTDOWN_SECONDS.
    """
    app: Sanic[Any, Any] = Sanic("assetuploader", request_class=ApiRequest, configure_logging=False)
    app.ctx.context = context
    app.config.update(
        {
            "FALLBACK_ERROR_FORMAT": "json",
            "GRACEFUL_SHUTDOWN_TIMEOUT": GRACEFUL_SHUTDOWN_SECONDS,
            "KEEP_ALIVE_TIMEOUT": 75,  # longer than the 60 s of an AWS load balancer, which must be the one to close
            "MOTD": False,
            "REQUEST_MAX_SIZE": MAX_BODY_BYTES,
            "REQUEST_TIMEOUT": 10,
            "RESPONSE_TIMEOUT": 30,
        }
    )
    operations = (*OPERATIONS, *build_documentation_operations(OPERATIONS))
    _add_routes(app, operations)
    _handle_errors(app, operations)
    _add_listeners(app, context, drain_seconds, lifespan)
    return app


def _add_routes(app: Sanic[Any, Any], operations: Iterable[Operation]) -> None:
    for operation in operations:
        for index, path in enumerate(operation.paths):
            app.route(
                _to_sanic_path(path),
                operation.methods,
                name=f"{operation.operation_id}_{index}",
                ignore_body=True,  # handlers read bodies with a deadline; Sanic responds 503 to a stalled one
                ctx_operation=operation,
            )(_instrument(operation))


def _to_sanic_path(template: str) -> str:
    """Return a path template in Sanic's form.

    Sanic expects a colon in a path to be encoded, and clients do not encode it. So a segment with a colon becomes a
    parameter that matches only itself.
    """
    segments = [f"<{_LITERAL}:{segment}>" if ":" in segment else segment for segment in template.split("/")]
    return "/".join(segments).replace("{", "<").replace("}", ":str>")


def _handle_errors(app: Sanic[Any, Any], operations: tuple[Operation, ...]) -> None:
    def _handle_unrouted_error(request: ApiRequest, error: BaseException) -> HTTPResponse:
        """Respond to an error outside a handler: no route, an unreadable request, or a client that disconnected."""
        headers = {}
        if isinstance(error, MethodNotAllowed):  # Sanic lists the methods of paths without parameters only
            headers["Allow"] = ", ".join(find_allowed_methods(operations, request.path))
        operation = request.route.ctx.operation if request.route else None
        return _finish_response(request, operation, problem_response(request, error, headers))

    app.error_handler.add(Exception, _handle_unrouted_error)
    app.error_handler.add(RequestCancelled, _handle_unrouted_error)  # a BaseException


def _add_listeners(app: Sanic[Any, Any], context: Context, drain_seconds: float, lifespan: Lifespan) -> None:
    stack = AsyncExitStack()

    @app.before_server_start
    async def _enter_lifespan(app: Sanic[Any, Any]) -> None:
        await stack.enter_async_context(lifespan(app))

    @app.after_server_start
    async def _report_started(_: Sanic[Any, Any]) -> None:
        context.readiness.is_started = True
        log.info("service_started")

    @app.before_server_stop
    async def _drain(app: Sanic[Any, Any]) -> None:
        # Load balancers send nothing to a service that was never ready, so it need not wait for them.
        seconds = drain_seconds if context.readiness.is_ready else 0
        context.readiness.is_draining = True
        app.config.KEEP_ALIVE = False
        log.info("service_draining", seconds=seconds)
        await asyncio.sleep(seconds)

    @app.after_server_stop
    async def _leave_lifespan(_: Sanic[Any, Any]) -> None:
        await stack.aclose()


def _instrument(operation: Operation) -> Handler:
    """Return the operation's handler with problem documents, metrics and a log line."""

    async def handle(request: ApiRequest, **parameters: str) -> HTTPResponse:
        context: Context = request.app.ctx.context
        context.metrics.in_flight.inc()
        try:
            if operation.method == "GET":
                await read_body(request)  # and drop it, because Sanic logs an unread one as an error
            parameters.pop(_LITERAL, None)
            response = await operation.handler(request, *parameters.values())
        except Exception as error:  # noqa: BLE001 -- every exception becomes a problem document
            response = problem_response(request, error)
        finally:
            context.metrics.in_flight.dec()
        return _finish_response(request, operation, response)

    return handle


def _finish_response(request: ApiRequest, operation: Operation | None, response: HTTPResponse) -> HTTPResponse:
    """Add the headers of every response; count and log the request once."""
    headers = response.headers
    headers["X-Request-ID"] = request.id
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"
    if request.is_finished:
        return response
    request.is_finished = True
    seconds = perf_counter() - request.started
    route = operation.route if operation else UNMATCHED
    context: Context = request.app.ctx.context
    method = _to_method_label(request.method)
    context.metrics.observe_request(route, method, response.status, seconds)
    is_quiet = operation is not None and operation.is_probe and response.status == HTTPStatus.OK
    log.log(
        logging.DEBUG if is_quiet else logging.INFO,
        "request_finished",
        method=method,
        route=route,
        status=response.status,
        **({} if request.problem_code is None else {"code": request.problem_code}),
        milliseconds=round(seconds * 1000, 1),
    )
    return response


_METHODS: Final = frozenset(method for operation in OPERATIONS for method in operation.methods)


def _to_method_label(method: str) -> str:
    return method if method in _METHODS else "other"
