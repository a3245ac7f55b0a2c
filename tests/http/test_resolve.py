"""`GET /asset/{id}`."""

from datetime import timedelta

import pytest

from tests.http.answers import problem_of
from tests.http.serving import Service
from tests.memory_s3 import RefusedError, etag_of

UNKNOWN_ID = "ffffffff-ffff-4fff-8fff-ffffffffffff"

BAD_TIMEOUTS = [
    "0",
    "-1",
    "604801",
    "1e9",
    "1e3",
    "1_0",
    "1.5",
    "+5",
    "%205",
    "5%20",
    "5%0A",
    "5%00",
    "0x10",
    "",
    "%20",
    "ten",
    "NaN",
    "%D9%A5",
    "%EF%BC%95",
    "%FF",
    "9" * 5_000,
    "1000000000",
    "5&timeout=5",
    "5&timeout=",
    "5,6",
]


@pytest.mark.parametrize("path", ["/asset", "/assets"])
async def test_a_final_asset_is_answered_with_a_url_of_its_bytes(service: Service, path: str) -> None:
    """The download URL leads to the bytes that were marked, at the cost of one S3 call."""
    asset_id = await service.finalize(b"bytes")
    service.s3.calls.clear()

    answer = await service.client.get(f"{path}/{asset_id}")

    assert (answer.status_code, list(answer.json())) == (200, ["Download_url"])
    assert answer.headers["cache-control"] == "no-store"
    assert service.s3.calls == [("head", f"uploaded/{asset_id}")]
    assert service.s3.get(answer.json()["Download_url"]).body == b"bytes"


@pytest.mark.parametrize(("query", "seconds"), [("", 60), ("?timeout=1", 1), ("?timeout=604800", 604_800)])
async def test_a_download_url_lives_as_long_as_was_asked(service: Service, query: str, seconds: int) -> None:
    """`timeout` is the URL's life in seconds; without it the operator's default is."""
    asset_id = await service.finalize()
    url = (await service.client.get(f"/asset/{asset_id}{query}")).json()["Download_url"]

    service.s3.now += timedelta(seconds=seconds - 1)
    service.s3.get(url)
    service.s3.now += timedelta(seconds=1)

    with pytest.raises(RefusedError):
        service.s3.get(url)


@pytest.mark.parametrize("given", BAD_TIMEOUTS, ids=lambda text: text[:20])
async def test_a_malformed_timeout_is_a_bad_request(service: Service, given: str) -> None:
    """Whatever Python's `int` would make of it, only one plain number from 1 to seven days is taken."""
    asset_id = await service.finalize()
    service.s3.calls.clear()

    answer = await service.client.get(f"/asset/{asset_id}?timeout={given}")

    assert problem_of(answer) == (400, "bad_request")
    assert service.s3.calls == []


@pytest.mark.parametrize("query", ["?", "?x=1", "?Timeout=0", "?x=%FF&y", "?;;&&=="])
async def test_other_parameters_are_passed_over(service: Service, query: str) -> None:
    """A cache buster or a tracing parameter does no harm."""
    asset_id = await service.finalize()

    answer = await service.client.get(f"/asset/{asset_id}{query}")

    assert answer.status_code == 200


async def test_a_pending_asset_is_not_uploaded(service: Service) -> None:
    """An asset that is not final has a code of its own, and no URL is made."""
    asset_id, _ = await service.create()

    answer = await service.client.get(f"/asset/{asset_id}")

    assert problem_of(answer) == (404, "asset_not_uploaded")
    assert answer.headers["retry-after"] == "5"


async def test_a_marked_asset_says_when_it_will_be_due(service: Service) -> None:
    """Unpinned, it is due after expiry and grace, and Retry-After counts down to that, never below a poll."""
    asset_id, _ = await service.create()
    await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})
    heard = []
    for seconds in (0, 100, 860, 200):
        service.s3.now += timedelta(seconds=seconds)
        answer = await service.client.get(f"/asset/{asset_id}")
        heard.append((*problem_of(answer), answer.headers["retry-after"]))

    assert heard == [(404, "asset_not_uploaded", left) for left in ("960", "860", "5", "5")]


async def test_a_pinned_asset_is_worth_asking_for_soon(service: Service) -> None:
    """Pinned, it is due at once: the client asks again at the next poll."""
    asset_id, upload_url = await service.create()
    service.s3.put(upload_url, b"bytes")
    await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded", "etag": etag_of(b"bytes")})

    answer = await service.client.get(f"/asset/{asset_id}")

    assert (*problem_of(answer), answer.headers["retry-after"]) == (404, "asset_not_uploaded", "5")


async def test_an_asset_that_was_given_up_is_gone(service: Service) -> None:
    """410 tells a client that waiting is of no use."""
    asset_id = await service.expire()

    answer = await service.client.get(f"/asset/{asset_id}")

    assert problem_of(answer) == (410, "asset_expired")
    assert "retry-after" not in answer.headers


async def test_an_unknown_asset_is_not_found(service: Service) -> None:
    """An id that nobody was given has another code than one that is not final yet."""
    answer = await service.client.get(f"/asset/{UNKNOWN_ID}")

    assert problem_of(answer) == (404, "asset_not_found")
    assert "retry-after" not in answer.headers


async def test_head_answers_as_get_without_a_body(service: Service) -> None:
    """HEAD of an asset has GET's status and headers."""
    asset_id = await service.finalize()

    answer = await service.client.head(f"/asset/{asset_id}")

    assert (answer.status_code, answer.content) == (200, b"")
