"""The search for secrets in logs finds them."""

import pytest

from tests.support.in_memory_s3 import InMemoryS3
from tests.support.leaks import leaks


async def test_a_presigned_url_in_a_log_is_found() -> None:
    """A URL in a line of the log is reported, without its signature."""
    signed = await InMemoryS3().presign_put("temp/a", 60)
    signature = signed.url.rpartition("=")[2]
    found = leaks(b'{"event": "x"}\n{"url": "' + signed.url.encode() + b'"}\n')
    assert len(found) == 1
    assert signature not in found[0]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /b/k?X-Amz-Credential=AKIA%2F20260101",
        b"Authorization: AWS4-HMAC-SHA256 Credential=x",
        b"x-amz-security-token: IQoJb3Jp",
        b"Signature=" + b"0a" * 32,
        b"AWS_SECRET_ACCESS_KEY=local-secret",
    ],
    ids=["credential", "authorization", "token", "signature", "key"],  # the ids are printed, so they contain no secret
)
def test_every_kind_of_secret_is_found(line: bytes) -> None:
    """Signatures, credentials, tokens and keys are leaks anywhere in a line."""
    assert leaks(b"before " + line + b" after")


def test_what_is_no_secret_is_no_leak() -> None:
    """Ids, ETags and paths may be logged."""
    assert leaks(b'{"asset_id": "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90", "route": "/asset/{id}", "status": 202}') == []
