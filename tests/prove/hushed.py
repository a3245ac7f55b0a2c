"""A pytest plugin: libraries say in the tests' own process what they say in a pod, where `cli.logs` hushes some."""

from cli.logs import hush


def pytest_configure() -> None:
    """pytest: before anything runs."""
    hush()
