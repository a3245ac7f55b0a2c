"""The rows on a real S3 server and with real programs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from local.seaweedfs import LocalS3, free_port, running_s3
from tests.faults.away import Away
from tests.faults.leaks import leaks
from tests.faults.ledger import Load
from tests.faults.levels import FORMATS, LEVELS, Levels
from tests.faults.lives import LIVES, opened_bucket
from tests.faults.nth_call import NthCall
from tests.faults.overlap import Overlap
from tests.faults.proxy import MISHAPS
from tests.faults.reference import Reference
from tests.faults.restarts import Restarts
from tests.prove.row import Outcome, now_and_then


@contextmanager
def _s3() -> Iterator[LocalS3]:
    with running_s3(free_port(), "assets") as s3:
        yield s3


def reference(number: int) -> Outcome:
    """So many calls to the in-memory S3 and to the server."""

    async def compare(s3: LocalS3) -> Reference:
        with opened_bucket(s3, s3.endpoint_url) as bucket:
            trial = Reference(bucket.door, bucket.signer)
            await trial.run(number)
            return trial

    with _s3() as s3:
        trial = asyncio.run(compare(s3))
    return Outcome(f"{trial.calls:,} calls to both", trial.violations)


def nth_call(number: int) -> Outcome:
    """Every call of the first so many lives."""
    with _s3() as s3:
        trial = NthCall(s3, lives=LIVES[:number])
        asyncio.run(trial.run())
    size = (
        f"{trial.cases:,} failed calls: every call of {len(trial.lives)} lives, {len(MISHAPS)} mishaps, once and twice"
    )
    return Outcome(size, trial.violations)


def overlap(number: int) -> Outcome:
    """So many assets, eight reconcilers."""
    with _s3() as s3:
        trial = Overlap(s3, number)
        asyncio.run(trial.run())
    copies = sum(trial.copies.values())
    return Outcome(
        f"{number:,} due assets, {trial.runs} runs, 8 at a time, {trial.kills} killed, {copies:,} copies made",
        trial.violations,
    )


def ledger(number: int) -> Outcome:
    """So many assets through the service."""
    with _s3() as s3:
        trial = Load(s3, number, now_and_then("assets"))
        asyncio.run(trial.run())
    size = (
        f"{number:,} assets, {len(trial.entries):,} answered 202, {trial.mishaps:,} faults on the way, "
        f"{trial.outages} times S3 frozen or killed: {trial.lost} lost, {trial.changed} changed"
    )
    return Outcome(size, trial.violations + _leaks(trial.said))


def away(seconds: int) -> Outcome:
    """S3 frozen, then gone, for so many seconds."""
    with _s3() as s3:
        trial = Away(s3, seconds)
        asyncio.run(trial.run())
    size = (
        f"{trial.refusals:,} requests while S3 was frozen {seconds} s and gone {seconds} s: all 503, the slowest after "
        f"{trial.slowest_refusal:.1f} s; /livez {trial.alive} times; {len(trial.marked)} assets final after two runs"
    )
    return Outcome(size, trial.violations + _leaks(trial.said))


def restarts(number: int) -> Outcome:
    """So many rolling restarts."""
    with _s3() as s3:
        trial = Restarts(s3, number)
        asyncio.run(trial.run())
    size = f"{trial.restarts} restarts, {trial.requests:,} requests, {trial.kept:,} of them over kept connections"
    return Outcome(size, trial.violations + _leaks(trial.said))


def levels(_: int) -> Outcome:
    """Every log level and format."""
    with _s3() as s3:
        trial = Levels(s3)
        asyncio.run(trial.run())
    size = f"{len(LEVELS)} log levels, {len(FORMATS)} formats, {trial.bytes_said:,} bytes of log"
    return Outcome(size, trial.violations)


def _leaks(said: IO[bytes]) -> list[str]:
    said.seek(0)
    return leaks(said.read())
