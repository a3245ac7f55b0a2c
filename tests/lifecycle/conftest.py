"""One S3 server for all tests that do not stop it."""

from collections.abc import Iterator

import pytest

from dev.seaweedfs import LocalS3, free_port, running_s3


@pytest.fixture(scope="session")
def s3() -> Iterator[LocalS3]:
    """A real S3 server with one bucket."""
    with running_s3(free_port(), "assets") as server:
        yield server
