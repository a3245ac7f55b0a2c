"""The OpenAPI 3.1 document of the table of operations."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.models import ASSET_ID_SCHEMA, ProblemResponse, RequestModel
from service.operations import Operation, Response
from service.problems import Problem
from service.responses import PROBLEM_MEDIA_TYPE

DESCRIPTION: Final = (
    "Upload files straight to S3. Once an asset is final, its bytes never change again. "
    "`POST /asset`, `PUT` the bytes to its `upload_url`, `PUT /asset/{id}`, and `GET /asset/{id}` until it is final. "
    "`/assets` is an alias of `/asset`."
)
_REFERENCES: Final = "#/components/schemas/{model}"
_MODE: Final[JsonSchemaMode] = "serialization"
"""The mode in which a schema has the JSON names of fields."""
_PATH_PARAMETERS: Final[dict[str, Any]] = {
    "{id}": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The asset's id, from the response that created it.",
        "schema": ASSET_ID_SCHEMA,
    }
}
_RETRY_AFTER: Final = {
    "description": "Repeat the request after this many seconds.",
    "schema": {"type": "integer", "minimum": 1},
}


def build_openapi(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the document. It describes the canonical paths."""
    operations = tuple(operations)
    paths: dict[str, Any] = {}
    for operation in operations:
        parameters = [parameter for part, parameter in _PATH_PARAMETERS.items() if part in operation.route]
        path = paths.setdefault(operation.route, {"parameters": parameters} if parameters else {})
        path[operation.method.lower()] = _describe_operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "assetuploader",
            "version": version("assetuploader"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Relative to the document itself, so that it works behind a path prefix, too.
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": _build_schemas(operations)},
    }


def _describe_operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        described["description"] = operation.description
    if operation.query is not None:
        described["parameters"] = _describe_query(operation.query)
    if operation.body is not None:
        content = {**_refer_to(operation.body), "example": operation.body.example}
        described["requestBody"] = {"required": operation.needs_body, "content": {"application/json": content}}
    described["responses"] = {
        **{str(int(response.status)): _describe_response(response) for response in operation.responses},
        **_describe_problems(operation.problems),
    }
    return described


def _describe_query(model: type[RequestModel]) -> list[dict[str, Any]]:
    parameters = []
    for name, schema in model.model_json_schema(mode=_MODE)["properties"].items():
        described = {key: value for key, value in schema.items() if key not in {"title", "default", "description"}}
        parameter = {"name": name, "in": "query", "description": schema["description"], "schema": described}
        parameters.append(parameter | ({"required": True} if model.model_fields[name].is_required() else {}))
    return parameters


def _describe_response(response: Response) -> dict[str, Any]:
    described: dict[str, Any] = {"description": response.description}
    if response.model is not None:
        described["content"] = {"application/json": _refer_to(response.model)}
    if response.headers:
        described["headers"] = {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in response.headers.items()
        }
    return described


def _describe_problems(problems: Iterable[Problem]) -> dict[str, Any]:
    by_status: dict[int, list[Problem]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    responses: dict[str, Any] = {}
    for status, candidates in sorted(by_status.items()):
        codes = [problem.code for problem in candidates]
        schema = {"allOf": [_refer_to(ProblemResponse)["schema"], {"properties": {"code": {"enum": codes}}}]}
        response: dict[str, Any] = {
            "description": " · ".join(codes),
            "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}},
        }
        if any(problem.has_retry_after for problem in candidates):
            response["headers"] = {"Retry-After": _RETRY_AFTER}
        responses[str(int(status))] = response
    return responses


def _refer_to(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REFERENCES.format(model=model.__name__)}}


def _build_schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    models: dict[type[BaseModel], None] = {ProblemResponse: None}
    for operation in operations:
        models |= {model: None for model in (operation.body, *(one.model for one in operation.responses)) if model}
    _, definitions = models_json_schema([(model, _MODE) for model in models], ref_template=_REFERENCES)
    return _drop_noise(definitions["$defs"])


def _drop_noise(definitions: dict[str, Any]) -> dict[str, Any]:
    """Drop the titles that pydantic derives from names, and the defaults: members of responses are always present."""
    for definition in definitions.values():
        definition.pop("title", None)
        for schema in definition["properties"].values():
            schema.pop("title", None)
            schema.pop("default", None)
    return definitions
