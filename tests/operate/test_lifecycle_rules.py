"""The shipped lifecycle rules: they delete placeholders of assets that never came, and abort uploads without an end."""

import json
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.doctor.results import passed
from assetuploader.doctor.settings_checks import check_lifecycle
from assetuploader.errors import AssetExpiredError
from assetuploader.keys import UPLOADED_PREFIX, temp_key, uploaded_key
from assetuploader.state_machine import LifecyclePolicy
from tests.support.in_memory_s3 import START, InMemoryS3, Stored

ROOT: Final = Path(__file__).parents[2]
RULES: Final[list[dict[str, Any]]] = json.loads((ROOT / "docs" / "iam" / "lifecycle.json").read_text())["Rules"]
EXPIRING: Final = [rule for rule in RULES if "Expiration" in rule]
POLICY: Final = LifecyclePolicy()
DELETED: Final = {"pending": True, "expired": True, "marked": False, "uploaded": False}


def deletes(rule: dict[str, Any], key: str, stored: Stored) -> bool:
    """Return whether a rule applies to an object, as S3 reads its filter: every condition must hold."""
    assert set(rule) == {"ID", "Status", "Filter", "Expiration"}
    assert set(rule["Filter"]) == {"And"}
    conditions = rule["Filter"]["And"]
    assert set(conditions) == {"Prefix", "Tags", "ObjectSizeLessThan"}
    return (
        rule["Status"] == "Enabled"
        and key.startswith(conditions["Prefix"])
        and all(stored.tags.get(tag["Key"]) == tag["Value"] for tag in conditions["Tags"])
        and len(stored.body) < conditions["ObjectSizeLessThan"]
    )


def find_deleted(s3: InMemoryS3) -> set[str]:
    """Return the keys that any of the rules deletes."""
    return {key for key, stored in s3.objects.items() if any(deletes(rule, key, stored) for rule in EXPIRING)}


@pytest.fixture
async def assets() -> tuple[InMemoryS3, dict[str, str]]:
    """One asset of each status, as the asset service writes it; the status by id. The final one is small."""
    s3 = InMemoryS3()
    service = AssetService(s3, s3, POLICY, uuid4, lambda: uuid4().bytes)
    reconciler = AssetReconciler(s3, s3, POLICY, lambda: uuid4().bytes)
    found = {}
    for status in DELETED:
        created = await service.create()
        found[created.asset_id] = status
        if status == "expired":
            await service.mark(created.asset_id, None, START)
            with pytest.raises(AssetExpiredError):
                await service.resolve(created.asset_id, 60, START.replace(year=2027))
            continue
        s3.put(created.upload.url, b"small")
        if status in {"marked", "uploaded"}:
            await service.mark(created.asset_id, None, START)
        if status == "uploaded":
            await reconciler.reconcile(created.asset_id, START.replace(year=2027))
    return s3, found


async def test_the_rules_delete_placeholders_of_pending_and_expired_assets(
    assets: tuple[InMemoryS3, dict[str, str]],
) -> None:
    """Nothing marked or final is deleted, however small it is, and nothing in temp/."""
    s3, statuses = assets
    assert {s3.objects[uploaded_key(name)].tags["status"] for name in statuses} == set(DELETED)
    assert any(temp_key(name) in s3.objects for name in statuses)
    assert find_deleted(s3) == {uploaded_key(name) for name, status in statuses.items() if DELETED[status]}


async def test_no_rule_deletes_what_is_large(assets: tuple[InMemoryS3, dict[str, str]]) -> None:
    """An object that is longer than any placeholder is somebody's file, whatever its tags."""
    s3, _ = assets
    for key, stored in s3.objects.items():
        s3.objects[key] = Stored(b"x" * 1024, stored.etag, stored.last_modified, stored.metadata, stored.tags)
    assert find_deleted(s3) == set()


def test_a_rule_waits_longer_than_an_asset_may_be_marked() -> None:
    """Even with the longest upload URL a pending asset has expired by then."""
    longest_seconds = 604_800 + POLICY.expire_after_seconds
    assert all(rule["Expiration"]["Days"] * 86_400 > longest_seconds for rule in EXPIRING)


def test_a_rule_aborts_uploads_in_parts_after_the_reconciler_could() -> None:
    """It is the second net: no upload that a client may complete is aborted, and the reconciler comes first."""
    [rule] = [rule for rule in RULES if rule not in EXPIRING]
    assert set(rule) == {"ID", "Status", "Filter", "AbortIncompleteMultipartUpload"}
    assert (rule["Status"], rule["Filter"]) == ("Enabled", {"Prefix": UPLOADED_PREFIX})
    days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    assert days * 86_400 > POLICY.multipart_ttl_seconds + POLICY.expire_after_seconds


def test_the_doctor_has_nothing_to_say_about_them() -> None:
    """With the default settings."""
    placeholder_seconds = POLICY.multipart_ttl_seconds + POLICY.expire_after_seconds
    result = check_lifecycle(RULES, placeholder_seconds, POLICY.multipart_ttl_seconds)
    assert result == passed("lifecycle", "3 rules, none of which harms assets")


def test_there_is_one_copy_of_the_rules() -> None:
    """Terraform reads the file that docs/eks.md applies: see also test_terraform.py."""
    terraform = (ROOT / "deploy" / "aws" / "main.tf").read_text()
    assert 'jsondecode(file("${local.policies}/lifecycle.json")).Rules' in terraform
    assert terraform.count("aws_s3_bucket_lifecycle_configuration") == 1
    assert "--lifecycle-configuration file://docs/iam/lifecycle.json" in (ROOT / "docs" / "eks.md").read_text()
