"""Fail the n-th call: every S3 call of every lifecycle, with every fault, once and twice in a row, on the wire."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from uuid import UUID, uuid4

from assetuploader.conformance import prepare_check_object
from dev.seaweedfs import HOST, LocalS3
from tests.faults.lifecycles import LIFECYCLES, Lifecycle, opened_bucket
from tests.support.fault_proxy import FAULTS, Fault, running_proxy
from tests.support.http_messages import Message

CONCURRENCY: Final = 24
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Script = Callable[[Lifecycle], Awaitable[None]]


@dataclass(slots=True)
class FaultPlan:
    """The faults of one asset's calls."""

    fault: Fault
    nth: int
    times: int
    calls: int = 0

    def next(self) -> Fault:
        """Count a call; return its fault, or `Fault.NONE`."""
        self.calls += 1
        return self.fault if self.nth <= self.calls < self.nth + self.times else Fault.NONE

    @property
    def has_failed_call(self) -> bool:
        """Whether the call that should fail was made."""
        return self.calls >= self.nth


@dataclass(slots=True)
class NthCall:
    """One run of the check."""

    s3: LocalS3
    faults: tuple[Fault, ...] = FAULTS
    lifecycles: tuple[Script, ...] = LIFECYCLES
    plans: dict[str, FaultPlan] = field(default_factory=dict)
    cases: int = 0
    violations: list[str] = field(default_factory=list)

    def decide(self, request: Message) -> tuple[Fault, float]:
        """Choose the fault of a request, by the plan of its asset."""
        found = _ID.search(request.target) or _ID.search(request.body.decode("latin-1"))
        plan = self.plans.get(found[0]) if found else None
        return (plan.next() if plan else Fault.NONE), 0.0

    async def run(self) -> None:
        """Fail every call of every lifecycle with every fault."""
        limit = asyncio.Semaphore(CONCURRENCY)
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(running_proxy(HOST, self.s3.port, self.decide))
            faulty = await stack.enter_async_context(opened_bucket(self.s3, f"http://{HOST}:{proxy.port}"))
            direct = await stack.enter_async_context(opened_bucket(self.s3, self.s3.endpoint_url))
            await prepare_check_object(direct.store)  # without it no 404 counts

            async def run_with(script: Script, plan: FaultPlan) -> bool:
                """Run one lifecycle with one plan; return whether the call that should fail was made."""

                def make_id() -> UUID:
                    asset_id = uuid4()
                    self.plans[str(asset_id)] = plan
                    return asset_id

                lifecycle = Lifecycle(make_id, faulty, direct)
                async with limit:
                    try:
                        await script(lifecycle)
                    except Exception as error:  # noqa: BLE001 -- any error is a finding
                        call = f"call {plan.nth} {plan.fault}, {plan.times} in a row"
                        self.violations.append(f"{script.__doc__} {call}: {error!r} ({lifecycle.errors})")
                self.cases += plan.has_failed_call
                return plan.has_failed_call

            async def fail_each_call(script: Script, fault: Fault, times: int) -> None:
                for nth in count(1):
                    if not await run_with(script, FaultPlan(fault, nth, times)):
                        return

            async with asyncio.TaskGroup() as group:
                for script in self.lifecycles:
                    for fault in self.faults:
                        for times in (1, 2):
                            group.create_task(fail_each_call(script, fault, times))
