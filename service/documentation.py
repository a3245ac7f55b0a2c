"""`/openapi.json` for programs, and `/docs` for people with the files of its viewer: no other host is needed."""

from collections.abc import Callable, Iterable
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

import orjson
from sanic import HTTPResponse
from sanic.exceptions import NotFound

from service.openapi import DESCRIPTION, build_openapi
from service.operations import Handler, Operation
from service.problems import problems_by_code
from service.requests import ApiRequest

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The viewer draws its icons from `data:` URLs in its style sheet."""
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_REVALIDATE: Final = "no-cache"
_STATIC_FILES: Final = {
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "docs.css": ("docs.css", "text/css; charset=utf-8"),
    "docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}


def build_documentation_operations(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return the operations that serve the documentation of these operations. They are not documented themselves."""
    operations = tuple(operations)
    # Built for the first request, because building them at the start would delay it by 40 ms.
    openapi = cache(lambda: orjson.dumps(build_openapi(operations)))
    page = cache(lambda: _build_page(operations))
    return (
        Operation("openapi", "GET", ("/openapi.json",), _build_page_handler(openapi, "application/json"), "OpenAPI"),
        Operation("docs", "GET", ("/docs",), _build_page_handler(page, "text/html; charset=utf-8"), "Documentation"),
        Operation("docsFile", "GET", ("/docs/{file}",), _send_static_file, "File of the documentation"),
    )


def _build_page_handler(read: Callable[[], bytes], content_type: str) -> Handler:
    async def send_page(_request: ApiRequest) -> HTTPResponse:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": _REVALIDATE}
        return HTTPResponse(read(), headers=headers, content_type=content_type)

    return send_page


async def _send_static_file(request: ApiRequest, name: str) -> HTTPResponse:
    if name not in _STATIC_FILES:
        raise NotFound
    # The page's links have a hash of the content, so that a new version has a new URL. During a rolling update, the
    # request may reach a pod of the other version, whose content must not be cached under this URL.
    is_this_version = request.query_string == f"v={_hash(name)}"
    headers = {"Cache-Control": _IMMUTABLE if is_this_version else _REVALIDATE}
    return HTTPResponse(_read(name), headers=headers, content_type=_STATIC_FILES[name][1])


@cache
def _read(name: str) -> bytes:
    return files("service").joinpath("static", _STATIC_FILES[name][0]).read_bytes()


@cache
def _hash(name: str) -> str:
    return sha256(_read(name)).hexdigest()[:16]


def _link(name: str) -> str:
    """Return a relative URL, so that it works behind a path prefix, too."""
    return f"docs/{name}?v={_hash(name)}"


def _build_page(operations: Iterable[Operation]) -> bytes:
    listed = "".join(
        f"<li><code>{operation.method} {escape(operation.route)}</code> {escape(operation.summary)}</li>"
        for operation in operations
    )
    rows = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{int(problem.status)}</td>'
        f"<td>{escape(problem.title)}</td><td>{escape(problem.detail)}</td></tr>"
        for code, problem in problems_by_code().items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,"><title>assetuploader API</title>'
        f'<link rel="stylesheet" href="{_link("swagger-ui.css")}"><link rel="stylesheet" href="{_link("docs.css")}">'
        f'<script src="{_link("swagger-ui-bundle.js")}" defer></script><script src="{_link("docs.js")}" defer></script>'
        "</head><body>"
        f"<noscript><h1>assetuploader</h1><p>{escape(DESCRIPTION)}</p><ul>{listed}</ul>"
        '<p>All details are in <a href="openapi.json">openapi.json</a>.</p></noscript>'
        '<div id="viewer"></div>'
        '<section class="errors"><h2>Errors</h2><p>Every error is <code>application/problem+json</code> (RFC 9457) '
        "with a <code>code</code> for programs and a <code>request_id</code> that the service's logs contain.</p>"
        "<table><thead><tr><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></section></body></html>"
    ).encode()
