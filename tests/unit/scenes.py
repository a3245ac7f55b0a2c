"""Buckets in memory with assets in every state, and a reconciler's arguments."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from assetstore.assets import Assets
from assetstore.protocol import Rules, State, Status, temp_key, to_metadata, to_tags, uploaded_key
from reconciler.passes import Pass
from reconciler.report import Tally
from reconciler.shards import Shard
from tests.memory_s3 import START, MemoryS3, Stored, etag_of

RULES: Final = Rules(upload_url_seconds=900, grace_seconds=60, unmarked_seconds=86_400)
LONG_AGO: Final = START - timedelta(days=30)
SOON: Final = START + timedelta(minutes=10)


def asset_id(number: int) -> str:
    """An id; the numbers are spread over the whole id space."""
    return f"{number * 2_654_435_761 % (1 << 32):08x}-0000-4000-8000-{number:012x}"


def assets_on(s3: MemoryS3) -> Assets:
    """The asset store on this bucket."""
    nonces = iter(range(1_000_000))
    return Assets(s3, s3, RULES, lambda: UUID(int=0), lambda: b"nonce %d" % next(nonces))


def add(  # noqa: PLR0913 -- each test names what it is about
    s3: MemoryS3,
    number: int,
    status: Status = Status.MARKED,
    *,
    expires_at: datetime = LONG_AGO,
    pin: bytes | None = None,
    uploaded_at: datetime = LONG_AGO,
) -> str:
    """Put an asset with bytes in `temp/` there, due unless told otherwise; its id."""
    name = asset_id(number)
    state = State(status, expires_at, None if pin is None else etag_of(pin))
    placeholder = b"placeholder %d" % number
    s3.objects[uploaded_key(name)] = Stored(
        placeholder, etag_of(placeholder), LONG_AGO, to_metadata(state), to_tags(state)
    )
    body = b"bytes %d" % number
    s3.objects[temp_key(name)] = Stored(body, etag_of(body), uploaded_at)
    return name


def status_of(s3: MemoryS3, name: str) -> str:
    """What the bucket says of an asset."""
    return s3.objects[uploaded_key(name)].metadata["status"]


def pass_over(  # noqa: PLR0913 -- as above
    s3: MemoryS3,
    *,
    shard: Shard | None = None,
    tally: Tally | None = None,
    should_halt: Callable[[], bool] = lambda: False,
    younger_than: timedelta | None = None,
    dry_run: bool = False,
) -> Pass:
    """A pass over this bucket."""
    return Pass(
        assets_on(s3), shard or Shard(), tally or Tally(), should_halt, younger_than, dry_run, monotonic=lambda: 0.0
    )
