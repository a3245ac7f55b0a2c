"""Generate docs/api.md from the table of operations: `python -m tools.api_page > docs/api.md`."""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from service.openapi import build_openapi
from service.operations import OPERATIONS, Operation, Response
from service.problems import problems_by_code

_HEAD: Final = """\
# The API

A running service describes its API itself: `/docs` for people, with a form to try each operation, and `/openapi.json`
for programs. This page is generated from the same table of operations (`make docs-api`).

New clients use `/v1/assets`: [Uploading](uploading.md) explains how. `/asset`, with its alias `/assets`, is the
original API, and stays as it is. Both have the same assets.

Every request may be repeated: an accepted mark is never lost, and marking an asset again is allowed until it is final.
"""
_UPLOAD: Final = """\

## Upload the bytes

`PUT` the bytes to `upload_url`, or to `upload.url` with `upload.headers`. That request goes to S3, not to this
service. S3 responds with an `ETag` header: send it with the mark or the completion, and the asset is final at once, or
within seconds if it is large.

## From a browser

The bytes go from the browser to S3. Therefore the bucket needs a CORS rule that allows your origin to `PUT`, with the
headers that were declared, and to read the `ETag`: [the rule](uploading.md#from-a-browser-cors).
`assetuploader doctor --origin https://app.example.com` checks it with the requests that a browser sends.
"""
_ERRORS: Final = """\

## Errors

Every error is `application/problem+json` (RFC 9457) with a `code` for programs, and a `request_id` that the service's
logs contain.

| code | status | what to do |
|---|---|---|
"""


def build_api_page() -> str:
    """Return the page as Markdown."""
    document = build_openapi(OPERATIONS)
    sections = [_section(operation, document) for operation in OPERATIONS]
    errors = (
        f"| `{code}` | {int(problem.status)} | {problem.detail} |\n" for code, problem in problems_by_code().items()
    )
    return "".join((_HEAD, *_summary(), *sections, _UPLOAD, _ERRORS, *errors))


def _summary() -> Iterator[str]:
    yield "\n| request | response | |\n|---|---|---|\n"
    for operation in OPERATIONS:
        statuses = " or ".join(str(int(response.status)) for response in operation.responses)
        yield f"| `{operation.method} {operation.route}` | {statuses} | {operation.summary} |\n"


def _section(operation: Operation, document: dict[str, Any]) -> str:
    described = document["paths"][operation.route][operation.method.lower()]
    parts = [f"\n## {operation.summary}\n\n`{operation.method} {operation.route}`\n"]
    if operation.description:
        parts.append(f"\n{operation.description}\n")
    if "parameters" in described:
        parts.append("\n| query parameter | value | |\n|---|---|---|\n")
        parts += [
            f"| `{parameter['name']}` | {_range(parameter['schema'])} | {parameter['description']} |\n"
            for parameter in described["parameters"]
        ]
    if operation.body is not None:
        parts.append(f"\nBody:\n\n```json\n{json.dumps(operation.body.example, indent=2)}\n```\n")
    parts += ["\n| response | |\n|---|---|\n", *(_response(response, document) for response in operation.responses)]
    by_status: dict[int, list[str]] = {}
    for problem in operation.problems:
        by_status.setdefault(problem.status, []).append(f"[`{problem.code}`](#errors)")
    parts += [f"| {int(status)} | {', '.join(codes)} |\n" for status, codes in sorted(by_status.items())]
    return "".join(parts)


def _response(response: Response, document: dict[str, Any]) -> str:
    text = response.description
    if response.model is not None:
        properties = document["components"]["schemas"][response.model.__name__]["properties"]
        members = ", ".join(f'"{name}": {_member(schema)}' for name, schema in properties.items())
        text += f" `{{{members}}}`"
    return f"| {int(response.status)} | {text} |\n"


def _member(schema: dict[str, Any]) -> str:
    values = schema.get("enum") or [schema.get("const", "…")]
    return " or ".join(f'"{value}"' for value in values)


def _range(schema: dict[str, Any]) -> str:
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    return " or ".join(schema.get("enum", ["text"]))


if __name__ == "__main__":
    sys.stdout.write(build_api_page())
