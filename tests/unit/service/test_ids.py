"""Asset ids in paths."""

import pytest

from tests.support.in_process_service import Service
from tests.support.problems import problem_of

BAD_IDS = {
    "a word": "nonsense",
    "no hyphens": "00000000000040008000000000000000",
    "another version": "00000000-0000-1000-8000-000000000000",
    "another variant": "00000000-0000-4000-c000-000000000000",
    "the nil UUID": "00000000-0000-0000-0000-000000000000",
    "in braces": "{00000000-0000-4000-8000-000000000000}",
    "a URN": "urn:uuid:00000000-0000-4000-8000-000000000000",
    "one digit more": "00000000-0000-4000-8000-0000000000000",
    "one digit less": "00000000-0000-4000-8000-00000000000",
    "a line break": "00000000-0000-4000-8000-000000000000%0a",
    "a header": "00000000-0000-4000-8000-000000000000%0d%0ax:%20y",
    "a NUL": "00000000-0000-4000-8000-000000000000%00",
    "a way up": "..%2Fuploaded%2F00000000-0000-4000-8000-000000000000",
    "a slash": "%2F",
    "dots": "%2e%2e",
    "half an escape": "%2",
    "invalid UTF-8": "%ff%fe",
    "other digits": "%D9%A0%D9%A0",
    "a space": "%20",
    "a probe": "_probe",
    "markup": "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "long": "0" * 7_000,
}


@pytest.mark.parametrize("path", ["/asset", "/assets"])
@pytest.mark.parametrize("asset_id", BAD_IDS.values(), ids=BAD_IDS.keys())
async def test_a_malformed_id_is_rejected_without_a_call_to_s3(service: Service, path: str, asset_id: str) -> None:
    """Only a UUIDv4 in lower case becomes part of a key. The response does not repeat what was sent."""
    got = await service.send_request(f"GET {path}/{asset_id} HTTP/1.1", "Host: x")
    put = await service.send_request(
        f"PUT {path}/{asset_id} HTTP/1.1", "Host: x", "Content-Length: 21", body=b'{"Status":"uploaded"}'
    )

    assert [problem_of(got), problem_of(put)] == [(400, "bad_asset_id")] * 2
    assert asset_id not in got.text
    assert service.s3.calls == []
