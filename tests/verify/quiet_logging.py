"""A pytest plugin: silences the same libraries in the tests' process as `assetuploader.cli.logs` does in a pod."""

from assetuploader.cli.logs import silence_libraries


def pytest_configure() -> None:
    """Silence them before anything runs."""
    silence_libraries()
