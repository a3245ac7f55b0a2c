"""The doctor's checks, in order. They write only objects of their own, and delete them afterwards."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from assetuploader.conformance import (
    CHECK_ATTRIBUTES,
    CHECK_DELETE_KEY,
    CHECK_KEY,
    check_unsigned_copy_source,
    conditional_write_checks,
    prepare_check_object,
)
from assetuploader.doctor import capability_checks, settings_checks, url_checks
from assetuploader.doctor.bucket_configuration import BucketConfiguration, ConfigurationItem
from assetuploader.doctor.results import CheckResult, Severity, attempt, failed, passed, skipped
from assetuploader.errors import StoreError, StoreUnsupportedError
from assetuploader.keys import CHECK_UPLOAD_KEY, TEMP_PREFIX, UPLOADED_PREFIX
from assetuploader.multipart_check import CHECK_MULTIPART_KEY
from assetuploader.shard_reports import MAX_REPORT_BYTES, REPORT_HEADERS, REPORTS_PREFIX
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import Bucket, ObjectAttributes, ObjectInfo, Presigner

REPORT_CHECK_KEY: Final = REPORTS_PREFIX + "_probe"
ABSENT_KEY: Final = UPLOADED_PREFIX + "_no-such-object"
SKEW_SECONDS: Final = 5.0
"""A larger difference has other causes than S3's whole seconds and a slow response."""


class Program(StrEnum):
    """A program whose permissions are checked."""

    SERVICE = "service"
    RECONCILER = "reconciler"


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The bucket to check, and what the checks need to know."""

    bucket: Bucket
    configuration: BucketConfiguration
    policy: LifecyclePolicy
    region: str
    programs: frozenset[Program]
    origin: str | None
    """The origin of browser uploads, if there are any."""
    now: Callable[[], datetime]
    deletes: bool = False
    """Whether clients may delete final assets."""


async def run_checks(context: CheckContext) -> AsyncGenerator[CheckResult]:
    """Yield every result when it is known. If the bucket cannot be reached, that is the last one."""
    yield await _check_credentials(context)
    bucket = await _check_bucket(context)
    yield bucket
    if bucket.severity.is_failure:
        return
    yield await _run_guarded("region", _check_region(context))
    yield await _check_clock(context)
    public_endpoint, presigner = await url_checks.check_public_endpoint(context.bucket)
    yield public_endpoint
    try:
        async for result in _write_checks(context, presigner):
            yield result
        yield await _run_guarded("download URL", url_checks.check_download_url(context.bucket, presigner))
        yield await _run_guarded("anonymous access", url_checks.check_anonymous(context.bucket, presigner))
        yield await _run_guarded("TLS", url_checks.check_tls(context.bucket))
    finally:
        clean_up = await _clean_up(context)
    async for result in _settings_checks(context):
        yield result
    yield clean_up


async def _check_credentials(context: CheckContext) -> CheckResult:
    if not context.configuration.is_amazon:
        return skipped("credentials", "this store is not Amazon's, so STS cannot identify them")
    try:
        return passed("credentials", await context.configuration.caller_identity())
    except StoreError as error:
        return failed("credentials", error, "Check the access key, or the role of the pod (IRSA, Pod Identity).")


async def _check_bucket(context: CheckContext) -> CheckResult:
    name = context.bucket.name
    remediation = (
        f"Create {name}, or correct AWS_BUCKET and AWS_REGION; allow s3:ListBucket on it; check AWS_ENDPOINT_URL_S3."
    )
    return await attempt(
        "bucket", context.configuration.read(ConfigurationItem.BUCKET), f"{name} can be reached", remediation
    )


async def _check_region(context: CheckContext) -> CheckResult:
    response = await context.configuration.read(ConfigurationItem.BUCKET) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region")
    if region is None:
        return skipped("region", "this store does not name its region")
    if region == context.region:
        return passed("region", region)
    remediation = f"Set AWS_REGION to {region}: S3 rejects URLs that are signed for another region."
    message = f"the bucket is in {region}, not in {context.region}"
    return CheckResult("region", Severity.MISCONFIGURED, message, remediation)


async def _check_clock(context: CheckContext) -> CheckResult:
    try:
        page = await context.bucket.store.list_objects(REPORTS_PREFIX, REPORTS_PREFIX)
    except StoreError as error:
        return failed("clock", error, "Allow s3:ListBucket on the bucket.")
    skew = abs((context.now() - page.server_time).total_seconds())
    if skew <= SKEW_SECONDS:
        return passed("clock", "agrees with S3's clock")
    remediation = (
        "Synchronize the clock of this machine (NTP): URLs expire early or late by this much, and S3 rejects requests "
        "that are 15 minutes off."
    )
    return CheckResult("clock", Severity.WARNING, f"differs from S3's clock by {skew:.0f} s", remediation)


async def _write_checks(context: CheckContext, presigner: Presigner) -> AsyncIterator[CheckResult]:
    store = context.bucket.store
    check = "write uploaded/ (s3:PutObject, s3:PutObjectTagging)"
    try:
        check_object = await prepare_check_object(store)
    except StoreError as error:
        yield failed(check, error, "Allow service and reconciler s3:PutObject and s3:PutObjectTagging on uploaded/*.")
        return
    yield passed(check, "allowed")
    yield await attempt(
        "missing objects (s3:ListBucket)",
        store.head_object(ABSENT_KEY),
        "distinguished from forbidden ones",
        "Allow s3:ListBucket on the bucket: without it S3 responds 403 for an object that does not exist.",
    )
    for condition in conditional_write_checks(store, check_object):
        remediation = "Use a store that honours conditions (SeaweedFS 4.18 or later, Amazon S3): this one loses assets."
        yield await attempt(condition.name, condition.run(), "honoured", remediation)
    yield await attempt(
        "unsigned copy source",
        check_unsigned_copy_source(context.bucket),
        "rejected on an upload URL",
        "Use a store that rejects an unsigned x-amz-copy-source: on this one an upload URL can read any object.",
    )
    if Program.SERVICE in context.programs:
        for result in await capability_checks.check_capabilities(context.bucket):
            yield result
        yield await capability_checks.check_multipart(context.bucket)
    yield await _run_guarded("upload URL", url_checks.check_upload_url(context.bucket, presigner))
    yield await _run_guarded("CORS", url_checks.check_cors(context.bucket, presigner, context.origin))
    async for result in _permission_checks(context, check_object):
        yield result


async def _permission_checks(context: CheckContext, check_object: ObjectInfo) -> AsyncIterator[CheckResult]:
    store, reports = context.bucket.store, context.bucket.reports
    yield await attempt(
        "read temp/ (s3:GetObject)",
        store.head_object(CHECK_UPLOAD_KEY),
        "allowed",
        "Allow both programs s3:GetObject on temp/*.",
    )
    if Program.SERVICE in context.programs:
        yield await attempt(
            "read reports/ (s3:GetObject)",
            reports.get_object(REPORT_CHECK_KEY, MAX_REPORT_BYTES),
            "allowed",
            "Allow the service s3:GetObject on reports/*: without it the reconciler has no metrics.",
        )
    if Program.SERVICE in context.programs and context.deletes:
        yield await capability_checks.check_deletes(store)
    if Program.RECONCILER not in context.programs:
        return
    yield await attempt(
        "list temp/ (s3:ListBucket)", store.list_objects(TEMP_PREFIX, TEMP_PREFIX), "allowed", "Allow s3:ListBucket."
    )
    yield await _run_guarded("copy temp/ to uploaded/", _check_copy(context, check_object))
    yield await attempt(
        "write reports/ (s3:PutObject)",
        reports.put_object(REPORT_CHECK_KEY, b"{}", ObjectAttributes(headers=REPORT_HEADERS)),
        "allowed",
        "Allow the reconciler s3:PutObject on reports/*: without it the reconciler has no metrics.",
    )
    yield await capability_checks.check_aborts(context.bucket.multipart)
    yield await attempt(
        "delete in temp/ (s3:DeleteObject)",
        _delete(context, CHECK_UPLOAD_KEY),
        "allowed",
        "Allow the reconciler s3:DeleteObject on temp/*: without it the uploads of final assets are kept and paid for.",
    )


async def _check_copy(context: CheckContext, check_object: ObjectInfo) -> CheckResult:
    check, store = "copy temp/ to uploaded/", context.bucket.store
    source = await store.head_object(CHECK_UPLOAD_KEY)
    if source is None:
        return skipped(check, "there is nothing to copy, because the upload URL above did not work")
    # A program that starts at this moment writes the same object: `attempt` lets a failed condition pass.
    copying = store.copy_object(
        CHECK_UPLOAD_KEY, CHECK_KEY, CHECK_ATTRIBUTES, source_if_match=source.etag, if_match=check_object.etag
    )
    return await attempt(check, copying, "allowed", "Allow the reconciler s3:GetObject on temp/*.")


async def _delete(context: CheckContext, key: str) -> None:
    failures = await context.bucket.store.delete_objects([key])
    if failures:
        raise StoreUnsupportedError(f"S3 did not delete {key}: {failures.get(key, 'unknown')}")


async def _run_guarded(check: str, result: Awaitable[CheckResult]) -> CheckResult:
    try:
        return await result
    except StoreError as error:
        return failed(check, error, "Check the credentials.")


async def _settings_checks(context: CheckContext) -> AsyncIterator[CheckResult]:
    rules: Sequence[Mapping[str, Any]] | None = None
    policy = context.policy
    longest_upload_seconds = max(policy.upload_url_ttl_seconds, policy.multipart_ttl_seconds)
    placeholder_seconds = longest_upload_seconds + policy.expire_after_seconds

    def check_lifecycle(lifecycle: Mapping[str, Any] | None) -> CheckResult:
        nonlocal rules
        rules = (lifecycle or {}).get("Rules", [])
        return settings_checks.check_lifecycle(rules, placeholder_seconds, policy.multipart_ttl_seconds)

    checks: list[tuple[str, ConfigurationItem, Callable[[Mapping[str, Any] | None], CheckResult]]] = [
        ("lifecycle", ConfigurationItem.LIFECYCLE, check_lifecycle),
        (
            "versioning",
            ConfigurationItem.VERSIONING,
            lambda versioning: settings_checks.check_versioning(versioning or {}, rules),
        ),
        ("object lock", ConfigurationItem.OBJECT_LOCK, settings_checks.check_object_lock),
    ]
    if context.configuration.is_amazon:
        checks += [
            ("public access", ConfigurationItem.PUBLIC_ACCESS, settings_checks.check_public_access),
            ("bucket policy", ConfigurationItem.POLICY, settings_checks.check_policy),
        ]
    for name, item, check in checks:
        try:
            yield check(await context.configuration.read(item))
        except StoreError as error:
            yield skipped(name, f"{error}; reading it takes {item}, which no program needs: run doctor as yourself")


async def _clean_up(context: CheckContext) -> CheckResult:
    try:
        failures = await context.bucket.store.delete_objects([CHECK_UPLOAD_KEY, REPORT_CHECK_KEY])
    except StoreError as error:
        keys = f"{CHECK_UPLOAD_KEY} and {REPORT_CHECK_KEY}"
        return skipped("clean-up", f"{keys} may be left behind, which is harmless: {error}")
    own = {
        CHECK_KEY: True,
        CHECK_MULTIPART_KEY: Program.SERVICE in context.programs,
        CHECK_DELETE_KEY: context.deletes,
    }
    kept = [*(key for key, is_written in own.items() if is_written), *failures]
    return passed("clean-up", f"nothing is left but {', '.join(kept)}")
