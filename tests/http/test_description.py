"""`GET /openapi.json` and `GET /docs`."""

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from service.problems import INTERNAL, PROBLEMS
from tests.http.serving import Service

ID = "00000000-0000-4000-8000-000000000000"


async def _openapi(service: Service) -> dict[str, Any]:
    answer = await service.client.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    description: dict[str, Any] = answer.json()
    return description


async def test_the_description_is_valid_openapi(service: Service) -> None:
    """Generators and Schemathesis can read it: it is OpenAPI 3.1 by the letter."""
    validate(await _openapi(service), cls=OpenAPIV31SpecValidator)


async def test_the_description_has_every_route_and_no_other(service: Service) -> None:
    """What is served is described and what is described is served, with the same methods."""
    described = {
        (path, method.upper())
        for path, operations in (await _openapi(service))["paths"].items()
        for method in operations
        if method != "parameters"
    }
    served = {
        ("/" + re.sub("<[^>]*>", "{id}", route.path), method)
        for route in service.app.router.routes
        for method in route.methods - {"HEAD"}
        if not route.path.startswith("assets") and route.path not in {"openapi.json", "docs"}
    }

    assert described == served


async def test_every_problem_is_described_where_it_can_come_from(service: Service) -> None:
    """Each code of the design is named by an answer of some operation, under its own status."""
    paths = (await _openapi(service))["paths"]
    described = {
        (int(status), code)
        for operations in paths.values()
        for method, operation in operations.items()
        if method != "parameters"
        for status, answer in operation["responses"].items()
        for code in answer["description"].split(" · ")
        if "application/problem+json" in answer.get("content", {})
    }
    framing = {(404, "not_found"), (405, "method_not_allowed"), (408, "bad_request")}

    assert described == {(problem.status, problem.code) for problem in (INTERNAL, *PROBLEMS.values())} - framing


async def test_the_descriptions_examples_are_taken(service: Service) -> None:
    """The example body of the description is a body that the service understands."""
    body = (await _openapi(service))["paths"]["/asset/{id}"]["put"]["requestBody"]["content"]["application/json"]

    answer = await service.client.put(f"/asset/{ID}", json=body["example"])

    assert answer.json()["code"] == "asset_not_found"


@pytest.mark.parametrize("code", sorted({problem.code for problem in (INTERNAL, *PROBLEMS.values())}))
async def test_every_problems_type_leads_to_its_explanation(service: Service, code: str) -> None:
    """A problem's `type` is a URL that a person can open: /docs has an anchor of that name."""
    page = (await service.client.get("/docs")).text

    assert page.count(f'id="{code}"') == 1


async def test_the_docs_need_no_internet(service: Service) -> None:
    """The page loads nothing from anywhere, not even by accident: no URL but the examples', no script, and a policy."""
    answer = await service.client.get("/docs")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert re.findall(r"https?:|<script|<link|<img|@import|url\(|src=", answer.text) == []
    assert re.findall(r'href="([^"]*)"', answer.text) == ["/openapi.json"]


async def test_the_docs_name_every_operation(service: Service) -> None:
    """A person reads the same operations on the page as programs read in the description."""
    page = (await service.client.get("/docs")).text
    headings = re.findall(r"<h2><code>([A-Z]+ [^<]*)</code></h2>", page)

    assert headings == [
        "POST /asset",
        "GET /asset/{id}",
        "PUT /asset/{id}",
        "GET /healthcheck",
        "GET /livez",
        "GET /readyz",
    ]
