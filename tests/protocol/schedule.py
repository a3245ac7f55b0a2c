"""One schedule: who runs next and what happens to each call, as a vector of small numbers.

At each choice point, 0 continues with the same actor and without a fault. Trailing zeros are omitted. Nothing is
random: the same vector gives the same run.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

from assetuploader.errors import PreconditionFailedError, StoreUnavailableError
from tests.protocol.code_under_test import Code
from tests.protocol.invariants import ViolationError
from tests.protocol.steps import Call, StepOutcome
from tests.protocol.system import Actor, InitialState, Script, System, gets, reconciles
from tests.protocol.upload_scans import scan_uploads_now

_LONG_AFTER: Final = timedelta(days=30)
_FAULTS_SEEN_BY_CALLER: Final = frozenset({StepOutcome.NOT_SENT, StepOutcome.LOST, StepOutcome.LATE})
_WITHOUT_EFFECT: Final = frozenset({StepOutcome.NOT_SENT, StepOutcome.LATE, StepOutcome.CRASH_BEFORE})


@dataclass(frozen=True, slots=True)
class Scenario:
    """An initial state, and the processes that act on it."""

    name: str
    initial_state: InitialState
    processes: tuple[tuple[str, Script], ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many faults and switches a schedule may have."""

    faults: int = 3
    switches: int = 3
    """How often one actor interrupts another between two of its calls."""
    together: int = 4
    """Faults and switches in one schedule, added up."""


@dataclass(slots=True)
class Run:
    """The run of one schedule."""

    vector: list[int] = field(default_factory=list)
    """The whole vector, with trailing zeros."""
    sizes: list[int] = field(default_factory=list)
    """How many choices there were at each point."""
    violation: str | None = None
    steps: list[tuple[str, Call, StepOutcome]] = field(default_factory=list)
    """Who called what, and what happened to the call."""

    @property
    def transcript(self) -> list[str]:
        """The steps as text."""
        return [
            f"{name}: {call.operation} {call.key}" + ("" if outcome is StepOutcome.OK else f"  [{outcome}]")
            for name, call, outcome in self.steps
        ]


def run(scenario: Scenario, code: Code, bounds: Bounds, vector: Sequence[int], *, known_ends: set[object]) -> Run:
    """Run one schedule: the choices of the vector, then zeros.

    The clean runs at the end depend only on the bucket and its records, so an end state that is known to be good is not
    checked again.
    """
    scheduler = _Scheduler(scenario.initial_state.start(code), bounds, vector)
    try:
        for name, script in scenario.processes:
            scheduler.add(name, script)
        scheduler.run_to_end()
        end = scheduler.system.fingerprint()
        if end not in known_ends:
            _finish(scheduler.system)
            known_ends.add(end)
    except ViolationError as violation:
        scheduler.done.violation = str(violation)
    finally:
        for running in scheduler.actors:
            running.coroutine.close()
    return scheduler.done


@dataclass(slots=True)
class _RunningActor:
    actor: Actor
    coroutine: Coroutine[Any, Any, None]
    call: Call | None = None

    def advance(self, result: object = None, error: Exception | None = None) -> None:
        try:
            self.call = self.coroutine.send(result) if error is None else self.coroutine.throw(error)
        except StopIteration:
            self.call = None
        except PreconditionFailedError as failed:
            raise ViolationError(f"{self.actor.name} failed because somebody else wrote: {failed}") from failed

    def crash(self) -> None:
        self.coroutine.close()
        self.call = None


class _Choice(NamedTuple):
    running: _RunningActor | None
    """None: a late request arrives, or the run ends."""
    outcome: StepOutcome
    late: Call | None = None


_END: Final = _Choice(None, StepOutcome.OK)


@dataclass(slots=True)
class _Scheduler:
    system: System
    remaining: Bounds
    vector: Sequence[int]
    done: Run = field(default_factory=Run)
    actors: list[_RunningActor] = field(default_factory=list)
    late: list[Call] = field(default_factory=list)
    current: _RunningActor | None = None

    def add(self, name: str, script: Script) -> None:
        actor = Actor(name)
        running = _RunningActor(actor, script(self.system, actor))
        self.actors.append(running)
        running.advance()

    def run_to_end(self) -> None:
        self.current = self.actors[0]
        while choices := self._choices():
            choice = choices[self._next_number(len(choices))]
            if choice is _END:
                return
            if choice.running is None:
                self._deliver_late(choice)
            else:
                self._apply(choice.running, choice.outcome)
            self.system.checker.check()

    def _choices(self) -> list[_Choice]:
        remaining, current = self.remaining, self.current
        is_free = current is None or current.call is None
        ready = [current] if current is not None and not is_free else []
        if is_free or (remaining.switches and remaining.together):
            ready += [running for running in self.actors if running is not current and running.call is not None]
        choices = [] if ready or not self.late else [_END]  # a late request may never arrive
        choices += [_Choice(running, StepOutcome.OK) for running in ready]
        choices += [_Choice(None, StepOutcome.LATE, call) for call in self.late]
        if remaining.faults:
            for running in ready:
                is_switch = not is_free and running is not current
                cost = 2 if is_switch else 1  # a fault of an actor that interrupts another is also a switch
                if running.call is not None and remaining.together >= cost:
                    choices += [_Choice(running, outcome) for outcome in running.call.outcomes]
        return choices

    def _next_number(self, size: int) -> int:
        if size == 1:
            return 0
        index = len(self.done.vector)
        number = self.vector[index] if index < len(self.vector) else 0
        self.done.vector.append(number)
        self.done.sizes.append(size)
        return number

    def _deliver_late(self, choice: _Choice) -> None:
        call = choice.late
        assert call is not None
        self.late.remove(call)
        self.done.steps.append(("a late request arrives", call, StepOutcome.OK))
        _take_effect(call)

    def _apply(self, running: _RunningActor, outcome: StepOutcome) -> None:
        call = running.call
        assert call is not None
        is_switch = self.current is not None and self.current is not running and self.current.call is not None
        is_fault = outcome is not StepOutcome.OK
        remaining = self.remaining
        self.remaining = Bounds(
            remaining.faults - is_fault, remaining.switches - is_switch, remaining.together - is_fault - is_switch
        )
        self.current = running
        self.done.steps.append((running.actor.name, call, outcome))

        result, error = (None, None) if outcome in _WITHOUT_EFFECT else _take_effect(call)
        self.system.checker.check()
        if outcome is StepOutcome.RETRIED:
            result, error = _take_effect(call)
        if outcome in {StepOutcome.DOUBLED, StepOutcome.LATE}:
            self.late.append(call)
        if outcome in _FAULTS_SEEN_BY_CALLER:
            running.actor.had_fault = True
            result, error = None, StoreUnavailableError("S3 could not be reached")
        if outcome in {StepOutcome.CRASH_BEFORE, StepOutcome.CRASH_AFTER}:
            running.crash()
        else:
            running.advance(result, error)


def _take_effect(call: Call) -> tuple[object, Exception | None]:
    try:
        return call.act(), None
    except ViolationError:
        raise
    except Exception as error:  # noqa: BLE001 -- the caller decides about S3's errors
        return None, error


def _finish(system: System) -> None:
    """Check the end without faults: two clean runs now, two and a GET much later, and a run with nothing to do."""
    system.checker.begin_clean_runs()
    for name, wait in (("now", timedelta()), ("long after", _LONG_AFTER)):
        system.s3.now += wait
        for number in (1, 2):
            _play_alone(system, f"clean run {number} {name}", reconciles())
        system.checker.require_finished()
    _play_alone(system, "last getter", gets())
    system.checker.require_promises_kept()
    system.checker.require_no_open_upload_in_sight()
    if system.s3.uploads:
        scan_uploads_now(system)
        system.checker.check()
        system.checker.require_no_open_uploads()
    written = len(system.s3.writes)
    _play_alone(system, "idle run", reconciles())
    if len(system.s3.writes) != written:
        raise ViolationError(f"I6: a clean run over finished work wrote {system.s3.writes[written:]}")


def _play_alone(system: System, name: str, script: Script) -> None:
    actor = Actor(name)
    running = _RunningActor(actor, script(system, actor))
    running.advance()
    while running.call is not None:
        result, error = _take_effect(running.call)
        system.checker.check()
        running.advance(result, error)
