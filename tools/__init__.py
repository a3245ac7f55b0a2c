"""Scripts that write generated pages; not part of the wheel."""
