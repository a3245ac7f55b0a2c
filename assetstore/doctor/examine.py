"""The examination: every check in order, each on the doctor's own objects, which it takes away again."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from assetstore.doctor import client, judgements
from assetstore.doctor.findings import Finding, Level, failed, good, skipped, tried
from assetstore.doctor.programs import Program
from assetstore.doctor.settings import Setting, Settings
from assetstore.door import Bucket, Head
from assetstore.errors import PreconditionFailedError, StoreError, StoreUnfitError
from assetstore.probe import PROBE_KEY, PROBE_SAID, PROBE_TARGET_KEY, condition_trials, probe_copy_source, write_probe
from assetstore.protocol import TEMP_PREFIX, UPLOADED_PREFIX, Rules
from assetstore.reports import CONTENT_TYPE, REPORT_BYTES, REPORTS_PREFIX

REPORT_PROBE_KEY: Final = REPORTS_PREFIX + "_probe"
ABSENT_KEY: Final = UPLOADED_PREFIX + "_no-such-object"
SKEW_SECONDS: Final = 5.0
"""More than S3's whole seconds and a slow answer explain."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined."""

    bucket: Bucket
    settings: Settings
    rules: Rules
    region: str
    programs: frozenset[Program]
    origin: str | None
    """A browser's, if uploads come from one."""
    now: Callable[[], datetime]


async def examine(patient: Patient) -> AsyncGenerator[Finding]:
    """Every finding, as it is found. When the bucket itself is not there, that is the last one."""
    yield await _check_credentials(patient)
    found = await _check_bucket(patient)
    yield found
    if found.level.is_bad:
        return
    yield await _check_region(patient)
    yield await _check_clock(patient)
    try:
        async for finding in _checks_of_writes(patient):
            yield finding
        for check in (client.check_download_url, client.check_anonymous, client.check_tls):
            yield await _guarded(check.__name__.removeprefix("check_"), check(patient.bucket))
    finally:
        left = await _clean_up(patient)
    async for finding in _checks_of_settings(patient):
        yield finding
    yield left


async def _check_credentials(patient: Patient) -> Finding:
    if not patient.settings.is_amazon:
        return skipped("credentials", "this store is not Amazon's, so STS cannot say who they are")
    try:
        return good("credentials", await patient.settings.who())
    except StoreError as error:
        return failed("credentials", error, "Check the access key, or the role of the pod (IRSA, Pod Identity).")


async def _check_bucket(patient: Patient) -> Finding:
    name = patient.bucket.name
    to_do = (
        f"Create {name}, or correct AWS_BUCKET and AWS_REGION; allow s3:ListBucket on it; check AWS_ENDPOINT_URL_S3."
    )
    return await tried("bucket", patient.settings.read(Setting.BUCKET), f"{name} answers", to_do)


async def _check_region(patient: Patient) -> Finding:
    answer = await patient.settings.read(Setting.BUCKET) or {}
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region")
    if region is None:
        return skipped("region", "this store does not tell")
    if region == patient.region:
        return good("region", region)
    to_do = f"Set AWS_REGION to {region}: URLs signed for another region are refused."
    return Finding("region", Level.MISCONFIGURED, f"the bucket is in {region}, not in {patient.region}", to_do)


async def _check_clock(patient: Patient) -> Finding:
    try:
        page = await patient.bucket.door.list_page(REPORTS_PREFIX, REPORTS_PREFIX)
    except StoreError as error:
        return failed("clock", error, "Allow s3:ListBucket on the bucket.")
    off = abs((patient.now() - page.listed_at).total_seconds())
    if off <= SKEW_SECONDS:
        return good("clock", "agrees with S3's")
    to_do = "Synchronize this machine's clock (NTP): URLs end early or late by as much, and S3 refuses 15 minutes."
    return Finding("clock", Level.WARNING, f"{off:.0f} s off S3's", to_do)


async def _checks_of_writes(patient: Patient) -> AsyncIterator[Finding]:
    door = patient.bucket.door
    check = "write uploaded/ (s3:PutObject, s3:PutObjectTagging)"
    try:
        probe = await write_probe(door)
    except StoreError as error:
        yield failed(check, error, "Allow service and reconciler s3:PutObject and s3:PutObjectTagging on uploaded/*.")
        return
    yield good(check, "allowed")
    yield await tried(
        "missing objects (s3:ListBucket)",
        door.head(ABSENT_KEY),
        "told from forbidden ones",
        "Allow s3:ListBucket on the bucket: without it S3 answers 403 for an object that does not exist.",
    )
    for trial in condition_trials(door, probe):
        to_do = "Use a store that honours conditions (SeaweedFS 4.18 or later, Amazon S3): on this one assets are lost."
        yield await tried(trial.condition, trial.run(), "honoured", to_do)
    yield await tried(
        "unsigned copy source",
        probe_copy_source(patient.bucket.inner_signer, patient.bucket.name),
        "refused on an upload URL",
        "Use a store that refuses an x-amz-copy-source that is not signed: on this one upload URLs read any object.",
    )
    yield await _guarded("upload URL", client.check_upload_url(patient.bucket))
    yield await _guarded("CORS", client.check_cors(patient.bucket, patient.origin))
    async for finding in _checks_of_permissions(patient, probe):
        yield finding


async def _checks_of_permissions(patient: Patient, probe: Head) -> AsyncIterator[Finding]:
    door, reports = patient.bucket.door, patient.bucket.reports
    yield await tried(
        "read temp/ (s3:GetObject)",
        door.head(PROBE_TARGET_KEY),
        "allowed",
        "Allow both programs s3:GetObject on temp/*.",
    )
    if Program.SERVICE in patient.programs:
        yield await tried(
            "read reports/ (s3:GetObject)",
            reports.get(REPORT_PROBE_KEY, REPORT_BYTES),
            "allowed",
            "Allow the service s3:GetObject on reports/*: without it the reconciler has no metrics.",
        )
    if Program.RECONCILER not in patient.programs:
        return
    yield await tried(
        "list temp/ (s3:ListBucket)", door.list_page(TEMP_PREFIX, TEMP_PREFIX), "allowed", "Allow s3:ListBucket."
    )
    yield await tried(
        "copy temp/ to uploaded/", _copy(patient, probe), "allowed", "Allow the reconciler s3:GetObject on temp/*."
    )
    yield await tried(
        "write reports/ (s3:PutObject)",
        reports.put(REPORT_PROBE_KEY, b"{}", CONTENT_TYPE),
        "allowed",
        "Allow the reconciler s3:PutObject on reports/*: without it there are no metrics of it.",
    )
    yield await tried(
        "delete in temp/ (s3:DeleteObject)",
        _delete(patient, PROBE_TARGET_KEY),
        "allowed",
        "Allow the reconciler s3:DeleteObject on temp/*: without it final uploads are paid for twice, for ever.",
    )


async def _copy(patient: Patient, probe: Head) -> None:
    door = patient.bucket.door
    source = await door.head(PROBE_TARGET_KEY)
    if source is None:
        raise StoreUnfitError("nothing to copy: the upload URL above did not work")
    with suppress(PreconditionFailedError):  # a program that starts now probes too
        await door.copy_if(PROBE_TARGET_KEY, source.etag, PROBE_KEY, probe.etag, PROBE_SAID)


async def _delete(patient: Patient, key: str) -> None:
    refused = await patient.bucket.door.delete_many([key])
    for reason in refused.values():
        raise StoreUnfitError(f"S3 refuses: {reason}")


async def _guarded(check: str, attempt: Awaitable[Finding]) -> Finding:
    try:
        return await attempt
    except StoreError as error:
        return failed(check, error, "Check the credentials.")


async def _checks_of_settings(patient: Patient) -> AsyncIterator[Finding]:
    rules: Sequence[Mapping[str, Any]] = []
    placeholder_seconds = patient.rules.upload_url_seconds + patient.rules.unmarked_seconds

    def judge_lifecycle(answer: Mapping[str, Any] | None) -> Finding:
        nonlocal rules
        rules = (answer or {}).get("Rules", [])
        return judgements.judge_lifecycle(rules, placeholder_seconds)

    checks: list[tuple[str, Setting, Callable[[Mapping[str, Any] | None], Finding]]] = [
        ("lifecycle", Setting.LIFECYCLE, judge_lifecycle),
        ("versioning", Setting.VERSIONING, lambda answer: judgements.judge_versioning(answer or {}, rules)),
        ("object lock", Setting.OBJECT_LOCK, judgements.judge_object_lock),
    ]
    if patient.settings.is_amazon:
        checks += [
            ("public access", Setting.PUBLIC_ACCESS, judgements.judge_public_access),
            ("bucket policy", Setting.POLICY, judgements.judge_policy),
        ]
    for check, setting, judge in checks:
        try:
            yield judge(await patient.settings.read(setting))
        except StoreError as error:
            yield skipped(check, f"{error}; {setting} reads it, which no program needs: run doctor as yourself")


async def _clean_up(patient: Patient) -> Finding:
    try:
        refused = await patient.bucket.door.delete_many([PROBE_TARGET_KEY, REPORT_PROBE_KEY])
    except StoreError as error:
        return skipped("clean-up", f"{PROBE_TARGET_KEY} stays, which is harmless: {error}")
    kept = [PROBE_KEY, *refused]
    return good("clean-up", f"nothing is left but {', '.join(kept)}")
