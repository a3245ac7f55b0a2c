"""Malformed requests get a response or a closed connection, and are never echoed."""

from dev.seaweedfs import HOST
from tests.fuzz.corpus import case
from tests.fuzz.raw import Raw
from tests.support.in_memory_s3 import InMemoryS3
from tests.support.in_process_service import serving


async def test_the_corpus_gets_no_5xx_no_hang_and_no_echo() -> None:
    """The start of the raw corpus gets no 5xx. `make verify` sends all of it."""
    async with serving(InMemoryS3()) as service:
        trial = Raw(HOST, service.port, 300, lambda _: None)
        await trial.run()
    assert trial.violations == []
    assert trial.cases == 300
    assert trial.outcomes["400"] > 50


def test_a_case_is_the_same_each_time() -> None:
    """The number of a violation is enough to reproduce it."""
    assert [case(number) for number in range(300)] == [case(number) for number in range(300)]
    assert len({case(number) for number in range(300)}) > 290
