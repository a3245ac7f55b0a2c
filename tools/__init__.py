"""Scripts that write generated pages and release notes; not part of the wheel."""
