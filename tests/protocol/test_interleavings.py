"""The invariants hold in every schedule with one fault or switch; `make verify` explores more."""

from itertools import islice

import pytest

from assetuploader.store import ObjectAttributes
from tests.protocol.campaign import explore_scenarios
from tests.protocol.code_under_test import REAL
from tests.protocol.explore import explore, format_schedule, parse_schedule, prefixes
from tests.protocol.invariants import ViolationError
from tests.protocol.mutant_hunt import find_violation
from tests.protocol.mutants import MUTANTS
from tests.protocol.mutation import Mutant
from tests.protocol.scenarios import SCENARIOS
from tests.protocol.schedule import Bounds, Scenario, run
from tests.protocol.steps import run_now


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_schedule_with_one_fault_or_one_switch_breaks_an_invariant(scenario: Scenario) -> None:
    """After one fault or one interruption every invariant holds."""
    [explored] = explore_scenarios(Bounds(together=1), [scenario])
    assert not explored.violation, str(explored.violation)
    assert explored.schedules > 50


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_is_found(mutant: Mutant) -> None:
    """For each rule of the protocol, the explorer finds a schedule that violates an invariant without it."""
    assert find_violation(mutant) is not None


def test_a_schedule_is_replayed_as_it_was() -> None:
    """A printed schedule repeats the same run, call by call."""
    bounds = Bounds(together=2)
    for done in islice(explore(SCENARIOS[0], REAL, bounds), 201):
        again = run(SCENARIOS[0], REAL, *parse_schedule(format_schedule(bounds, done.vector)), known_ends=set())
        assert (again.transcript, again.vector) == (done.transcript, done.vector)


def test_the_cores_share_the_schedules_without_loss_or_repeat() -> None:
    """All prefixes together explore each schedule exactly once."""
    scenario, bounds = SCENARIOS[0], Bounds(together=1)
    whole = [tuple(done.vector) for done in explore(scenario, REAL, bounds)]
    shared = [
        tuple(done.vector)
        for prefix in prefixes(scenario, REAL, bounds, 2)
        for done in explore(scenario, REAL, bounds, prefix)
    ]
    assert sorted(shared) == sorted(whole)
    assert len(set(whole)) == len(whole)


def test_the_checker_rejects_what_no_process_may_do() -> None:
    """A delete in uploaded/ and a write to an unknown key are violations."""
    for key in ("uploaded/33333333-3333-4333-8333-333333333333", "temp/x"):
        system = SCENARIOS[0].initial_state.start(REAL)
        system.s3.writes.append(("delete_objects", key))
        with pytest.raises(ViolationError, match="I7"):
            system.checker.check()


def test_the_checker_rejects_an_upload_of_an_unknown_asset() -> None:
    """CreateMultipartUpload for another key is a violation, although it writes nothing there yet."""
    system = SCENARIOS[0].initial_state.start(REAL)
    run_now(
        system.s3.create_multipart_upload("uploaded/33333333-3333-4333-8333-333333333333", ObjectAttributes({}, {}))
    )
    with pytest.raises(ViolationError, match="I7"):
        system.checker.check()
