"""The exploration of all scenarios, on one core or on all."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from tests.protocol.code_under_test import REAL
from tests.protocol.explore import explore, format_schedule, prefixes
from tests.protocol.scenarios import SCENARIOS
from tests.protocol.schedule import Bounds, Scenario

PREFIX_LENGTH: Final = 2
"""How many choice points divide a scenario into jobs."""

Job = tuple[str, Bounds, list[int]]


@dataclass(frozen=True, slots=True)
class Violation:
    """A schedule that broke an invariant."""

    scenario: str
    schedule: str
    violation: str
    transcript: list[str]

    def __str__(self) -> str:
        """Return the violation and the command that replays it."""
        steps = "".join(f"\n    {step}" for step in self.transcript)
        return f"{self.violation}\n  make replay SCENARIO='{self.scenario}' SCHEDULE={self.schedule}{steps}"


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job: how many schedules ran, and the first that broke an invariant."""

    scenario: str
    schedules: int
    violation: Violation | None


def explore_scenarios(bounds: Bounds, scenarios: Iterable[Scenario] = SCENARIOS) -> Iterator[JobResult]:
    """Explore every scenario within the bounds, in this process."""
    for scenario in scenarios:
        yield explore_job((scenario.name, bounds, []))


def explore_on_all_cores(bounds: Bounds, progress: Callable[[int], None]) -> list[JobResult]:
    """Explore every scenario on every core; call `progress` now and then with the number of schedules done."""
    jobs: list[Job] = [
        (scenario.name, bounds, prefix)
        for scenario in SCENARIOS
        for prefix in prefixes(scenario, REAL, bounds, PREFIX_LENGTH)
    ]
    explored: list[JobResult] = []
    with get_context("fork").Pool(os.cpu_count()) as pool:
        for result in pool.imap_unordered(explore_job, jobs):
            explored.append(result)
            progress(sum(each.schedules for each in explored))
    return explored


def explore_job(job: Job) -> JobResult:
    """Explore the schedules of one scenario that begin with a prefix, until one breaks an invariant."""
    name, bounds, prefix = job
    scenario = scenario_by_name(name)
    schedules = 0
    for done in explore(scenario, REAL, bounds, prefix):
        schedules += 1
        if done.violation is not None:
            violation = Violation(name, format_schedule(bounds, done.vector), done.violation, done.transcript)
            return JobResult(name, schedules, violation)
    return JobResult(name, schedules, None)


def scenario_by_name(name: str) -> Scenario:
    """Return the scenario of this name.

    Raises:
        KeyError: No scenario has this name.
    """
    return {scenario.name: scenario for scenario in SCENARIOS}[name]
