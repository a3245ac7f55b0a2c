"""A running service for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.http.serving import Service, serving
from tests.memory_s3 import MemoryS3


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """The service on an empty bucket."""
    async with serving(MemoryS3()) as running:
        yield running
