"""Builders for tests of the reconciler: assets in every state, and scans over them."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.state_machine import AssetState, LifecyclePolicy, Status, to_metadata, to_tags
from reconciler.listeners import ScanListener
from reconciler.scan import Scan
from reconciler.shards import Shard
from tests.support.in_memory_s3 import START, InMemoryS3, Stored, etag_of

POLICY: Final = LifecyclePolicy(
    upload_url_ttl_seconds=900, grace_seconds=60, expire_after_seconds=86_400, finalize_at_once_bytes=0
)
LONG_AGO: Final = START - timedelta(days=30)
SOON: Final = START + timedelta(minutes=10)


def asset_id(number: int) -> str:
    """Return an id; the numbers are spread over the whole id space."""
    return f"{number * 2_654_435_761 % (1 << 32):08x}-0000-4000-8000-{number:012x}"


def build_reconciler(s3: InMemoryS3) -> AssetReconciler:
    """Return the asset reconciler on this bucket."""
    nonces = iter(range(1_000_000))
    return AssetReconciler(s3, s3, POLICY, lambda: b"nonce %d" % next(nonces))


def add_asset(  # noqa: PLR0913 -- each test names what it is about
    s3: InMemoryS3,
    number: int,
    status: Status = Status.MARKED,
    *,
    expires_at: datetime = LONG_AGO,
    pin: bytes | None = None,
    uploaded_at: datetime = LONG_AGO,
) -> str:
    """Add an asset with bytes in `temp/`, due by default; return its id."""
    name = asset_id(number)
    state = AssetState(status, expires_at, None if pin is None else etag_of(pin))
    placeholder = b"placeholder %d" % number
    s3.objects[uploaded_key(name)] = Stored(
        placeholder, etag_of(placeholder), LONG_AGO, to_metadata(state), to_tags(state)
    )
    body = b"bytes %d" % number
    s3.objects[temp_key(name)] = Stored(body, etag_of(body), uploaded_at)
    return name


def status_of(s3: InMemoryS3, name: str) -> str:
    """Return the status of an asset in the bucket."""
    return s3.objects[uploaded_key(name)].metadata["status"]


def build_scan(  # noqa: PLR0913 -- each test names what it is about
    s3: InMemoryS3,
    *,
    shard: Shard | None = None,
    listeners: Sequence[ScanListener] = (),
    should_stop: Callable[[], bool] = lambda: False,
    max_age: timedelta | None = None,
    previous_at: datetime | None = None,
    dry_run: bool = False,
) -> Scan:
    """Return a scan of this bucket."""
    return Scan(
        build_reconciler(s3),
        shard or Shard(),
        listeners,
        should_stop,
        max_age,
        previous_at,
        dry_run,
        monotonic=lambda: 0.0,
        is_first_full_scan=max_age is None,
    )
