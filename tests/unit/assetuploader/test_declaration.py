"""Declarations: stored and read again without loss, enforced by headers, and compared with what was uploaded."""

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetuploader.declaration import Declaration, declaration_from_metadata, declaration_to_metadata
from assetuploader.state_machine import (
    MAX_METADATA_BYTES,
    AssetState,
    InvalidPlaceholderError,
    Status,
    excess_metadata_bytes,
    from_metadata,
    to_metadata,
)

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)
NAMES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True)
DECLARATIONS = st.builds(
    Declaration,
    st.none() | TEXT,
    st.none() | TEXT,
    st.none() | st.integers(0, 5 * 1024**3),
    st.none() | st.binary(max_size=10).map(lambda body: sha256(body).hexdigest()),
    st.booleans(),
    st.dictionaries(NAMES, TEXT, max_size=3),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(DECLARATIONS, st.sampled_from(Status), st.none() | st.just("etag"), st.none() | st.just(NOW))
def test_a_state_is_read_as_it_was_written(
    declaration: Declaration, status: Status, pin: str | None, created_at: datetime | None
) -> None:
    """Whatever a client declared, its state survives, in headers that S3 signs and returns unchanged."""
    state = AssetState(status, NOW, pin, created_at, declaration, None, {"from-a-later-version": "kept"})
    metadata = to_metadata(state)
    assert from_metadata(metadata) == state
    for value in metadata.values():
        assert value
        assert value.isascii()
        assert value.isprintable()
        assert " " not in value


def test_a_clients_metadata_are_never_taken_for_the_state() -> None:
    """A client may name its metadata as we name ours."""
    declaration = Declaration(metadata={"status": "uploaded", "pin": "x", "size": "many"})
    state = AssetState(Status.PENDING, NOW, declaration=declaration)
    assert from_metadata(to_metadata(state)) == state


@pytest.mark.parametrize(
    ("name", "value"), [("size", "-1"), ("size", "1.5"), ("size", "٣"), ("size", "007"), ("sha256", "AB" * 32)]
)
def test_what_no_declaration_writes_is_no_state(name: str, value: str) -> None:
    """Objects in the bucket are input: a declaration that cannot be compared is not an asset's."""
    metadata = to_metadata(AssetState(Status.PENDING, NOW))
    with pytest.raises(InvalidPlaceholderError):
        from_metadata({**metadata, name: value})


def test_what_is_declared_is_signed() -> None:
    """The upload must have a header for each member that S3 can enforce, and none for the others."""
    digest = sha256(b"A")
    declared = Declaration("a.txt", "text/plain", 1, digest.hexdigest(), write_once=True, metadata={"a": "b"})
    assert declared.upload_headers == {
        "content-length": "1",
        "content-type": "text/plain",
        "if-none-match": "*",
        "x-amz-checksum-sha256": b64encode(digest.digest()).decode(),
    }
    assert Declaration("a.txt", metadata={"a": "b"}).upload_headers == {}


@pytest.mark.parametrize(
    ("declared", "size", "content_type", "sha256_", "is_allowed"),
    [
        (Declaration(), 1, None, None, True),
        (Declaration(size=0), 0, None, None, True),
        (Declaration(size=0), 1, None, None, False),
        (Declaration(content_type="text/plain"), 1, "text/plain", None, True),
        (Declaration(content_type="text/plain"), 1, "text/html", None, False),
        (Declaration(content_type="text/plain"), 1, None, None, False),
        (Declaration(sha256="a"), 1, None, "a", True),
        (Declaration(sha256="a"), 1, None, "b", False),
        (Declaration(sha256="a"), 1, None, None, False),
    ],
)
def test_an_upload_is_compared_with_the_declaration(
    declared: Declaration, size: int, content_type: str | None, sha256_: str | None, *, is_allowed: bool
) -> None:
    """Each declared member must agree, and S3 must have returned it."""
    assert declared.allows(size, content_type, sha256_) is is_allowed


def test_metadata_are_measured_before_they_are_stored() -> None:
    """The excess is exact, includes the pin that a later mark adds, and counts encoded text."""
    free = MAX_METADATA_BYTES - sum(
        len(name) + len(value) for name, value in to_metadata(AssetState(Status.UPLOADED, NOW, "0" * 128, NOW)).items()
    )
    fitting = Declaration(metadata={"a": "x" * (free - len("client-a"))})
    assert excess_metadata_bytes(fitting, NOW) == 0
    assert excess_metadata_bytes(Declaration(metadata={"a": fitting.metadata["a"] + "x"}), NOW) == 1
    assert excess_metadata_bytes(Declaration(metadata={"a": fitting.metadata["a"] + "ä"}), NOW) == len("%C3%A4")


def test_other_metadata_are_no_declaration() -> None:
    """Nothing is declared by keys that a declaration does not have."""
    assert declaration_from_metadata({"status": "pending", "created-by": "x"}) == Declaration()
    assert declaration_to_metadata(Declaration()) == {}
