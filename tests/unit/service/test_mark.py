"""`PUT /asset/{id}`."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.in_memory_s3 import etag_of
from tests.support.in_process_service import Service
from tests.support.problems import problem_of

TAGS = {"status": "marked", "expires-at": "2026-01-01T12:15:00Z"}
METADATA = {**TAGS, "schema": "2"}
UNKNOWN_ID = "ffffffff-ffff-4fff-8fff-ffffffffffff"
PIN = etag_of(b"bytes")

GOOD_BODIES = [
    {"Status": "uploaded"},
    {"status": "uploaded"},
    {"STATUS": "uploaded"},
]

BAD_BODIES = {
    "nothing": b"",
    "not JSON": b"uploaded",
    "an empty object": b"{}",
    "an array": b'[{"Status":"uploaded"}]',
    "a string": b'"uploaded"',
    "null": b"null",
    "a number": b"1",
    "another status": b'{"Status":"pending"}',
    "the status in capitals": b'{"Status":"Uploaded"}',
    "the status with a space": b'{"Status":"uploaded "}',
    "a status that is null": b'{"Status":null}',
    "a status that is true": b'{"Status":true}',
    "a status in a list": b'{"Status":["uploaded"]}',
    "an unknown member": b'{"Status":"uploaded","id":"x"}',
    "the same member twice": b'{"Status":"uploaded","Status":"uploaded"}',
    "the same member twice, in two cases": b'{"Status":"uploaded","status":"uploaded"}',
    "two pins": b'{"Status":"uploaded","etag":"a","etag":"b"}',
    "NaN": b'{"Status":"uploaded","etag":NaN}',
    "Infinity": b'{"Status":Infinity}',
    "NaN alone": b"NaN",
    "a lone surrogate as status": b'{"Status":"\\ud800"}',
    "a lone surrogate as etag": b'{"Status":"uploaded","etag":"\\ud800"}',
    "a lone surrogate as member": b'{"Status":"uploaded","\\udfff":"x"}',
    "deep nesting": b"[" * 16_000,
    "deep nesting of objects": b'{"a":' * 3_200,
    "an integer of 5,000 digits": b'{"Status":' + b"9" * 5_000 + b"}",
    "a float beyond all": b'{"Status":1e999999}',
    "invalid UTF-8": b'{"Status":"uploaded\xff"}',
    "UTF-16 with nonsense": b"\xff\xfe{\x00",
    "a NUL": b'{"Status":"uploaded"}\x00',
    "something after it": b'{"Status":"uploaded"}{}',
    "a trailing comma": b'{"Status":"uploaded",}',
    "single quotes": b"{'Status':'uploaded'}",
    "a comment": b'{"Status":"uploaded"} // done',
    "a form": b"Status=uploaded",
    "an etag that is a number": b'{"Status":"uploaded","etag":1}',
    "an etag that is null": b'{"Status":"uploaded","etag":null}',
    "an empty etag": b'{"Status":"uploaded","etag":""}',
    "an etag of quotes": b'{"Status":"uploaded","etag":"\\"\\""}',
    "an etag with one quote": b'{"Status":"uploaded","etag":"\\"abc"}',
    "a weak etag": b'{"Status":"uploaded","etag":"W/\\"abc\\""}',
    "any etag": b'{"Status":"uploaded","etag":"*"}',
    "two etags": b'{"Status":"uploaded","etag":"\\"a\\", \\"b\\""}',
    "an etag with a line break": b'{"Status":"uploaded","etag":"abc\\r\\nx: y"}',
    "an etag with a line break at its end": b'{"Status":"uploaded","etag":"abc\\n"}',
    "an etag with a NUL": b'{"Status":"uploaded","etag":"abc\\u0000"}',
    "an etag in other digits": '{"Status":"uploaded","etag":"١٢٣"}'.encode(),
    "a huge etag": b'{"Status":"uploaded","etag":"' + b"a" * 10_000 + b'"}',
}


@pytest.mark.parametrize("path", ["/asset", "/assets"])
@pytest.mark.parametrize("body", GOOD_BODIES, ids=str)
async def test_mark_is_202_with_an_empty_body(service: Service, path: str, body: dict[str, str]) -> None:
    """Both paths and any case of the member's name are accepted. The mark is in the bucket."""
    asset_id, _ = await service.create()

    response = await service.client.put(f"{path}/{asset_id}", json=body)

    assert (response.status_code, response.content, response.headers["cache-control"]) == (202, b"", "no-store")
    written = service.s3.objects[f"uploaded/{asset_id}"]
    assert (written.metadata, written.tags) == (METADATA, TAGS)


async def test_mark_again_is_accepted_and_written_again(service: Service) -> None:
    """A repeated mark is 202 again. Each mark is a write, which invalidates concurrent decisions."""
    asset_id, _ = await service.create()
    await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})
    service.s3.calls.clear()

    response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})

    assert response.status_code == 202
    assert service.s3.calls == [("head_object", f"uploaded/{asset_id}"), ("put_object", f"uploaded/{asset_id}")]


@pytest.mark.parametrize("etag", [PIN, f'"{PIN}"'], ids=["bare", "in quotes"])
@pytest.mark.parametrize("name", ["etag", "ETag", "ETAG"])
async def test_mark_with_a_pin_is_pinned(service: Service, etag: str, name: str) -> None:
    """The pin is the ETag of S3's response, with or without quotes. A mark with a pin costs three calls."""
    asset_id, upload_url = await service.create()
    service.s3.put(upload_url, b"bytes")
    service.s3.calls.clear()

    response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded", name: etag})

    assert response.status_code == 202
    written = service.s3.objects[f"uploaded/{asset_id}"]
    assert (written.metadata, written.tags) == (METADATA | {"pin": PIN}, TAGS)
    assert service.s3.calls == [
        ("head_object", f"uploaded/{asset_id}"),
        ("head_object", f"temp/{asset_id}"),
        ("put_object", f"uploaded/{asset_id}"),
    ]


@pytest.mark.parametrize("uploaded", [None, b"other bytes"], ids=["nothing", "other bytes"])
async def test_a_pin_that_is_not_in_temp_is_a_mismatch(service: Service, uploaded: bytes | None) -> None:
    """The client learns at once that its bytes are not there, and nothing is written."""
    asset_id, upload_url = await service.create()
    if uploaded is not None:
        service.s3.put(upload_url, uploaded)
    before = dict(service.s3.objects)

    response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded", "etag": PIN})

    assert problem_of(response) == (409, "upload_mismatch")
    assert service.s3.objects == before


async def test_a_final_asset_is_already_uploaded(service: Service) -> None:
    """A final asset accepts neither an unpinned mark nor another pin, and does not change."""
    asset_id = await service.finalize(b"bytes")
    before = dict(service.s3.objects)

    unpinned = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})
    pinned = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded", "etag": etag_of(b"others")})

    assert [problem_of(unpinned), problem_of(pinned)] == [(409, "already_uploaded")] * 2
    assert service.s3.objects == before


async def test_the_same_pin_of_a_final_asset_is_accepted(service: Service) -> None:
    """When the 202 was lost, the client repeats its mark. By then the asset may be final with its bytes."""
    asset_id = await service.finalize(b"bytes")
    before = dict(service.s3.objects)

    response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded", "etag": PIN})

    assert (response.status_code, response.content) == (202, b"")
    assert service.s3.objects == before


async def test_an_expired_asset_is_gone(service: Service) -> None:
    """A mark after the asset has expired is 410."""
    asset_id = await service.expire()

    response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})

    assert problem_of(response) == (410, "asset_expired")


async def test_an_unknown_asset_cannot_be_marked(service: Service) -> None:
    """A mark of an unknown id is 404 and creates no placeholder."""
    response = await service.client.put(f"/asset/{UNKNOWN_ID}", json={"Status": "uploaded"})

    assert problem_of(response) == (404, "asset_not_found")
    assert service.s3.writes == []


async def test_an_object_that_is_not_an_asset_cannot_be_marked(service: Service) -> None:
    """An object in `uploaded/` that is not a placeholder is not overwritten."""
    asset_id, _ = await service.create()
    key = f"uploaded/{asset_id}"
    service.s3.objects[key] = replace(service.s3.objects[key], metadata={})
    before = dict(service.s3.objects)

    response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})

    assert problem_of(response) == (404, "asset_not_found")
    assert service.s3.objects == before


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_malformed_mark_is_a_bad_request_without_a_call_to_s3(service: Service, body: bytes) -> None:
    """Every malformed body is a 400 without a call to S3."""
    asset_id, _ = await service.create()
    service.s3.calls.clear()

    response = await service.client.put(
        f"/asset/{asset_id}", content=body, headers={"Content-Type": "application/json"}
    )

    assert problem_of(response) == (400, "bad_request")
    assert service.s3.calls == []


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;", None],
)
async def test_every_form_of_the_json_content_type_is_accepted(service: Service, content_type: str | None) -> None:
    """Case and parameters do not matter, and clients may omit Content-Type."""
    asset_id, _ = await service.create()
    headers = {} if content_type is None else {"Content-Type": content_type}

    response = await service.client.put(f"/asset/{asset_id}", content=json.dumps(GOOD_BODIES[0]), headers=headers)

    assert response.status_code == 202


async def test_a_byte_order_mark_before_the_json_is_ignored(service: Service) -> None:
    """Some clients' libraries start every UTF-8 text with one."""
    asset_id, _ = await service.create()

    response = await service.client.put(
        f"/asset/{asset_id}", content=b"\xef\xbb\xbf" + json.dumps(GOOD_BODIES[0]).encode()
    )

    assert response.status_code == 202


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ";"],
)
async def test_another_content_type_is_a_bad_request(service: Service, content_type: str) -> None:
    """A body with another Content-Type is not parsed, so that a browser's form cannot mark an asset."""
    asset_id, _ = await service.create()
    service.s3.calls.clear()

    response = await service.client.put(
        f"/asset/{asset_id}", content=json.dumps(GOOD_BODIES[0]), headers={"Content-Type": content_type}
    )

    assert problem_of(response) == (400, "bad_request")
    assert service.s3.calls == []


async def test_an_unpinned_mark_keeps_the_last_bytes(service: Service) -> None:
    """An asset with an unpinned mark becomes final, after expiry and grace, with the bytes that were uploaded last."""
    asset_id, upload_url = await service.create()
    service.s3.put(upload_url, b"first")
    service.s3.put(upload_url, b"last")
    await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})

    service.s3.now = service.s3.now.replace(minute=16)
    await service.reconciler.reconcile(asset_id, service.s3.now)

    assert service.s3.objects[f"uploaded/{asset_id}"].body == b"last"


@pytest.mark.parametrize("pin", [{}, {"etag": PIN}])
async def test_a_mark_without_an_upload_is_rejected_after_upload_expiry(service: Service, pin: dict[str, str]) -> None:
    """Until grace is over an upload may still arrive, so the client may mark again; then the asset expires."""
    asset_id, _ = await service.create()
    mark = {"Status": "uploaded", **pin}

    service.s3.now += timedelta(seconds=900)
    too_early = await service.client.put(f"/asset/{asset_id}", json=mark)
    service.s3.now += timedelta(seconds=60)
    too_late = [await service.client.put(f"/asset/{asset_id}", json=mark) for _ in range(2)]

    assert problem_of(too_early) == (409, "upload_mismatch")
    assert [problem_of(response) for response in too_late] == [(410, "asset_expired")] * 2
    assert service.s3.objects[f"uploaded/{asset_id}"].tags["status"] == "expired"


async def test_an_upload_may_be_marked_after_its_url_expired(service: Service) -> None:
    """A mark that comes late counts, as long as its upload is there."""
    asset_id, upload_url = await service.create()
    service.s3.put(upload_url, b"bytes")

    service.s3.now += timedelta(hours=1)
    response = await service.client.put(f"/asset/{asset_id}", json={"Status": "uploaded"})

    assert response.status_code == 202
