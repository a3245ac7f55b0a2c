"""What an error answer says, once it has been checked to be one."""

import httpx

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of a problem document whose other members are as RFC 9457 and docs/design.md have them."""
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(problem) == MEMBERS
    assert problem["type"] == f"/docs#{problem['code']}"
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    return answer.status_code, problem["code"]
