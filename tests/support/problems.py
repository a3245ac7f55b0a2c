"""Problem documents, checked."""

import httpx

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


def problem_of(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a problem document. Check that RFC 9457 and docs/design.md hold."""
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert set(problem) == MEMBERS
    assert problem["type"].lstrip("./") == f"docs#{problem['code']}"
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    return response.status_code, problem["code"]
