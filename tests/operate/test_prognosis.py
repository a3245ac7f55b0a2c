"""What a person is told about an asset: always what the reconciler would do."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from assetstore.assets import Assets, Outcome, reconcile
from assetstore.door import Head, Said
from assetstore.prognosis import Kind, foresee
from assetstore.protocol import Placeholder, Rules, State, Status, to_metadata, to_tags
from tests.memory_s3 import MemoryS3, etag_of

RULES = Rules(upload_url_seconds=900, grace_seconds=60, unmarked_seconds=3600)
EXPIRY = datetime.fromisoformat("2026-01-01T12:00:00Z")
UPLOADED = etag_of(b"uploaded")
OTHER = etag_of(b"other")
ASSET_ID = "00000000-0000-4000-8000-000000000000"

WILL: dict[Kind, set[Outcome]] = {
    Kind.OVERDUE: {Outcome.FINALIZED},
    Kind.EXPIRED: {Outcome.EXPIRED, Outcome.SWEPT},
    Kind.WAITING: {Outcome.WAITING, Outcome.MISMATCHED, Outcome.GONE},
    Kind.FINAL: {Outcome.SWEPT},
    Kind.UNKNOWN: {Outcome.ORPHANED},
}


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("pin", [None, UPLOADED, OTHER])
@pytest.mark.parametrize("body", [b"uploaded", None])
@pytest.mark.parametrize("seconds", [-10, 0, 59, 60, 3599, 3600])
async def test_a_run_does_what_was_foretold(
    status: Status | None, pin: str | None, body: bytes | None, seconds: int
) -> None:
    """For every state, at every turning point of time, the next run does what `status` said that it would do."""
    s3 = MemoryS3(now=EXPIRY - timedelta(minutes=5))
    if status is not None:
        state = State(status, EXPIRY, pin)
        s3.store("set-up", f"uploaded/{ASSET_ID}", b"nonce", Said(to_metadata(state), to_tags(state)))
    if body is not None:
        s3.store("set-up", f"temp/{ASSET_ID}", body, Said({}, {}))
    now = EXPIRY + timedelta(seconds=seconds)
    placeholder = await s3.head(f"uploaded/{ASSET_ID}")
    read = (
        Placeholder(placeholder.etag, State(status, EXPIRY, pin), placeholder.last_modified)
        if placeholder and status
        else None
    )
    foreseen = foresee(read, await s3.head(f"temp/{ASSET_ID}"), now, RULES)
    done = await reconcile(Assets(s3, s3, RULES, _never, lambda: b"next"), ASSET_ID, now)
    assert done.outcome in WILL[foreseen.kind]


def _never() -> UUID:
    raise AssertionError


def test_what_is_overdue_says_since_when() -> None:
    """An unpinned asset is overdue from expiry and grace on, a pinned one from its mark on."""
    upload = Head(UPLOADED, 8, EXPIRY, {}, {})
    marked_at = EXPIRY - timedelta(minutes=5)
    unpinned = foresee(
        Placeholder("e", State(Status.MARKED, EXPIRY), marked_at), upload, EXPIRY + timedelta(hours=1), RULES
    )
    pinned = foresee(Placeholder("e", State(Status.MARKED, EXPIRY, UPLOADED), marked_at), upload, EXPIRY, RULES)
    assert (unpinned.kind, unpinned.at) == (Kind.OVERDUE, EXPIRY + timedelta(seconds=60))
    assert (pinned.kind, pinned.at) == (Kind.OVERDUE, marked_at)
