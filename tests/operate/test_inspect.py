"""`assetuploader status` and `assetuploader ls`, as a person types them, on a running product."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.operate.test_iam import raw
from tests.support.product import Created, Product, running_product


@dataclass(frozen=True, slots=True)
class Various:
    """A product with assets in different phases."""

    product: Product
    final: Created
    overdue: Created
    unmarked: Created


@pytest.fixture(scope="module")
def various() -> Iterator[Various]:
    """One is final, one was pinned after the run, and one is not marked."""
    with running_product(ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES="0") as product:
        final = product.upload(b"final")
        assert product.mark(final, pinned=True) == 202
        assert product.run("reconcile").returncode == 0
        overdue, unmarked = product.upload(b"overdue"), product.upload(b"unmarked")
        assert product.mark(overdue, pinned=True) == 202
        yield Various(product, final, overdue, unmarked)


def listed(product: Product, *arguments: str) -> dict[str, str]:
    """Return the phases of the listed assets by id."""
    run = product.run("ls", "--json", *arguments)
    assert run.returncode == 0, run.stderr
    return {line["id"]: line["phase"] for line in map(json.loads, run.stdout.splitlines())}


def test_ls_lists_overdue_and_waiting_assets(various: Various) -> None:
    """Each flag lists its phase; without a flag everything in temp/ is listed; nothing is written."""
    overdue, unmarked = various.overdue.asset_id, various.unmarked.asset_id
    assert listed(various.product, "--overdue") == {overdue: "overdue"}
    assert listed(various.product, "--waiting") == {unmarked: "waiting"}
    assert listed(various.product, "--expired") == {}
    assert listed(various.product, "--overdue", "--waiting") == {overdue: "overdue", unmarked: "waiting"}
    assert listed(various.product) == {overdue: "overdue", unmarked: "waiting"}
    heading, row = various.product.run("ls", "--overdue").stdout.splitlines()
    assert heading.split() == ["ASSET", "PHASE", "STATUS", "PINNED", "AT", "WHAT", "HAPPENS", "NEXT"]
    assert row.split()[:4] == [overdue, "overdue", "marked", "yes"]


def story(product: Product, created: Created) -> dict[str, Any]:
    """Return the output of `status`."""
    run = product.run("status", "--json", created.asset_id)
    assert run.returncode == 0, run.stderr
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def test_status_shows_one_asset(various: Various) -> None:
    """It shows state, pin, what is in temp/, and what happens next and when."""
    final, overdue, unmarked = (
        story(various.product, created) for created in (various.final, various.overdue, various.unmarked)
    )
    assert (final["phase"], final["status"], final["upload"], final["pin"]) == (
        "final",
        "uploaded",
        None,
        various.final.etag.strip('"'),
    )
    assert (overdue["phase"], overdue["at"], overdue["upload"]["bytes"]) == ("overdue", overdue["status_since"], 7)
    assert (unmarked["phase"], unmarked["status"], unmarked["next"]) == (
        "waiting",
        "pending",
        "uploaded: waits for its mark; expires otherwise",
    )
    text = various.product.run("status", various.overdue.asset_id).stdout
    assert "next     due: the next run finalizes it" in text


def test_ls_lists_orphaned_bytes_with_their_age(various: Various) -> None:
    """Bytes without a placeholder are listed apart, with the time from which on a run sweeps them."""
    orphan = "00000000-0000-4000-8000-00000000000a"
    store = raw(various.product.s3)
    store.put_object(Bucket=various.product.s3.bucket, Key=f"temp/{orphan}", Body=b"orphan")
    assert listed(various.product, "--orphaned") == {orphan: "orphaned"}
    document = json.loads(various.product.run("ls", "--orphaned", "--json").stdout)
    assert (document["status"], 0 <= document["upload"]["age_seconds"] < 600) == (None, True)
    swept_after = datetime.fromisoformat(document["at"]) - datetime.fromisoformat(document["upload"]["since"])
    assert swept_after == timedelta(days=8)
    _, row = various.product.run("ls", "--orphaned").stdout.splitlines()
    assert "deletes the bytes in temp/ (uploaded " in row
    store.delete_object(Bucket=various.product.s3.bucket, Key=f"temp/{orphan}")


def test_invalid_and_unknown_ids_are_distinguished(various: Various) -> None:
    """An invalid id is a usage error; an unknown id is reported as unknown."""
    product = various.product
    unknown = product.run("status", "00000000-0000-4000-8000-000000000000")
    assert (unknown.returncode, "no asset has this id" in unknown.stdout) == (1, True)
    assert product.run("status", "../secrets").returncode == 64
    away = product.run("ls", AWS_ENDPOINT_URL_S3="http://127.0.0.1:1")
    assert (away.returncode, "could not be reached" in away.stdout) == (75, True)
