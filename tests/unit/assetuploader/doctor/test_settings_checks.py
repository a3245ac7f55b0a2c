"""Bucket settings that lose assets, leak them or cost money are found; others are not reported."""

import json
from typing import Any

import pytest

from assetuploader.doctor.results import Severity
from assetuploader.doctor.settings_checks import (
    check_lifecycle,
    check_object_lock,
    check_policy,
    check_public_access,
    check_versioning,
)

DAY = 86_400


def rule(**members: Any) -> dict[str, Any]:  # noqa: ANN401 -- as boto3 returns it
    """An enabled rule."""
    return {"ID": "r", "Status": "Enabled", **members}


def status(value: str, prefix: str = "uploaded/", **more: int) -> dict[str, Any]:
    """A filter by the tag that placeholders have."""
    return {"And": {"Prefix": prefix, "Tags": [{"Key": "status", "Value": value}], **more}}


DAYS_8 = {"Days": 8}


@pytest.mark.parametrize(
    ("rules", "severity"),
    [
        ([], Severity.OK),
        ([rule(Filter={"Prefix": "temp/"}, Expiration=DAYS_8)], Severity.FAILED),
        ([rule(Filter={"Prefix": "temp/"}, Expiration=DAYS_8) | {"Status": "Disabled"}], Severity.OK),
        ([rule(Filter={"Prefix": ""}, Expiration=DAYS_8)], Severity.FAILED),
        ([rule(Filter={}, Expiration={"Date": "2030-01-01"})], Severity.FAILED),
        ([rule(Prefix="te", Expiration=DAYS_8)], Severity.FAILED),
        ([rule(Prefix="uploaded/00", Expiration=DAYS_8)], Severity.FAILED),
        ([rule(Filter={"Prefix": "logs/"}, Expiration=DAYS_8)], Severity.OK),
        ([rule(Filter=status("pending"), Expiration=DAYS_8)], Severity.OK),
        ([rule(Filter=status("pending", ObjectSizeLessThan=1024), Expiration=DAYS_8)], Severity.OK),
        ([rule(Filter=status("pending"), Expiration={"Days": 1})], Severity.FAILED),
        ([rule(Filter=status("expired"), Expiration={"Days": 1})], Severity.OK),
        ([rule(Filter={"Tag": {"Key": "status", "Value": "expired"}}, Expiration={"Days": 1})], Severity.OK),
        ([rule(Filter=status("marked"), Expiration=DAYS_8)], Severity.FAILED),
        ([rule(Filter=status("uploaded"), Expiration=DAYS_8)], Severity.FAILED),
        ([rule(Filter={"Prefix": ""}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})], Severity.OK),
        ([rule(Filter={"Prefix": ""}, NoncurrentVersionExpiration={"NoncurrentDays": 1})], Severity.OK),
        ([rule(Filter={"Prefix": ""}, Expiration={"ExpiredObjectDeleteMarker": True})], Severity.OK),
        ([rule(Filter={"Prefix": ""}, Transitions=[{"StorageClass": "GLACIER"}])], Severity.FAILED),
        ([rule(Filter={"Prefix": ""}, Transitions=[{"StorageClass": "INTELLIGENT_TIERING"}])], Severity.OK),
    ],
)
def test_a_lifecycle_rule_may_delete_only_unmarked_placeholders(
    rules: list[dict[str, Any]], severity: Severity
) -> None:
    """Rules that delete uploads, marked or final assets, or young placeholders are found in every form of filter."""
    assert check_lifecycle(rules, placeholder_seconds=2 * DAY).severity is severity


def test_old_versions_must_end() -> None:
    """Versioning without a rule that ends old versions is reported as a cost, and with one it is fine."""
    ends = [rule(NoncurrentVersionExpiration={"NoncurrentDays": 1})]
    assert check_versioning({}, []).severity is Severity.OK
    assert check_versioning({"Status": "Enabled"}, []).severity is Severity.WARNING
    assert check_versioning({"Status": "Enabled"}, ends).severity is Severity.OK
    assert check_versioning({"Status": "Enabled"}, None).severity is Severity.SKIPPED
    assert check_versioning({}, None).severity is Severity.OK


def test_a_default_retention_breaks_uploads() -> None:
    """Object lock alone is fine; with a default retention S3 refuses plain uploads."""
    on = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    retention = {"ObjectLockConfiguration": {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}}
    assert [check_object_lock(response).severity for response in (None, on, retention)] == [
        Severity.OK,
        Severity.OK,
        Severity.FAILED,
    ]


def test_every_public_access_block_must_be_on() -> None:
    """A block that is off is named; so is a missing configuration."""
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    block = dict.fromkeys(names, True)
    assert check_public_access({"PublicAccessBlockConfiguration": block}).severity is Severity.OK
    off = check_public_access({"PublicAccessBlockConfiguration": block | {"BlockPublicPolicy": False}})
    assert (off.severity, "BlockPublicPolicy" in off.message) == (Severity.WARNING, True)
    assert check_public_access(None).severity is Severity.WARNING


def test_the_bucket_policy_must_refuse_what_no_program_sends() -> None:
    """Plain HTTP and unconditional writes: a policy that denies only one of them is reported with the missing one."""
    tls = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    condition = {"Effect": "Deny", "Condition": {"Null": {"s3:if-match": "true"}}}

    def checked(*statements: dict[str, Any]) -> tuple[Severity, str]:
        result = check_policy({"Policy": json.dumps({"Statement": statements})})
        return result.severity, result.message

    assert checked(tls, condition)[0] is Severity.OK
    assert checked(tls) == (Severity.WARNING, "does not deny writes to uploaded/ without a condition")
    assert checked(condition) == (Severity.WARNING, "does not deny plain HTTP")
    assert check_policy(None).severity is Severity.WARNING


def test_a_policy_may_have_one_statement_without_a_list() -> None:
    """IAM accepts both forms."""
    both = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}, "Null": {"s3:if-match": "true"}}}
    assert check_policy({"Policy": json.dumps({"Statement": both})}).severity is Severity.OK
