"""Requests that nobody sends in good faith are answered or closed, and never echoed."""

from local.seaweedfs import HOST
from tests.fuzz.corpus import case
from tests.fuzz.raw import Raw
from tests.http.serving import serving
from tests.memory_s3 import MemoryS3


async def test_the_corpus_gets_no_5xx_no_hang_and_no_echo() -> None:
    """The beginning of the raw corpus: `make prove ROW=raw` sends all of it."""
    async with serving(MemoryS3()) as service:
        trial = Raw(HOST, service.port, 300, lambda _: None)
        await trial.run()
    assert trial.violations == []
    assert trial.cases == 300
    assert trial.answers["400"] > 50


def test_a_case_is_the_same_each_time() -> None:
    """A violation's number is enough to see it again."""
    assert [case(number) for number in range(300)] == [case(number) for number in range(300)]
    assert len({case(number) for number in range(300)}) > 290
