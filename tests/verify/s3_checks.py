"""The checks with a real S3 server and real programs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from dev.seaweedfs import LocalS3, free_port, running_s3
from tests.faults.ledger import Load
from tests.faults.lifecycles import LIFECYCLES, opened_bucket
from tests.faults.log_levels import FORMATS, LEVELS, LogLevels
from tests.faults.nth_call import NthCall
from tests.faults.overlap import Overlap
from tests.faults.parts_ledger import MAX_MEGABYTES, PartsLoad
from tests.faults.reference import Reference, Side
from tests.faults.restarts import Restarts
from tests.faults.s3_outage import Outage
from tests.support.fault_proxy import FAULTS
from tests.support.leaks import leaks
from tests.verify.check import CheckOutcome, make_progress_printer


@contextmanager
def _s3() -> Iterator[LocalS3]:
    with running_s3(free_port(), "assets") as s3:
        yield s3


def check_reference(number: int) -> CheckOutcome:
    """Send the same calls to the in-memory S3 and to a server."""

    async def compare(s3: LocalS3) -> Reference:
        async with opened_bucket(s3, s3.endpoint_url) as bucket:
            trial = Reference(Side(bucket.store, bucket.multipart, bucket.presigner))
            await trial.run(number)
            return trial

    with _s3() as s3:
        trial = asyncio.run(compare(s3))
    return CheckOutcome(f"{trial.calls:,} calls to both", trial.violations)


def check_nth_call(number: int) -> CheckOutcome:
    """Fail every call of the first `number` lifecycles."""
    with _s3() as s3:
        trial = NthCall(s3, lifecycles=LIFECYCLES[:number])
        asyncio.run(trial.run())
    lifecycles = f"every call of {len(trial.lifecycles)} lifecycles"
    size = f"{trial.cases:,} failed calls: {lifecycles}, {len(FAULTS)} faults, once and twice"
    return CheckOutcome(size, trial.violations)


def check_overlap(number: int) -> CheckOutcome:
    """Finalize `number` assets with eight reconcilers that are killed."""
    with _s3() as s3:
        trial = Overlap(s3, number)
        asyncio.run(trial.run())
    copies = sum(trial.copies.values())
    return CheckOutcome(
        f"{number:,} due assets, {trial.runs} runs, 8 at a time, {trial.kills} killed, {copies:,} copies made",
        trial.violations,
    )


def check_ledger(number: int) -> CheckOutcome:
    """Send `number` assets through the service, with faults and outages."""
    with _s3() as s3:
        trial = Load(s3, number, make_progress_printer("assets"))
        asyncio.run(trial.run())
    size = (
        f"{number:,} assets, {len(trial.entries):,} accepted, {trial.faults:,} faults on the way, "
        f"{trial.outages} times S3 frozen or killed: {trial.lost} lost, {trial.changed} changed"
    )
    return CheckOutcome(size, trial.violations + _leaks(trial.output))


def check_parts_ledger(number: int) -> CheckOutcome:
    """Upload `number` files in parts, with faults, outages and kills."""
    with _s3() as s3:
        trial = PartsLoad(s3, number, make_progress_printer("assets"))
        asyncio.run(trial.run())
    size = (
        f"{number:,} assets of 1 to {MAX_MEGABYTES} MiB in parts, {len(trial.entries):,} completed, {trial.faults:,} "
        f"faults on the way, {trial.outages} times S3 frozen or killed, the service killed {trial.kills} times, "
        f"{trial.restarted_uploads} uploads begun again: {trial.lost} lost, {trial.changed} changed, "
        f"{trial.still_open} open uploads of final assets"
    )
    return CheckOutcome(size, trial.violations + _leaks(trial.output))


def check_s3_outage(seconds: int) -> CheckOutcome:
    """Freeze S3, then kill it, for this many seconds each."""
    with _s3() as s3:
        trial = Outage(s3, seconds)
        asyncio.run(trial.run())
    size = (
        f"{trial.unavailable_responses:,} requests while S3 was frozen {seconds} s and down {seconds} s: all 503, "
        f"the slowest after {trial.slowest_response:.1f} s; /livez {trial.alive} times; "
        f"{len(trial.marked)} assets final after two runs"
    )
    return CheckOutcome(size, trial.violations + _leaks(trial.output))


def check_restarts(number: int) -> CheckOutcome:
    """Restart services in turn, `number` times."""
    with _s3() as s3:
        trial = Restarts(s3, number)
        asyncio.run(trial.run())
    size = f"{trial.restarts} restarts, {trial.requests:,} requests, {trial.kept:,} of them over kept connections"
    return CheckOutcome(size, trial.violations + _leaks(trial.output))


def check_log_levels(_: int) -> CheckOutcome:
    """Run a lifecycle at every log level and in every format."""
    with _s3() as s3:
        trial = LogLevels(s3)
        asyncio.run(trial.run())
    size = f"{len(LEVELS)} log levels, {len(FORMATS)} formats, {trial.bytes_logged:,} bytes of log"
    return CheckOutcome(size, trial.violations)


def _leaks(output: IO[bytes]) -> list[str]:
    output.seek(0)
    return leaks(output.read())
