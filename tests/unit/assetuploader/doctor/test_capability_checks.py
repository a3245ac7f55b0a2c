"""What the doctor says about a store that lacks something that only some assets need."""

import pytest

from assetuploader.capabilities import Capability
from assetuploader.doctor.capability_checks import (
    check_aborts,
    check_deletes,
    check_multipart,
    describe_capabilities,
)
from assetuploader.doctor.results import CheckResult, Severity
from assetuploader.errors import StoreAccessDeniedError, StoreError, StoreUnavailableError, StoreUnsupportedError
from assetuploader.store import Bucket
from tests.support.in_memory_reports import InMemoryReports
from tests.support.in_memory_s3 import InMemoryS3

WARNINGS = {
    Capability.SIZE: (
        "declared size",
        "the store does not reject an upload of another size: assets with a declared size are refused",
    ),
    Capability.CONTENT_TYPE: (
        "declared content type",
        "the store does not reject an upload of another content type: assets with a declared content type are refused",
    ),
    Capability.CHECKSUM: (
        "declared sha256",
        (
            "the store does not reject an upload of other bytes, or does not return their checksum: "
            "assets with a declared sha256 are refused"
        ),
    ),
    Capability.WRITE_ONCE: (
        "write once",
        "the store does not reject a second upload: assets that are written once are refused",
    ),
}


def test_everything_passes_when_everything_is_enforced() -> None:
    """One result for each capability."""
    results = describe_capabilities(frozenset(Capability))
    assert {result.severity for result in results} == {Severity.OK}
    assert len(results) == len(Capability)


@pytest.mark.parametrize("missing", Capability)
def test_a_missing_capability_is_a_warning_that_names_what_is_refused(missing: Capability) -> None:
    """The programs work without it, so that the exit code is 0."""
    results = describe_capabilities(frozenset(Capability) - {missing})
    warnings = [result for result in results if result.severity is not Severity.OK]
    assert [(result.severity, result.check, result.message) for result in warnings] == [
        (Severity.WARNING, *WARNINGS[missing])
    ]
    assert warnings[0].remediation


async def test_deletes_pass_on_a_store_that_honours_the_condition() -> None:
    """The check fails with the store's own reason otherwise."""
    check = "DeleteObject with If-Match (s3:DeleteObject)"
    assert await check_deletes(InMemoryS3()) == CheckResult(check, Severity.OK, "honoured")
    denied = await check_deletes(InMemoryS3(fails_with=StoreAccessDeniedError("denied")))
    assert (denied.severity, denied.check, denied.message) == (Severity.ACCESS_DENIED, check, "denied")


@pytest.mark.parametrize(
    ("error", "severity"),
    [
        (StoreAccessDeniedError("denied"), Severity.WARNING),
        (StoreUnsupportedError("no such operation"), Severity.WARNING),
        (StoreUnavailableError("no response"), Severity.UNAVAILABLE),
    ],
)
async def test_a_service_that_cannot_take_parts_is_a_warning(error: StoreError, severity: Severity) -> None:
    """It serves everything else. An outage is no property of the store."""
    s3 = InMemoryS3(fails_with=error)
    result = await check_multipart(Bucket("assets", s3, s3, InMemoryReports(), s3, s3))
    assert (result.severity, result.check) == (severity, "uploads in parts")
    assert str(error) in result.message
    assert result.remediation


@pytest.mark.parametrize(
    ("error", "severity"),
    [
        (None, Severity.OK),
        (StoreAccessDeniedError("denied"), Severity.ACCESS_DENIED),
        (StoreUnsupportedError("no such operation"), Severity.SKIPPED),
    ],
)
async def test_the_reconciler_must_be_allowed_to_abort_uploads(error: StoreError | None, severity: Severity) -> None:
    """Otherwise parts are paid for that nobody completes. A store without multipart uploads has none."""
    s3 = InMemoryS3(fails_with=error)
    assert (await check_aborts(s3)).severity is severity
    assert s3.uploads == {}
