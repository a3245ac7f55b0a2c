"""The protocol holds its invariants through every schedule near plain sailing; `make prove` goes farther."""

import pytest

from tests.protocol.campaign import campaign
from tests.protocol.code import REAL
from tests.protocol.explore import explore, parse, prefixes, spell
from tests.protocol.ledger import ViolationError
from tests.protocol.mutants import MUTANTS
from tests.protocol.mutation import Mutant
from tests.protocol.scenarios import SCENARIOS
from tests.protocol.schedule import Bounds, Scenario, run
from tests.protocol.teeth import hunt


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_schedule_with_one_fault_or_one_switch_breaks_an_invariant(scenario: Scenario) -> None:
    """Whatever fails once, or overlaps once, nothing is lost, changed or leaked."""
    [explored] = campaign(Bounds(together=1), [scenario])
    assert not explored.finding, str(explored.finding)
    assert explored.schedules > 50


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_rule_that_is_dropped_is_found(mutant: Mutant) -> None:
    """The explorer has teeth: without any one rule of the protocol it finds a schedule that breaks an invariant."""
    assert hunt(mutant) is not None


def test_a_schedule_is_replayed_as_it_was() -> None:
    """A printed vector is the same run again, call by call."""
    bounds = Bounds(together=2)
    for number, done in enumerate(explore(SCENARIOS[0], REAL, bounds)):
        again = run(SCENARIOS[0], REAL, *parse(spell(bounds, done.vector)), known_ends=set())
        assert (again.story, again.vector) == (done.story, done.vector)
        if number == 200:
            break


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


def test_the_ledger_notices_what_nobody_may_do() -> None:
    """The judge itself has teeth: a delete in uploaded/ and a write to a stranger's key are violations."""
    for key in ("uploaded/33333333-3333-4333-8333-333333333333", "temp/x"):
        world = SCENARIOS[0].scene.set(REAL)
        world.s3.writes.append(("delete_many", key))
        with pytest.raises(ViolationError, match="I7"):
            world.ledger.look()
