"""All scenarios, explored on all cores."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from tests.protocol.code import REAL
from tests.protocol.explore import explore, prefixes, spell
from tests.protocol.scenarios import SCENARIOS
from tests.protocol.schedule import Bounds, Scenario

PREFIX: Final = 2
"""Choice points by which a scenario is shared out among the cores."""

Job = tuple[str, Bounds, list[int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A schedule that broke an invariant."""

    scenario: str
    schedule: str
    violation: str
    story: list[str]

    def __str__(self) -> str:
        """The finding, as one reads it, with the command that shows it again."""
        steps = "".join(f"\n    {step}" for step in self.story)
        return f"{self.violation}\n  make replay SCENARIO='{self.scenario}' SCHEDULE={self.schedule}{steps}"


@dataclass(frozen=True, slots=True)
class Explored:
    """How many schedules one job ran, and the first that broke an invariant."""

    scenario: str
    schedules: int
    finding: Finding | None


def campaign(bounds: Bounds, scenarios: Iterable[Scenario] = SCENARIOS) -> Iterator[Explored]:
    """Explore every scenario within the bounds, in this process."""
    for scenario in scenarios:
        yield explore_job((scenario.name, bounds, []))


def campaign_on_all_cores(bounds: Bounds, progress: Callable[[int], None]) -> list[Explored]:
    """The same on every core; `progress` hears now and then how many schedules are done."""
    jobs: list[Job] = [
        (scenario.name, bounds, prefix) for scenario in SCENARIOS for prefix in prefixes(scenario, REAL, bounds, PREFIX)
    ]
    explored: list[Explored] = []
    with get_context("fork").Pool(os.cpu_count()) as pool:
        for one in pool.imap_unordered(explore_job, jobs):
            explored.append(one)
            progress(sum(each.schedules for each in explored))
    return explored


def explore_job(job: Job) -> Explored:
    """Explore one scenario's schedules that begin with a prefix."""
    name, bounds, prefix = job
    scenario = by_name(name)
    schedules = 0
    for done in explore(scenario, REAL, bounds, prefix):
        schedules += 1
        if done.violation is not None:
            finding = Finding(name, spell(bounds, done.vector), done.violation, done.story)
            return Explored(name, schedules, finding)
    return Explored(name, schedules, None)


def by_name(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        KeyError: there is none.
    """
    return {scenario.name: scenario for scenario in SCENARIOS}[name]
