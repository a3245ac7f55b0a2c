"""The API's description: OpenAPI 3.1 for programs, the same as a page for people, readable without the internet."""

from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from typing import Any, Final

from sanic import HTTPResponse, Request, html

from service.answers import Answer
from service.bodies import MAX_URL_SECONDS
from service.problems import INTERNAL, PROBLEMS

_STATUS_BY_CODE: Final = {problem.code: problem.status for problem in reversed((INTERNAL, *PROBLEMS.values()))}
_EXAMPLE_ID: Final = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"
_EXAMPLE_URL: Final = f"https://my-bucket.s3.eu-west-1.amazonaws.com/temp/{_EXAMPLE_ID}?X-Amz-Algorithm=…"
_ASSET_ID: Final[dict[str, Any]] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The asset's id, as POST /asset answered it.",
    "schema": {
        "type": "string",
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        "example": _EXAMPLE_ID,
    },
}
_RETRY_AFTER: Final = {
    "description": "Ask again after this many seconds.",
    "schema": {"type": "integer", "minimum": 1},
}


def _answer(description: str, schema: Mapping[str, Any] | None, headers: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
    answer: dict[str, Any] = {"description": description}
    if schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
    if headers is not None:
        answer["headers"] = headers
    return answer


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def _problems(*codes: str) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in (*codes, "internal"):
        by_status.setdefault(_STATUS_BY_CODE[code], []).append(code)
    answers: dict[str, Any] = {}
    for status, known in by_status.items():
        schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"code": {"enum": known}}}]}
        answers[str(status)] = {
            "description": " · ".join(known),
            "content": {"application/problem+json": {"schema": schema}},
        }
        if {"asset_not_uploaded", "store_unavailable"} & set(known):
            answers[str(status)]["headers"] = {"Retry-After": _RETRY_AFTER}
    return answers


_POST: Final = {
    "operationId": "createAsset",
    "summary": "Create an asset: where to send its bytes",
    "description": "PUT the bytes to `upload_url` before `expires_at`. Sent more than once, the last bytes count.",
    "responses": {
        "201": _answer(
            "A new asset, pending.",
            _object(
                upload_url={"type": "string", "format": "uri", "example": _EXAMPLE_URL},
                id=_ASSET_ID["schema"],
                expires_at={"type": "string", "format": "date-time"},
            ),
            {"Location": {"description": "Where the asset is asked for.", "schema": {"type": "string"}}},
        ),
        **_problems("bad_request", "body_too_large", "store_unavailable"),
    },
}
_PUT: Final = {
    "operationId": "markAsset",
    "summary": "Mark the asset: the upload is done",
    "description": (
        "With `etag` (the ETag header that S3 answered to the upload) the asset is pinned to those bytes and is final "
        "within seconds. Without, it is final once the upload URL has expired. Member names may be in any case."
    ),
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["Status"],
                    "properties": {
                        "Status": {"const": "uploaded"},
                        "etag": {
                            "type": "string",
                            "pattern": '^("[0-9A-Za-z+/=_.-]{1,128}"|[0-9A-Za-z+/=_.-]{1,128})$',
                        },
                    },
                    "additionalProperties": False,
                },
                "example": {"Status": "uploaded", "etag": "5d41402abc4b2a76b9719d911017c592"},
            }
        },
    },
    "responses": {
        "202": {"description": "Accepted, and never forgotten. Marked again before it is final: 202 again."},
        **_problems(
            "bad_asset_id",
            "bad_request",
            "asset_not_found",
            "already_uploaded",
            "upload_mismatch",
            "asset_expired",
            "body_too_large",
            "store_unavailable",
        ),
    },
}
_GET: Final = {
    "operationId": "getAsset",
    "summary": "Where to download the asset",
    "parameters": [
        {
            "name": "timeout",
            "in": "query",
            "description": "How many seconds the download URL is to live. The operator sets the default.",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_URL_SECONDS},
        }
    ],
    "responses": {
        "200": _answer("The asset is final.", _object(Download_url={"type": "string", "format": "uri"})),
        **_problems(
            "bad_asset_id", "bad_request", "asset_not_found", "asset_not_uploaded", "asset_expired", "store_unavailable"
        ),
    },
}


def _health(operation: str, summary: str, member: str, good: list[str], bad: list[str] | None) -> dict[str, Any]:
    def schema(values: list[str]) -> dict[str, Any]:
        return _object(**{member: {"enum": values}})

    responses = {"200": _answer("Yes.", schema(good))}
    if bad is not None:
        responses["503"] = _answer("No.", schema(bad))
    return {"get": {"operationId": operation, "summary": summary, "responses": responses}}


OPENAPI: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {
        "title": "assetuploader",
        "version": version("assetuploader"),
        "description": (
            "Upload files straight to S3; once final, an asset never changes again. POST /asset, PUT the bytes to its "
            "upload_url, PUT /asset/{id}, and GET /asset/{id} until it is final. /assets is another spelling of /asset."
        ),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "paths": {
        "/asset": {"post": _POST},
        "/asset/{id}": {"parameters": [_ASSET_ID], "get": _GET, "put": _PUT},
        "/healthcheck": _health("healthcheck", "Whether S3 answers, within two seconds", "Status", ["UP"], ["DOWN"]),
        "/livez": _health("livez", "Whether the process answers", "status", ["alive"], None),
        "/readyz": _health("readyz", "Whether to send traffic here", "status", ["ready"], ["starting", "draining"]),
    },
    "components": {
        "schemas": {
            "Problem": {
                "type": "object",
                "description": "RFC 9457. `code` is what programs look at.",
                "required": ["type", "title", "status", "detail", "code", "request_id"],
                "properties": {
                    "type": {"type": "string", "format": "uri-reference"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "code": {"type": "string"},
                    "request_id": {"type": "string", "format": "uuid"},
                },
            }
        }
    },
}

_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto}"
    "code{background:#8882;padding:0 .2em}h2{margin-top:2.5rem}table{border-collapse:collapse}"
    "td,th{border:1px solid #8886;padding:.2rem .6rem;text-align:left;vertical-align:top}"
)


def _page() -> str:
    info = OPENAPI["info"]
    parts = [f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"]
    parts.append('<p>For programs: <a href="/openapi.json">/openapi.json</a></p>')
    for path, operations in OPENAPI["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}.</p>")
            if "description" in operation:
                parts.append(f"<p>{escape(operation['description'])}</p>")
            parts += [
                f"<p>Query: <code>{escape(given['name'])}</code>: {escape(given['description'])}</p>"
                for given in operation.get("parameters", ())
            ]
            if "requestBody" in operation:
                example = operation["requestBody"]["content"]["application/json"]["example"]
                parts.append(f"<p>Body: <code>{escape(str(example).replace(chr(39), chr(34)))}</code></p>")
            rows = "".join(
                f"<tr><td>{status}</td><td>{escape(answer['description'])}</td></tr>"
                for status, answer in sorted(operation["responses"].items())
            )
            parts.append(f"<table><tr><th>Answer</th><th></th></tr>{rows}</table>")
    rows = "".join(
        f'<tr id="{problem.code}"><td><code>{problem.code}</code></td><td>{problem.status}</td>'
        f"<td>{escape(problem.detail)}</td></tr>"
        for problem in {problem.code: problem for problem in reversed((INTERNAL, *PROBLEMS.values()))}.values()
    )
    parts.append(f"<h2>Errors</h2><p>application/problem+json, RFC 9457.</p><table>{rows}</table>")
    title = "<title>assetuploader API</title>"
    return f'<!doctype html><html lang="en"><meta charset="utf-8">{title}<style>{_STYLE}</style>{"".join(parts)}</html>'


_PAGE: Final = _page()


async def openapi(request: Request) -> Answer:  # noqa: ARG001
    """`GET /openapi.json`."""
    return Answer(OPENAPI)


async def docs(request: Request) -> HTTPResponse:  # noqa: ARG001
    """`GET /docs`."""
    return html(_PAGE, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})
