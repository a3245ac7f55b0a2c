"""Whatever clients, time, runs and faults do in any order, the bucket agrees with a dictionary."""

from collections.abc import Iterator

import pytest

from tests.sequences.campaign import run_sequences, start_service
from tests.sequences.machine import Sequences


@pytest.fixture
def _service() -> Iterator[None]:
    """The service, as the sequences use it."""
    service = start_service()
    yield
    service.stop()


@pytest.mark.usefixtures("_service")
def test_random_sequences_agree_with_the_dictionary() -> None:
    """The bucket and the responses are the model's after every step of every sequence."""
    before = Sequences.begun
    run_sequences(60, seed=1)
    assert Sequences.begun - before >= 60
