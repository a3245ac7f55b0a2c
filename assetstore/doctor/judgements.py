"""Settings that would lose, leak or needlessly cost, judged from what S3 answers. Nothing here does I/O."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from assetstore.doctor.findings import Finding, Level, good
from assetstore.protocol import TEMP_PREFIX, UPLOADED_PREFIX

_DAY_SECONDS: Final = 86_400
_OUT_OF_REACH: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_GIVEN_UP: Final = frozenset({"pending", "expired"})

LIFECYCLE_TO_DO: Final = "Let rules expire only what has the tag status=pending or status=expired: see docs/iam."


def judge_lifecycle(rules: Sequence[Mapping[str, Any]], placeholder_seconds: int) -> Finding:
    """Whether a lifecycle rule would delete or bury what was promised to a client.

    `placeholder_seconds` is how long a pending placeholder may still come to something.
    """
    problems = [
        f"rule {rule.get('ID', '?')!r} {problem}"
        for rule in rules
        if rule.get("Status") == "Enabled"
        for problem in _problems(rule, placeholder_seconds)
    ]
    if problems:
        return Finding("lifecycle", Level.BROKEN, "; ".join(problems), LIFECYCLE_TO_DO)
    return good("lifecycle", f"{len(rules)} rules, none touches what is promised" if rules else "no rules")


def _problems(rule: Mapping[str, Any], placeholder_seconds: int) -> list[str]:
    prefix, tags = _filter(rule)
    problems = []
    expiration = rule.get("Expiration", {})
    expires = "Days" in expiration or "Date" in expiration
    buried = [move["StorageClass"] for move in rule.get("Transitions", []) if move.get("StorageClass") in _OUT_OF_REACH]
    if expires and not tags and _meets(prefix, TEMP_PREFIX):
        problems.append("deletes uploads in temp/ that a client was promised, when the reconciler is down for long")
    if _meets(prefix, UPLOADED_PREFIX):
        if expires and tags.get("status") not in _GIVEN_UP:
            problems.append("deletes final assets in uploaded/")
        elif expires and tags["status"] == "pending" and expiration.get("Days", 0) * _DAY_SECONDS < placeholder_seconds:
            problems.append("deletes placeholders that a client may still mark")
        if buried:
            problems.append(f"moves assets to {buried[0]}, from where no download URL reads them")
    return problems


def _filter(rule: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    found = rule.get("Filter", {})
    both = found.get("And", found)
    tags = both.get("Tags", [found["Tag"]] if "Tag" in found else [])
    return both.get("Prefix", rule.get("Prefix", "")), {tag["Key"]: tag["Value"] for tag in tags}


def _meets(prefix: str, area: str) -> bool:
    return area.startswith(prefix) or prefix.startswith(area)


def judge_versioning(answer: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether old versions pile up: each asset leaves two placeholders and an upload behind."""
    status = answer.get("Status", "off")
    ends = any(rule.get("Status") == "Enabled" and "NoncurrentVersionExpiration" in rule for rule in rules)
    if status == "off" or ends:
        return good("versioning", status.lower() + (", and old versions end" if ends else ""))
    return Finding(
        "versioning",
        Level.WARNING,
        f"{status.lower()}: each asset's placeholders and its upload stay for ever as old versions",
        "Add a lifecycle rule with NoncurrentVersionExpiration: see docs/iam.",
    )


def judge_object_lock(answer: Mapping[str, Any] | None) -> Finding:
    """Whether a default retention would make S3 refuse plain uploads, and keep `temp/` from being swept."""
    configuration = (answer or {}).get("ObjectLockConfiguration", {})
    if "Rule" in configuration:
        return Finding(
            "object lock",
            Level.BROKEN,
            "a default retention: S3 then refuses uploads without a checksum, and nothing in temp/ can be swept",
            "Take the default retention away; assets are immutable by the protocol.",
        )
    return good("object lock", "on, without a default retention" if configuration else "off")


def judge_public_access(answer: Mapping[str, Any] | None) -> Finding:
    """Whether Amazon's public access block is wholly on."""
    block = (answer or {}).get("PublicAccessBlockConfiguration", {})
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    off = [name for name in names if not block.get(name)]
    if not off:
        return good("public access", "all four blocks are on")
    return Finding(
        "public access",
        Level.WARNING,
        f"not blocked by {', '.join(off)}",
        "Turn on all four: a presigned URL needs no public access.",
    )


def judge_policy(answer: Mapping[str, Any] | None) -> Finding:
    """Whether the bucket policy refuses plain HTTP, and writes to `uploaded/` without a condition."""
    statements = json.loads(answer["Policy"])["Statement"] if answer else []
    denials = [json.dumps(statement) for statement in statements if statement.get("Effect") == "Deny"]
    wanted = {"aws:SecureTransport": "plain HTTP", "s3:if-match": "writes to uploaded/ without a condition"}
    missing = [what for key, what in wanted.items() if not any(key in denial for denial in denials)]
    if not missing:
        return good("bucket policy", "refuses plain HTTP and writes without a condition")
    return Finding(
        "bucket policy",
        Level.WARNING,
        f"does not refuse {' nor '.join(missing)}",
        "Add the bucket policy of docs/iam: it holds even when a program or a role is wrong.",
    )
