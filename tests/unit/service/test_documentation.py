"""`GET /docs`, and the files of its viewer."""

import re
from importlib.resources import files

import pytest

from service.operations import OPERATIONS
from service.problems import INTERNAL, PROBLEMS
from tests.support.in_process_service import Service
from tests.support.problems import problem_of

LINK = re.compile(r'(?:href|src)="([^"]*)"')


@pytest.mark.parametrize("code", sorted({problem.code for problem in (INTERNAL, *PROBLEMS.values())}))
async def test_every_problems_type_leads_to_its_explanation(service: Service, code: str) -> None:
    """A problem's `type` is a URL that a person can open: /docs has an anchor of that name."""
    page = (await service.client.get("/docs")).text

    assert page.count(f'id="{code}"') == 1


async def test_the_page_allows_nothing_from_elsewhere(service: Service) -> None:
    """Every link is relative, there is no inline script or style, and the policy forbids both."""
    response = await service.client.get("/docs")

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert [link for link in LINK.findall(response.text) if re.match(r"/|https?:", link)] == []
    assert re.findall(r"<style|style=|<script>|\son\w+=", response.text) == []


async def test_every_file_of_the_page_is_served_and_cached(service: Service) -> None:
    """The files have versioned URLs, so that browsers may cache them for a year; they revalidate the page itself."""
    page = await service.client.get("/docs")
    links = [link for link in LINK.findall(page.text) if link.startswith("docs/")]

    responses = {link: await service.client.get(f"/{link}") for link in links}

    assert page.headers["cache-control"] == "no-cache"
    assert len(links) == 4
    for link, response in responses.items():
        content_type = "text/css; charset=utf-8" if ".css" in link else "text/javascript; charset=utf-8"
        assert (response.status_code, response.headers["content-type"]) == (200, content_type)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.content


@pytest.mark.parametrize("name", ["", "docs.html", "LICENSE", "swagger-ui", "..%2Fapp.py", "%2e%2e%2fapp.py"])
async def test_no_other_file_is_served(service: Service, name: str) -> None:
    """Only the files that the page needs can be read."""
    response = await service.send_request(f"GET /docs/{name} HTTP/1.1", "Host: x")

    if name == "":  # the page itself
        assert response.status_code == 200
    else:
        assert problem_of(response) == (404, "not_found")


async def test_without_javascript_the_page_names_every_operation(service: Service) -> None:
    """Without JavaScript, the page lists the operations and links to their description."""
    page = (await service.client.get("/docs")).text
    [fallback] = re.findall("<noscript>(.*)</noscript>", page, re.DOTALL)

    assert re.findall("<li><code>([^<]*)</code>", fallback) == [
        f"{operation.method} {operation.route}" for operation in OPERATIONS
    ]
    assert 'href="openapi.json"' in fallback


def test_the_viewer_comes_with_its_licence_and_version() -> None:
    """Each file that is copied from another project names its version and its licence."""
    folder = files("service").joinpath("static", "swagger-ui")
    version = folder.joinpath("VERSION").read_text().strip()

    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version)
    assert "Apache License" in folder.joinpath("LICENSE").read_text()
    assert "SmartBear" in folder.joinpath("NOTICE").read_text()
