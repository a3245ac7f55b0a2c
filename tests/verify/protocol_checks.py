"""The checks that need no S3: interleavings, protocol mutants, sequences."""

import logging
import os
from multiprocessing import get_context

import structlog

from tests.protocol.campaign import explore_on_all_cores
from tests.protocol.mutant_hunt import find_violation
from tests.protocol.mutants import MUTANTS, mutant_by_name
from tests.protocol.scenarios import SCENARIOS
from tests.protocol.schedule import Bounds
from tests.sequences.campaign import STEPS, run_sequences, start_service
from tests.sequences.machine import Sequences
from tests.verify.check import CheckOutcome, make_progress_printer, print_progress


def check_interleavings(together: int) -> CheckOutcome:
    """Explore every schedule with up to `together` faults and switches."""
    explored = explore_on_all_cores(Bounds(together=together), make_progress_printer("schedules"))
    schedules = sum(each.schedules for each in explored)
    size = f"{schedules:,} schedules of {len(SCENARIOS)} scenarios, up to {together} faults and switches together"
    return CheckOutcome(size, [str(each.violation) for each in explored if each.violation])


def check_protocol_mutants(number: int) -> CheckOutcome:
    """Look for a violation with each of the first `number` mutants."""
    survivors = []
    with get_context("fork").Pool(os.cpu_count()) as pool:
        names = [mutant.name for mutant in MUTANTS[:number]]
        for name, found in zip(names, pool.imap(_find, names), strict=True):
            print_progress(f"{name}: {found or 'SURVIVES'}")
            if found is None:
                survivors.append(f"not found: {name}")
    return CheckOutcome(f"{len(names)} mutants, {len(names) - len(survivors)} found", survivors)


def _find(name: str) -> str | None:
    violation = find_violation(mutant_by_name(name))
    return str(violation) if violation else None


def check_sequences(number: int) -> CheckOutcome:
    """Run `number` random sequences, divided among the cores."""
    cores = os.cpu_count() or 1
    with get_context("fork").Pool(cores) as pool:
        done = pool.map(_run_share, [(number // cores, seed) for seed in range(cores)])
    size = f"{sum(count for count, _ in done):,} sequences of up to {STEPS} steps"
    return CheckOutcome(size, [failure for _, failure in done if failure])


def _run_share(share: tuple[int, int]) -> tuple[int, str]:
    """Run one core's share; return how many sequences there were, and the failure or an empty text."""
    number, seed = share
    before = Sequences.begun
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    service = start_service()
    batch = min(number, 250)
    show = make_progress_printer(f"sequences of process {seed}")
    try:
        for begun in range(0, number, batch):
            run_sequences(batch, seed=seed * 1_000_000 + begun)
            show(begun)
    except AssertionError as error:
        return Sequences.begun - before, f"seed {seed}: {error!r} {getattr(error, '__notes__', '')}"
    finally:
        service.stop()
    return Sequences.begun - before, ""
