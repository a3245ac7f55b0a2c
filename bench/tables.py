"""Markdown tables."""

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table of rows that are written as Markdown already."""
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows, ""])
