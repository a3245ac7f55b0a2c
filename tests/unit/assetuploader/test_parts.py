"""Every size that S3 stores can be uploaded in parts that S3 takes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assetuploader.parts import (
    MAX_MULTIPART_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MAX_PUT_BYTES,
    MIN_PART_BYTES,
    choose_part_bytes,
    count_parts,
    implied_etag,
    part_size,
)

MIB = 1024**2


def test_the_limits_are_those_of_amazon_s3() -> None:
    """As "Amazon S3 multipart upload limits" in its user guide has them."""
    assert (MAX_PUT_BYTES, MIN_PART_BYTES, MAX_PART_BYTES) == (5_368_709_120, 5_242_880, 5_368_709_120)
    assert (MAX_PARTS, MAX_MULTIPART_BYTES) == (10_000, 53_687_091_200_000)


def test_usual_parts_are_small_and_few_for_the_size() -> None:
    """As the docs say: 16 MiB up to 156 GiB, then what 10,000 parts require; 64 MiB without a size."""
    sizes = {size: choose_part_bytes(size) // MIB for size in (0, 156_250 * MIB, 160_000 * MIB, 160_000 * MIB + 1)}
    assert sizes == {0: 16, 156_250 * MIB: 16, 160_000 * MIB: 16, 160_000 * MIB + 1: 17}
    assert choose_part_bytes(None) == 64 * MIB


@given(st.integers(0, MAX_MULTIPART_BYTES))
@example(0)
@example(1)
@example(16 * MIB)
@example(16 * MIB + 1)
@example(MAX_PARTS * 16 * MIB)
@example(MAX_PARTS * 16 * MIB + 1)
@example(MAX_MULTIPART_BYTES)
def test_the_parts_of_every_size_obey_s3s_limits(size: int) -> None:
    """There are 1 to 10,000 parts of 5 MiB to 5 GiB. Only the last one may be shorter, and they add up to the file."""
    part_bytes = choose_part_bytes(size)
    count = count_parts(size, part_bytes)
    last = part_size(count, size, part_bytes)
    assert MIN_PART_BYTES <= part_bytes <= MAX_PART_BYTES
    assert 1 <= count <= MAX_PARTS
    assert (count - 1) * part_bytes + last == size
    assert last <= part_bytes
    assert (last > 0) == (size > 0)
    for number in {1, count // 2, count - 1} - {0, count}:
        assert part_size(number, size, part_bytes) == part_bytes


@given(st.integers(0, 2**40), st.integers(MIN_PART_BYTES, MAX_PART_BYTES))
def test_the_sizes_of_all_parts_add_up(size: int, part_bytes: int) -> None:
    """Whatever the length of a part is, no byte is in two parts or in none."""
    count = min(count_parts(size, part_bytes), 1000)
    sizes = [part_size(number, size, part_bytes) for number in range(1, count + 1)]
    assert sum(sizes) == min(size, count * part_bytes)


@pytest.mark.parametrize(
    ("size", "part_bytes"),
    [
        (0, 16 * MIB),
        (100 * MIB, 16 * MIB),
        (MAX_PARTS * 16 * MIB, 16 * MIB),
        (MAX_PARTS * 16 * MIB + 1, 17 * MIB),
        (MAX_MULTIPART_BYTES, MAX_PART_BYTES),
        (None, 64 * MIB),
    ],
)
def test_parts_are_as_short_as_ten_thousand_of_them_allow(size: int | None, part_bytes: int) -> None:
    """They have whole MiB, so that people can read the number."""
    assert choose_part_bytes(size) == part_bytes


def test_the_etag_of_parts_is_s3s() -> None:
    """The MD5 of the MD5s, and the number of parts, in order. Tests of the contract compare it with a server's."""
    a, b = "0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"
    assert implied_etag([a, b]) == "96e024ba2074fe77e8e965ba43a704be-2"
    assert implied_etag([b, a]) != implied_etag([a, b])
    assert implied_etag([a]) == "b6ff9a06b7e20bcb2858c5b8ff744aea-1"


@pytest.mark.parametrize(
    "etag", ["", "0CC175B9C0F1B6A831C399E269772661", "0" * 31, "0" * 33, "g" * 32, "0" * 32 + "-1"]
)
def test_an_etag_that_is_no_md5_implies_nothing(etag: str) -> None:
    """Objects that S3 encrypts with a key of KMS have such ETags."""
    assert implied_etag(["0" * 32, etag]) is None
