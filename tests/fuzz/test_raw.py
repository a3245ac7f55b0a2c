"""Malformed requests get a response or a closed connection, and are never echoed."""

from dev.seaweedfs import HOST
from tests.fuzz.corpus import build_case
from tests.fuzz.raw import CorpusRun
from tests.support.in_memory_s3 import InMemoryS3
from tests.support.in_process_service import serving


async def test_the_corpus_gets_no_5xx_no_hang_and_no_echo() -> None:
    """The first 300 cases get no 5xx, no hang and no echo. `make verify` sends more."""
    async with serving(InMemoryS3()) as service:
        corpus = CorpusRun(HOST, service.port, 300, lambda _: None)
        await corpus.run()
    assert corpus.violations == []
    assert corpus.cases == 300
    assert corpus.outcomes["400"] > 50


def test_a_case_is_the_same_each_time() -> None:
    """The number of a case is enough to reproduce it."""
    assert [build_case(number) for number in range(300)] == [build_case(number) for number in range(300)]
    assert len({build_case(number) for number in range(300)}) > 290
