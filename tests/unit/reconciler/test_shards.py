"""Shards: contiguous ranges that partition the id space."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetuploader.keys import is_asset_id, temp_key
from reconciler.shards import Shard

UUIDS = st.uuids(version=4).map(str)
EDGES = st.builds(
    lambda head, tail: str(UUID(int=(head << 96) | (tail & ((1 << 96) - 1)), version=4)),
    st.sampled_from([0, 1, 0x3FFFFFFF, 0x40000000, 0x55555555, 0x55555556, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]),
    st.integers(min_value=0, max_value=(1 << 96) - 1),
)
"""Ids whose first 32 bits are at a boundary between shards, or beside one."""


def _is_listed(shard: Shard, key: str) -> bool:
    return shard.start_after < key and shard.holds(key)


@given(UUIDS | EDGES, st.integers(min_value=1, max_value=4096))
def test_every_id_is_in_exactly_one_shard(asset_id: str, count: int) -> None:
    """However many shards there are, each asset belongs to one of them, and to no other."""
    assert is_asset_id(asset_id)
    holders = [index for index in range(count) if _is_listed(Shard(index, count), temp_key(asset_id))]

    assert len(holders) == 1


@given(st.integers(min_value=2, max_value=4096))
def test_a_shard_ends_where_the_next_begins(count: int) -> None:
    """Ranges are contiguous, in order, and as even as whole numbers allow."""
    starts = [int(Shard(index, count).start_after.removeprefix("temp/"), 16) for index in range(count)]
    sizes = {after - before for before, after in zip(starts, [*starts[1:], 1 << 32], strict=True)}

    assert starts == sorted(starts)
    assert starts[0] == 0
    assert max(sizes) - min(sizes) <= 1


def test_one_shard_is_everything() -> None:
    """The default holds every id, the first and the last."""
    shard = Shard()

    for asset_id in ("00000000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"):
        assert _is_listed(shard, temp_key(asset_id))


@pytest.mark.parametrize(("index", "count"), [(1, 1), (-1, 1), (0, 0), (5, 4)])
def test_a_shard_that_does_not_exist_cannot_be_made(index: int, count: int) -> None:
    """With a wrong index no shard would handle some assets."""
    with pytest.raises(ValueError, match=f"shard {index} of {count} does not exist"):
        Shard(index, count)
