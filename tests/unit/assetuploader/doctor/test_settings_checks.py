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


def build_rule(**members: Any) -> dict[str, Any]:  # noqa: ANN401 -- as boto3 returns it
    """Return an enabled lifecycle rule."""
    return {"ID": "r", "Status": "Enabled", **members}


def filter_by_status(value: str, prefix: str = "uploaded/", **sizes: int) -> dict[str, Any]:
    """Return a filter by the status tag of placeholders."""
    return {"And": {"Prefix": prefix, "Tags": [{"Key": "status", "Value": value}], **sizes}}


EIGHT_DAYS = {"Days": 8}


@pytest.mark.parametrize(
    ("rules", "severity"),
    [
        ([], Severity.OK),
        ([build_rule(Filter={"Prefix": "temp/"}, Expiration=EIGHT_DAYS)], Severity.FAILED),
        ([build_rule(Filter={"Prefix": "temp/"}, Expiration=EIGHT_DAYS) | {"Status": "Disabled"}], Severity.OK),
        ([build_rule(Filter={"Prefix": ""}, Expiration=EIGHT_DAYS)], Severity.FAILED),
        ([build_rule(Filter={}, Expiration={"Date": "2030-01-01"})], Severity.FAILED),
        ([build_rule(Prefix="te", Expiration=EIGHT_DAYS)], Severity.FAILED),
        ([build_rule(Prefix="uploaded/00", Expiration=EIGHT_DAYS)], Severity.FAILED),
        ([build_rule(Filter={"Prefix": "logs/"}, Expiration=EIGHT_DAYS)], Severity.OK),
        ([build_rule(Filter=filter_by_status("pending"), Expiration=EIGHT_DAYS)], Severity.OK),
        ([build_rule(Filter=filter_by_status("pending", ObjectSizeLessThan=1024), Expiration=EIGHT_DAYS)], Severity.OK),
        ([build_rule(Filter=filter_by_status("pending"), Expiration={"Days": 1})], Severity.FAILED),
        ([build_rule(Filter=filter_by_status("expired"), Expiration={"Days": 1})], Severity.OK),
        ([build_rule(Filter={"Tag": {"Key": "status", "Value": "expired"}}, Expiration={"Days": 1})], Severity.OK),
        ([build_rule(Filter=filter_by_status("marked"), Expiration=EIGHT_DAYS)], Severity.FAILED),
        ([build_rule(Filter=filter_by_status("uploaded"), Expiration=EIGHT_DAYS)], Severity.FAILED),
        ([build_rule(Filter={"Prefix": ""}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7})], Severity.OK),
        (
            [build_rule(Filter={"Prefix": ""}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 6})],
            Severity.FAILED,
        ),
        ([build_rule(Prefix="uploaded/0", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})], Severity.FAILED),
        ([build_rule(Prefix="logs/", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})], Severity.OK),
        ([build_rule(Filter={"Prefix": ""}, NoncurrentVersionExpiration={"NoncurrentDays": 1})], Severity.OK),
        ([build_rule(Filter={"Prefix": ""}, Expiration={"ExpiredObjectDeleteMarker": True})], Severity.OK),
        ([build_rule(Filter={"Prefix": ""}, Transitions=[{"StorageClass": "GLACIER"}])], Severity.FAILED),
        ([build_rule(Filter={"Prefix": ""}, Transitions=[{"StorageClass": "INTELLIGENT_TIERING"}])], Severity.OK),
    ],
)
def test_a_lifecycle_rule_may_delete_only_unmarked_placeholders(
    rules: list[dict[str, Any]], severity: Severity
) -> None:
    """Rules that delete uploads, assets or young placeholders, or abort uploads early, are found in every filter."""
    assert check_lifecycle(rules, placeholder_seconds=2 * DAY, multipart_seconds=7 * DAY).severity is severity


def test_a_missing_rule_that_aborts_uploads_in_parts_is_mentioned() -> None:
    """A rule counts that is enabled, and covers all of uploaded/."""

    def mentions(*rules: dict[str, Any]) -> bool:
        result = check_lifecycle(rules, placeholder_seconds=2 * DAY, multipart_seconds=7 * DAY)
        assert result.severity is Severity.OK
        return "none aborts uploads in parts" in result.message

    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 10}}
    assert [mentions(), mentions(build_rule(Prefix="uploaded/0", **abort))] == [True, True]
    assert mentions(build_rule(Prefix="", **abort) | {"Status": "Disabled"})
    assert not mentions(build_rule(Filter={"Prefix": "uploaded/"}, **abort))


def test_versioning_needs_a_rule_that_deletes_old_versions() -> None:
    """Versioning without such a rule is reported as a cost; with the rule it is fine."""
    rules = [build_rule(NoncurrentVersionExpiration={"NoncurrentDays": 1})]
    assert check_versioning({}, []).severity is Severity.OK
    assert check_versioning({"Status": "Enabled"}, []).severity is Severity.WARNING
    assert check_versioning({"Status": "Enabled"}, rules).severity is Severity.OK
    assert check_versioning({"Status": "Enabled"}, None).severity is Severity.SKIPPED
    assert check_versioning({}, None).severity is Severity.OK


def test_a_default_retention_breaks_uploads() -> None:
    """Object lock alone is fine; with a default retention S3 rejects plain uploads."""
    enabled = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    retention = {"ObjectLockConfiguration": {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}}
    assert [check_object_lock(response).severity for response in (None, enabled, retention)] == [
        Severity.OK,
        Severity.OK,
        Severity.FAILED,
    ]


def test_every_public_access_block_must_be_on() -> None:
    """A block that is off is named; so is a missing configuration."""
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    block = dict.fromkeys(names, True)
    assert check_public_access({"PublicAccessBlockConfiguration": block}).severity is Severity.OK
    result = check_public_access({"PublicAccessBlockConfiguration": block | {"BlockPublicPolicy": False}})
    assert result.severity is Severity.WARNING
    assert "BlockPublicPolicy" in result.message
    assert check_public_access(None).severity is Severity.WARNING


def test_the_bucket_policy_must_deny_what_no_program_sends() -> None:
    """A policy that does not deny both plain HTTP and unconditional writes is reported with the missing one."""
    tls = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    condition = {"Effect": "Deny", "Condition": {"Null": {"s3:if-match": "true"}}}

    def check(*statements: dict[str, Any]) -> tuple[Severity, str]:
        result = check_policy({"Policy": json.dumps({"Statement": statements})})
        return result.severity, result.message

    assert check(tls, condition)[0] is Severity.OK
    assert check(tls) == (Severity.WARNING, "does not deny writes to uploaded/ without a condition")
    assert check(condition) == (Severity.WARNING, "does not deny plain HTTP")
    assert check_policy(None).severity is Severity.WARNING


def test_a_policy_may_have_one_statement_without_a_list() -> None:
    """IAM accepts both forms."""
    both = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}, "Null": {"s3:if-match": "true"}}}
    assert check_policy({"Policy": json.dumps({"Statement": both})}).severity is Severity.OK
