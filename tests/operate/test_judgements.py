"""Bucket settings that would lose, leak or cost, told from those that would not."""

import json
from typing import Any

import pytest

from assetstore.doctor.findings import Level
from assetstore.doctor.judgements import (
    judge_lifecycle,
    judge_object_lock,
    judge_policy,
    judge_public_access,
    judge_versioning,
)

DAY = 86_400


def rule(**members: Any) -> dict[str, Any]:  # noqa: ANN401 -- as boto3 answers it
    """An enabled rule."""
    return {"ID": "r", "Status": "Enabled", **members}


def status(value: str, prefix: str = "uploaded/", **more: int) -> dict[str, Any]:
    """A filter by the tag that placeholders have."""
    return {"And": {"Prefix": prefix, "Tags": [{"Key": "status", "Value": value}], **more}}


DAYS_8 = {"Days": 8}


@pytest.mark.parametrize(
    ("rules", "level"),
    [
        ([], Level.GOOD),
        ([rule(Filter={"Prefix": "temp/"}, Expiration=DAYS_8)], Level.BROKEN),
        ([rule(Filter={"Prefix": "temp/"}, Expiration=DAYS_8) | {"Status": "Disabled"}], Level.GOOD),
        ([rule(Filter={"Prefix": ""}, Expiration=DAYS_8)], Level.BROKEN),
        ([rule(Filter={}, Expiration={"Date": "2030-01-01"})], Level.BROKEN),
        ([rule(Prefix="te", Expiration=DAYS_8)], Level.BROKEN),
        ([rule(Prefix="uploaded/00", Expiration=DAYS_8)], Level.BROKEN),
        ([rule(Filter={"Prefix": "logs/"}, Expiration=DAYS_8)], Level.GOOD),
        ([rule(Filter=status("pending"), Expiration=DAYS_8)], Level.GOOD),
        ([rule(Filter=status("pending", ObjectSizeLessThan=1024), Expiration=DAYS_8)], Level.GOOD),
        ([rule(Filter=status("pending"), Expiration={"Days": 1})], Level.BROKEN),
        ([rule(Filter=status("expired"), Expiration={"Days": 1})], Level.GOOD),
        ([rule(Filter={"Tag": {"Key": "status", "Value": "expired"}}, Expiration={"Days": 1})], Level.GOOD),
        ([rule(Filter=status("marked"), Expiration=DAYS_8)], Level.BROKEN),
        ([rule(Filter=status("uploaded"), Expiration=DAYS_8)], Level.BROKEN),
        ([rule(Filter={"Prefix": ""}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})], Level.GOOD),
        ([rule(Filter={"Prefix": ""}, NoncurrentVersionExpiration={"NoncurrentDays": 1})], Level.GOOD),
        ([rule(Filter={"Prefix": ""}, Expiration={"ExpiredObjectDeleteMarker": True})], Level.GOOD),
        ([rule(Filter={"Prefix": ""}, Transitions=[{"StorageClass": "GLACIER"}])], Level.BROKEN),
        ([rule(Filter={"Prefix": ""}, Transitions=[{"StorageClass": "INTELLIGENT_TIERING"}])], Level.GOOD),
    ],
)
def test_a_lifecycle_rule_may_take_only_what_nobody_was_promised(rules: list[dict[str, Any]], level: Level) -> None:
    """What deletes uploads, marked or final assets, or early placeholders is found, whatever its filter's spelling."""
    assert judge_lifecycle(rules, placeholder_seconds=2 * DAY).level is level


def test_old_versions_must_end() -> None:
    """Versioning without a rule that ends old versions is told as a cost, and with one it is fine."""
    ends = [rule(NoncurrentVersionExpiration={"NoncurrentDays": 1})]
    assert judge_versioning({}, []).level is Level.GOOD
    assert judge_versioning({"Status": "Enabled"}, []).level is Level.WARNING
    assert judge_versioning({"Status": "Enabled"}, ends).level is Level.GOOD


def test_a_default_retention_breaks_uploads() -> None:
    """Object lock alone is fine; with a default retention S3 refuses plain uploads."""
    on = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    retention = {"ObjectLockConfiguration": {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}}
    assert [judge_object_lock(answer).level for answer in (None, on, retention)] == [
        Level.GOOD,
        Level.GOOD,
        Level.BROKEN,
    ]


def test_every_public_access_block_must_be_on() -> None:
    """One that is off, or none at all, is told by its name."""
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    block = dict.fromkeys(names, True)
    assert judge_public_access({"PublicAccessBlockConfiguration": block}).level is Level.GOOD
    off = judge_public_access({"PublicAccessBlockConfiguration": block | {"BlockPublicPolicy": False}})
    assert (off.level, "BlockPublicPolicy" in off.says) == (Level.WARNING, True)
    assert judge_public_access(None).level is Level.WARNING


def test_the_bucket_policy_must_refuse_what_no_program_sends() -> None:
    """Plain HTTP and unconditional writes: a policy that refuses only one of them is told which it lacks."""
    tls = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    condition = {"Effect": "Deny", "Condition": {"Null": {"s3:if-match": "true"}}}

    def judged(*statements: dict[str, Any]) -> tuple[Level, str]:
        finding = judge_policy({"Policy": json.dumps({"Statement": statements})})
        return finding.level, finding.says

    assert judged(tls, condition)[0] is Level.GOOD
    assert judged(tls) == (Level.WARNING, "does not refuse writes to uploaded/ without a condition")
    assert judged(condition) == (Level.WARNING, "does not refuse plain HTTP")
    assert judge_policy(None).level is Level.WARNING
