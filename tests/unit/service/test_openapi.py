"""`GET /openapi.json`."""

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from pydantic import BaseModel

from service.operations import OPERATIONS
from service.problems import INTERNAL, PROBLEMS, UNSUPPORTED
from tests.support.in_process_service import Service

ID = "00000000-0000-4000-8000-000000000000"
DOCUMENTATION = {"openapi.json", "docs", "docs/<file:str>"}


async def _openapi(service: Service) -> dict[str, Any]:
    response = await service.client.get("/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    description: dict[str, Any] = response.json()
    return description


async def test_the_description_is_valid_openapi(service: Service) -> None:
    """Generators and Schemathesis can read it: it conforms to OpenAPI 3.1."""
    validate(await _openapi(service), cls=OpenAPIV31SpecValidator)


async def test_the_description_has_every_route_and_no_other(service: Service) -> None:
    """Every served path and method is described, and nothing else is."""
    described = {
        (path, method.upper())
        for path, operations in (await _openapi(service))["paths"].items()
        for method in operations
        if method != "parameters"
    }
    served = {
        ("/" + re.sub("<[^>]*>", "{id}", route.path.replace("<literal:assets:batch>", "assets:batch")), method)
        for route in service.app.router.routes
        for method in route.methods - {"HEAD"}
        if not route.path.startswith("assets") and route.path not in DOCUMENTATION
    }

    assert described == served


async def test_every_problem_is_described_where_it_can_come_from(service: Service) -> None:
    """Each code is described under its status by some operation, except those of requests that reach none."""
    paths = (await _openapi(service))["paths"]
    described = {
        (int(status), code)
        for operations in paths.values()
        for method, operation in operations.items()
        if method != "parameters"
        for status, response in operation["responses"].items()
        for code in response["description"].split(" · ")
        if "application/problem+json" in response.get("content", {})
    }
    without_operation = {
        (404, "not_found"),
        (405, "method_not_allowed"),
        (408, "bad_request"),
        (431, "headers_too_large"),
    }

    assert (
        described
        == {(problem.status, problem.code) for problem in (INTERNAL, *PROBLEMS.values(), *UNSUPPORTED.values())}
        - without_operation
    )


async def test_the_descriptions_examples_are_accepted(service: Service) -> None:
    """The service accepts the example body of each operation: it succeeds, or only the asset is unknown."""
    sent = 0
    for path, operations in (await _openapi(service))["paths"].items():
        for method, operation in operations.items():
            if "requestBody" not in operation:
                continue
            example = operation["requestBody"]["content"]["application/json"]["example"]
            response = await service.client.request(method, path.replace("{id}", ID), json=example)
            assert response.status_code < 300 or response.json()["code"] == "asset_not_found"
            if operation["operationId"] == "createAssets":
                assert [item["status"] for item in response.json()["assets"]] == [201] * len(example["assets"])
            sent += 1
    assert sent == 5


async def test_the_description_is_relative_to_a_path_prefix(service: Service) -> None:
    """Behind a proxy that serves the API at a prefix, clients call the paths below that prefix."""
    assert (await _openapi(service))["servers"] == [{"url": "."}]


async def test_members_are_described_with_their_names_in_json(service: Service) -> None:
    """The names of members in the description are those that clients send and receive."""
    schemas = (await _openapi(service))["components"]["schemas"]

    asset = [
        "content_type",
        "created_at",
        "download_url",
        "etag",
        "expires_at",
        "filename",
        "id",
        "metadata",
        "sha256",
        "size",
        "status",
    ]
    assert {name: sorted(schema["properties"]) for name, schema in schemas.items()} == {
        "AliveResponse": ["status"],
        "AssetResponse": asset,
        "BatchItem": ["asset", "problem", "status"],
        "BatchRequest": ["assets"],
        "BatchResponse": ["assets"],
        "CompleteRequest": ["etag", "parts", "upload_id"],
        "CreatedAssetResponse": ["expires_at", "id", "upload_url"],
        "DeclarationRequest": [
            "content_type",
            "filename",
            "metadata",
            "multipart",
            "sha256",
            "size",
            "write_once",
        ],
        "DownResponse": ["Status"],
        "DownloadResponse": ["Download_url"],
        "ListedPart": ["etag", "number", "size"],
        "MarkRequest": ["Status", "etag"],
        "MultipartTarget": ["expires_at", "method", "part_count", "part_size", "upload_id"],
        "NotReadyResponse": ["status"],
        "PartListResponse": ["expires_at", "part_count", "part_size", "parts", "upload_id"],
        "PartUrl": ["expires_at", "headers", "number", "url"],
        "PartUrlsRequest": ["part_numbers", "size", "upload_id"],
        "PartUrlsResponse": ["parts"],
        "PendingAssetResponse": sorted([*asset, "upload"]),
        "ProblemResponse": ["code", "detail", "request_id", "status", "title", "type"],
        "ReadyResponse": ["status"],
        "UpResponse": ["Status"],
        "UploadTarget": ["expires_at", "headers", "method", "url"],
    }
    requests = {
        "MarkRequest": ["Status"],
        "BatchRequest": ["assets"],
        "DeclarationRequest": [],
        "CompleteRequest": [],
        "PartUrlsRequest": ["part_numbers", "upload_id"],
    }
    for name, schema in schemas.items():
        assert sorted(schema.get("required", [])) == requests.get(name, sorted(schema["properties"]))


async def test_responses_are_as_their_models_describe_them(service: Service) -> None:
    """Each response validates against the schema that the description gives for its operation and status."""
    final_id = await service.finalize()
    pending_id, _ = await service.create()
    multipart = (await service.client.post("/v1/assets", json={"multipart": True})).json()
    upload_id = multipart["upload"]["upload_id"]
    ids = {
        "refreshUploadUrl": pending_id,
        "deleteAsset": pending_id,
        "createPartUrls": multipart["id"],
        "listParts": multipart["id"],
    }
    bodies = {
        "createAssets": {"assets": [{}]},
        "createPartUrls": {"upload_id": upload_id, "part_numbers": [1]},
    }
    for operation in OPERATIONS:
        [response, *_] = operation.responses
        if operation.body is not None and operation.operation_id == "markAsset":
            continue  # its response has no body
        path = operation.route.replace("{id}", ids.get(operation.operation_id, final_id))
        query = {"upload_id": upload_id} if operation.operation_id == "listParts" else None
        received = await service.client.request(
            operation.method, path, json=bodies.get(operation.operation_id), params=query
        )
        assert received.status_code == response.status
        if response.model is not None:
            assert set(received.json()) == _json_names(response.model)


def _json_names(model: type[BaseModel]) -> set[str]:
    return {field.serialization_alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.operation_id)
async def test_every_operation_has_one_route_in_the_metrics(service: Service, operation: Any) -> None:  # noqa: ANN401
    """The canonical path template labels the metrics of every path of an operation."""
    for path in operation.paths:
        await service.client.request(operation.method, path.replace("{id}", ID))

    requests = service.app.ctx.context.metrics.requests
    samples = [sample for family in requests.collect() for sample in family.samples]
    assert {sample.labels["route"] for sample in samples} == {operation.route}
    assert sum(sample.value for sample in samples) == len(operation.paths)
