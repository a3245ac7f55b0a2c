"""Checks of bucket settings that lose assets, leak them, or cost money for nothing. Nothing here does I/O."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from assetuploader.doctor.results import CheckResult, Severity, passed, skipped
from assetuploader.keys import TEMP_PREFIX, UPLOADED_PREFIX

ARCHIVE_CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes that no download URL can read."""
DISPOSABLE_STATUSES: Final = frozenset({"pending", "expired"})
"""Values of the tag `status` whose objects a lifecycle rule may delete."""
LIFECYCLE_REMEDIATION: Final = (
    "Let rules expire only objects with the tag status=pending or status=expired, and abort uploads in parts only "
    "after ASSETUPLOADER_MULTIPART_TTL_SECONDS: see docs/iam."
)

_DAY_SECONDS: Final = 86_400


def check_lifecycle(
    rules: Sequence[Mapping[str, Any]], placeholder_seconds: int, multipart_seconds: int
) -> CheckResult:
    """Check whether a lifecycle rule deletes or archives what clients were promised.

    `placeholder_seconds` is how long a client may still mark a pending asset, `multipart_seconds` how long it may send
    parts.
    """
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    problems = [
        f"rule {rule.get('ID', '?')!r} {problem}"
        for rule in enabled
        for problem in _lifecycle_problems(rule, placeholder_seconds, multipart_seconds)
    ]
    if problems:
        return CheckResult("lifecycle", Severity.FAILED, "; ".join(problems), LIFECYCLE_REMEDIATION)
    message = f"{len(rules)} rules, none of which harms assets" if rules else "no rules"
    if not any("AbortIncompleteMultipartUpload" in rule and _covers_assets(rule) for rule in enabled):
        message += "; none aborts uploads in parts that the reconciler misses, as that of docs/iam does"
    return passed("lifecycle", message)


def _covers_assets(rule: Mapping[str, Any]) -> bool:
    prefix, _ = _parse_filter(rule)
    return UPLOADED_PREFIX.startswith(prefix)


def _lifecycle_problems(rule: Mapping[str, Any], placeholder_seconds: int, multipart_seconds: int) -> list[str]:
    prefix, tags = _parse_filter(rule)
    problems = []
    expiration = rule.get("Expiration", {})
    expires = "Days" in expiration or "Date" in expiration
    archive_classes = [
        step["StorageClass"] for step in rule.get("Transitions", []) if step.get("StorageClass") in ARCHIVE_CLASSES
    ]
    if expires and not tags and _overlaps(prefix, TEMP_PREFIX):
        problems.append("deletes marked uploads in temp/ when the reconciler is down for a long time")
    if _overlaps(prefix, UPLOADED_PREFIX):
        if expires and tags.get("status") not in DISPOSABLE_STATUSES:
            problems.append("deletes final assets in uploaded/")
        elif expires and tags["status"] == "pending" and expiration.get("Days", 0) * _DAY_SECONDS < placeholder_seconds:
            problems.append("deletes placeholders that a client may still mark")
        abort = rule.get("AbortIncompleteMultipartUpload")
        if abort is not None and abort.get("DaysAfterInitiation", 0) * _DAY_SECONDS < multipart_seconds:
            problems.append("aborts uploads in parts that a client may still complete")
        if archive_classes:
            problems.append(f"moves assets to {archive_classes[0]}, which no download URL can read")
    return problems


def _parse_filter(rule: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    rule_filter = rule.get("Filter", {})
    conditions = rule_filter.get("And", rule_filter)
    tags = conditions.get("Tags", [rule_filter["Tag"]] if "Tag" in rule_filter else [])
    return conditions.get("Prefix", rule.get("Prefix", "")), {tag["Key"]: tag["Value"] for tag in tags}


def _overlaps(prefix: str, other: str) -> bool:
    return other.startswith(prefix) or prefix.startswith(other)


def check_versioning(versioning: Mapping[str, Any], rules: Sequence[Mapping[str, Any]] | None) -> CheckResult:
    """Check whether old versions accumulate: each asset leaves two placeholders and an upload behind.

    `rules` is None when the lifecycle rules could not be read.
    """
    status = versioning.get("Status", "off")
    if rules is None and status != "off":
        reason = f"{status.lower()}; it is not known whether old versions expire, because the lifecycle cannot be read"
        return skipped("versioning", reason)
    rules = rules or []
    expires = any(rule.get("Status") == "Enabled" and "NoncurrentVersionExpiration" in rule for rule in rules)
    if status == "off" or expires:
        return passed("versioning", status.lower() + (", and old versions expire" if expires else ""))
    return CheckResult(
        "versioning",
        Severity.WARNING,
        f"{status.lower()}: the placeholders and the upload of each asset are kept as old versions",
        "Add a lifecycle rule with NoncurrentVersionExpiration: see docs/iam.",
    )


def check_object_lock(object_lock: Mapping[str, Any] | None) -> CheckResult:
    """Check for a default retention: S3 would then reject plain uploads, and `temp/` could not be swept."""
    configuration = (object_lock or {}).get("ObjectLockConfiguration", {})
    if "Rule" in configuration:
        return CheckResult(
            "object lock",
            Severity.FAILED,
            "a default retention: S3 rejects uploads without a checksum, and nothing in temp/ can be deleted",
            "Remove the default retention. Assets are immutable without it.",
        )
    return passed("object lock", "on, without a default retention" if configuration else "off")


def check_public_access(public_access: Mapping[str, Any] | None) -> CheckResult:
    """Check whether Amazon's public access block is complete."""
    block = (public_access or {}).get("PublicAccessBlockConfiguration", {})
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    off = [name for name in names if not block.get(name)]
    if not off:
        return passed("public access", "all four blocks are on")
    return CheckResult(
        "public access",
        Severity.WARNING,
        f"not blocked by {', '.join(off)}",
        "Turn on all four blocks. Presigned URLs need no public access.",
    )


def check_policy(policy: Mapping[str, Any] | None) -> CheckResult:
    """Check whether the bucket policy denies plain HTTP, and writes to `uploaded/` without a condition."""
    statements = json.loads(policy["Policy"])["Statement"] if policy else []
    if isinstance(statements, dict):  # IAM accepts a single statement without a list
        statements = [statements]
    denials = [json.dumps(statement) for statement in statements if statement.get("Effect") == "Deny"]
    required = {"aws:SecureTransport": "plain HTTP", "s3:if-match": "writes to uploaded/ without a condition"}
    missing = [what for key, what in required.items() if not any(key in denial for denial in denials)]
    if not missing:
        return passed("bucket policy", "denies plain HTTP and writes without a condition")
    return CheckResult(
        "bucket policy",
        Severity.WARNING,
        f"does not deny {' or '.join(missing)}",
        "Add the bucket policy of docs/iam. It protects assets even if a program or a role is wrong.",
    )
