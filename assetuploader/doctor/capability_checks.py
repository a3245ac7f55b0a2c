"""Checks of what only some assets need: declarations, uploads in parts, deletions."""

from collections.abc import Mapping
from typing import Final

from assetuploader.capabilities import Capability, find_capabilities
from assetuploader.conformance import CHECK_ATTRIBUTES, check_conditional_delete
from assetuploader.doctor.results import CheckResult, Severity, attempt, failed, passed, skipped
from assetuploader.errors import StoreError, StoreUnsupportedError
from assetuploader.multipart_check import CHECK_MULTIPART_KEY, find_multipart_problem
from assetuploader.store import Bucket, MultipartStore, ObjectStore

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


async def check_multipart(bucket: Bucket) -> CheckResult:
    """Check whether the service can take uploads in parts. If not, that is a warning: it serves everything else."""
    check = "uploads in parts"
    try:
        problem = await find_multipart_problem(bucket)
    except StoreError as error:
        return failed(check, error, "Check the endpoint, and try again.")
    if problem is None:
        return passed(check, "safe on this store")
    return CheckResult(
        check,
        Severity.WARNING,
        f"{problem}: assets that need parts are refused",
        "If it was denied, apply service.json and bucket.json of docs/iam. Otherwise use a store that passes (Amazon "
        "S3, SeaweedFS) if clients upload files of more than 5 GiB, or want to resume uploads.",
    )


async def check_aborts(multipart: MultipartStore) -> CheckResult:
    """Check whether the reconciler may find and abort uploads in parts, on one of its own."""
    check = "abort uploads in parts (s3:AbortMultipartUpload, s3:ListBucketMultipartUploads)"
    try:
        await _abort_and_list(multipart)
    except StoreUnsupportedError as error:
        return skipped(check, f"this store takes no uploads in parts: {error}")
    except StoreError as error:
        remediation = (
            "Apply reconciler.json and bucket.json of docs/iam: without the permissions, the parts of uploads that "
            "nobody completes are kept and paid for."
        )
        return failed(check, error, remediation)
    return passed(check, "allowed")


async def _abort_and_list(multipart: MultipartStore) -> None:
    upload_id = await multipart.create_multipart_upload(CHECK_MULTIPART_KEY, CHECK_ATTRIBUTES)
    await multipart.abort_multipart_upload(CHECK_MULTIPART_KEY, upload_id)
    await multipart.list_multipart_uploads(CHECK_MULTIPART_KEY)


async def check_deletes(store: ObjectStore) -> CheckResult:
    """Check what the deletion of a final asset needs."""
    return await attempt(
        "DeleteObject with If-Match (s3:DeleteObject)",
        check_conditional_delete(store),
        "honoured",
        "Allow the service s3:DeleteObject on uploaded/*, and use a store that honours its condition (Amazon S3, "
        "SeaweedFS). Or turn deletes off.",
    )
