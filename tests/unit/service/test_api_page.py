"""docs/api.md, which is generated from the table of operations."""

from pathlib import Path

from tools.api_page import build_api_page


def test_the_page_is_what_the_table_says() -> None:
    """docs/api.md is current: `make docs-api` writes it."""
    assert (Path(__file__).parents[3] / "docs" / "api.md").read_text() == build_api_page()
