"""A running service for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.in_memory_s3 import InMemoryS3
from tests.support.in_process_service import Service, serving


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Run the service on an empty bucket."""
    async with serving(InMemoryS3()) as running:
        yield running
