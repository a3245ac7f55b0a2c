"""Checks of what the store enforces for assets that declare something, and for deletions of assets."""

from collections.abc import Mapping
from typing import Final

from assetuploader.capabilities import Capability, find_capabilities
from assetuploader.conformance import check_conditional_delete
from assetuploader.doctor.results import CheckResult, Severity, attempt, failed, passed
from assetuploader.errors import StoreError
from assetuploader.store import Bucket, ObjectStore

_CHECKS: Final[Mapping[Capability, tuple[str, str, str]]] = {
    Capability.SIZE: ("declared size", "does not reject an upload of another size", "with a declared size"),
    Capability.CONTENT_TYPE: (
        "declared content type",
        "does not reject an upload of another content type",
        "with a declared content type",
    ),
    Capability.CHECKSUM: (
        "declared sha256",
        "does not reject an upload of other bytes, or does not return their checksum",
        "with a declared sha256",
    ),
    Capability.WRITE_ONCE: ("write once", "does not reject a second upload", "that are written once"),
}
"""The name of each check, what a store without the capability does, and which assets the service refuses then."""

_REMEDIATION: Final = (
    "Use a store that enforces the signed headers of upload URLs (Amazon S3, SeaweedFS) if clients declare this, "
    "otherwise do nothing."
)


async def check_capabilities(bucket: Bucket) -> list[CheckResult]:
    """Check what the store enforces on upload URLs with signed headers."""
    try:
        found = await find_capabilities(bucket)
    except StoreError as error:
        remediation = "Allow the service s3:PutObject and s3:GetObject on temp/*."
        return [failed(check, error, remediation) for check, _, _ in _CHECKS.values()]
    return describe_capabilities(found)


def describe_capabilities(found: frozenset[Capability]) -> list[CheckResult]:
    """Return a result for each capability. A missing one is a warning: only assets that declare it need it."""
    return [
        passed(check, "enforced on an upload URL")
        if capability in found
        else CheckResult(check, Severity.WARNING, f"the store {flaw}: assets {refused} are refused", _REMEDIATION)
        for capability, (check, flaw, refused) in _CHECKS.items()
    ]


async def check_deletes(store: ObjectStore) -> CheckResult:
    """Check what the deletion of a final asset needs."""
    return await attempt(
        "DeleteObject with If-Match (s3:DeleteObject)",
        check_conditional_delete(store),
        "honoured",
        "Allow the service s3:DeleteObject on uploaded/*, and use a store that honours its condition (Amazon S3, "
        "SeaweedFS). Or turn deletes off.",
    )
