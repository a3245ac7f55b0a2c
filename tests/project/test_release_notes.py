"""The notes of a release come from the CHANGELOG, and a tag that does not match is rejected."""

import pytest

from tools.release_notes import ReleaseError, release_notes

CHANGELOG = """# Changelog

## [Unreleased]
### Added
- Later.

## [1.2.0] - 2026-01-02
### Added
- New.

## [1.1.0]
- Old.

[1.2.0]: https://example.com/1.2.0
"""


@pytest.mark.parametrize(("version", "notes"), [("1.2.0", "### Added\n- New.\n"), ("1.1.0", "- Old.\n")])
def test_the_notes_are_the_section_of_the_version(version: str, notes: str) -> None:
    """Neither the neighbouring sections nor the link references are part of the notes."""
    assert release_notes(f"v{version}", version, CHANGELOG) == notes


@pytest.mark.parametrize(
    ("tag", "version", "message"),
    [
        ("v1.2.1", "1.2.0", "the tag is v1.2.1, but pyproject.toml declares version 1.2.0: they must agree"),
        ("1.2.0", "1.2.0", "the tag is 1.2.0, but pyproject.toml declares version 1.2.0: they must agree"),
        ("v1.3.0", "1.3.0", "CHANGELOG.md has no section for version 1.3.0: write one"),
        ("v1x2.0", "1x2.0", "CHANGELOG.md has no section for version 1x2.0: write one"),
    ],
)
def test_a_release_that_is_not_prepared_is_refused(tag: str, version: str, message: str) -> None:
    """The message names which of tag, version and CHANGELOG is wrong."""
    with pytest.raises(ReleaseError) as rejected:
        release_notes(tag, version, CHANGELOG)
    assert str(rejected.value) == message
