"""The tests, from pure functions up to real processes."""
