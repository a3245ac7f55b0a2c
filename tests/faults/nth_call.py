"""Fail the n-th call: every S3 call of every life, with every mishap, once and twice in a row, on the wire."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from uuid import UUID, uuid4

from local.seaweedfs import HOST, LocalS3
from tests.faults.lives import LIVES, Life, opened_bucket
from tests.faults.proxy import MISHAPS, Mishap, running_proxy
from tests.faults.wire import Message

CONCURRENCY: Final = 24
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Tell = Callable[[Life], Awaitable[None]]


@dataclass(slots=True)
class Plan:
    """What is to befall one asset's calls."""

    mishap: Mishap
    nth: int
    times: int
    calls: int = 0

    def next(self) -> Mishap:
        """What befalls the next call."""
        self.calls += 1
        return self.mishap if self.nth <= self.calls < self.nth + self.times else Mishap.NONE

    @property
    def is_done(self) -> bool:
        """The call that was to fail came."""
        return self.calls >= self.nth


@dataclass(slots=True)
class NthCall:
    """The whole trial."""

    s3: LocalS3
    mishaps: tuple[Mishap, ...] = MISHAPS
    lives: tuple[Tell, ...] = LIVES
    plans: dict[str, Plan] = field(default_factory=dict)
    cases: int = 0
    violations: list[str] = field(default_factory=list)

    def decide(self, request: Message) -> tuple[Mishap, float]:
        """What becomes of a request: the plan of the asset that it is about."""
        named = _ID.search(request.target) or _ID.search(request.body.decode("latin-1"))
        plan = self.plans.get(named[0]) if named else None
        return (plan.next() if plan else Mishap.NONE), 0.0

    async def run(self) -> None:
        """Try everything."""
        limit = asyncio.Semaphore(CONCURRENCY)
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(running_proxy(HOST, self.s3.port, self.decide))
            faulty = stack.enter_context(opened_bucket(self.s3, f"http://{HOST}:{proxy.port}"))
            direct = stack.enter_context(opened_bucket(self.s3, self.s3.endpoint_url))

            async def lead(tell: Tell, plan: Plan) -> bool:
                """Lead one life with one plan; whether the call that was to fail came."""

                def make_id() -> UUID:
                    made = uuid4()
                    self.plans[str(made)] = plan
                    return made

                life = Life(make_id, faulty, direct)
                async with limit:
                    try:
                        await tell(life)
                    except Exception as error:  # noqa: BLE001 -- whatever comes out is what is sought
                        told = f"call {plan.nth} {plan.mishap}, {plan.times} in a row: {error!r} (told: {life.told})"
                        self.violations.append(f"{tell.__doc__} {told}")
                self.cases += plan.is_done
                return plan.is_done

            async def until_untouched(tell: Tell, mishap: Mishap, times: int) -> None:
                for nth in count(1):
                    if not await lead(tell, Plan(mishap, nth, times)):
                        return

            async with asyncio.TaskGroup() as group:
                for tell in self.lives:
                    for mishap in self.mishaps:
                        for times in (1, 2):
                            group.create_task(until_untouched(tell, mishap, times))
