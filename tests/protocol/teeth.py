"""The explorer held against mutants: the shortest way to each, or that there is none."""

from tests.protocol.campaign import Finding
from tests.protocol.explore import explore, spell
from tests.protocol.mutation import Mutant
from tests.protocol.scenarios import SCENARIOS
from tests.protocol.schedule import Bounds

FAR = 2
"""So many faults and switches together, at most: every mutant is found within them."""


def hunt(mutant: Mutant) -> Finding | None:
    """The first schedule, by distance from plain sailing, in which the mutant breaks an invariant."""
    code = mutant.code()
    scenarios = sorted(SCENARIOS, key=lambda scenario: scenario.name != mutant.best_seen_in)
    # Where a scenario is named, the whole of it comes before the others.
    near = [(scenario, together) for scenario in scenarios[:1] for together in range(FAR + 1) if mutant.best_seen_in]
    far = [(scenario, together) for together in range(FAR + 1) for scenario in scenarios]
    for scenario, together in near + far:
        bounds = Bounds(together=together)
        for done in explore(scenario, code, bounds):
            if done.violation is not None:
                return Finding(scenario.name, spell(bounds, done.vector), done.violation, done.story)
    return None
