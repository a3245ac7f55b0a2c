"""The search for a schedule in which a mutant violates an invariant. It shows that the explorer would notice."""

from tests.protocol.campaign import Violation
from tests.protocol.explore import explore, format_schedule
from tests.protocol.mutation import Mutant
from tests.protocol.scenarios import SCENARIOS
from tests.protocol.schedule import Bounds

MAX_DISTANCE = 2
"""How many faults and switches a schedule has at most. Every mutant is found within this distance."""


def find_violation(mutant: Mutant) -> Violation | None:
    """Return the violation with the fewest faults and switches, or None."""
    code = mutant.code()
    scenarios = sorted(SCENARIOS, key=lambda scenario: scenario.name != mutant.explored_first)
    # A scenario that the mutant names is explored completely before the others.
    first = [(scenarios[0], together) for together in range(MAX_DISTANCE + 1)] if mutant.explored_first else []
    by_distance = [(scenario, together) for together in range(MAX_DISTANCE + 1) for scenario in scenarios]
    for scenario, together in first + by_distance:
        bounds = Bounds(together=together)
        for done in explore(scenario, code, bounds):
            if done.violation is not None:
                return Violation(scenario.name, format_schedule(bounds, done.vector), done.violation, done.transcript)
    return None
