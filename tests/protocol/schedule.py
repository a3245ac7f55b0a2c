"""One schedule: who runs next and what happens to each call, as a vector of small numbers.

At each choice point, 0 continues with the same actor and without a fault. Trailing zeros are omitted. Nothing is
random: the same vector gives the same run.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

from assetuploader.errors import StoreUnavailableError
from tests.protocol.code_under_test import Code
from tests.protocol.invariants import ViolationError
from tests.protocol.steps import Call, StepOutcome
from tests.protocol.system import Actor, InitialState, Script, System, gets, reconciles

_AGES: Final = timedelta(days=30)
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
    stage = _Stage(scenario.initial_state.start(code), bounds, vector)
    try:
        for name, script in scenario.processes:
            stage.enter(name, script)
        stage.play()
        end = stage.system.fingerprint()
        if end not in known_ends:
            _finish(stage.system)
            known_ends.add(end)
    except ViolationError as violation:
        stage.done.violation = str(violation)
    finally:
        for player in stage.players:
            player.coroutine.close()
    return stage.done


@dataclass(slots=True)
class _Player:
    actor: Actor
    coroutine: Coroutine[Any, Any, None]
    call: Call | None = None

    def go_on(self, result: object = None, error: Exception | None = None) -> None:
        try:
            self.call = self.coroutine.send(result) if error is None else self.coroutine.throw(error)
        except StopIteration:
            self.call = None

    def crash(self) -> None:
        self.coroutine.close()
        self.call = None


class _Choice(NamedTuple):
    player: _Player | None
    """None: a late request arrives, or the run ends."""
    outcome: StepOutcome
    late: Call | None = None


_END: Final = _Choice(None, StepOutcome.OK)


@dataclass(slots=True)
class _Stage:
    system: System
    left: Bounds
    vector: Sequence[int]
    done: Run = field(default_factory=Run)
    players: list[_Player] = field(default_factory=list)
    late: list[Call] = field(default_factory=list)
    current: _Player | None = None

    def enter(self, name: str, script: Script) -> None:
        actor = Actor(name)
        player = _Player(actor, script(self.system, actor))
        self.players.append(player)
        player.go_on()

    def play(self) -> None:
        self.current = self.players[0]
        while choices := self._choices():
            choice = choices[self._number(len(choices))]
            if choice is _END:
                return
            if choice.player is None:
                self._land(choice)
            else:
                self._apply(choice.player, choice.outcome)
            self.system.checker.check()

    def _choices(self) -> list[_Choice]:
        left, current = self.left, self.current
        is_free = current is None or current.call is None
        ready = [current] if current is not None and not is_free else []
        if is_free or (left.switches and left.together):
            ready += [player for player in self.players if player is not current and player.call is not None]
        choices = [] if ready or not self.late else [_END]  # a late request may never arrive
        choices += [_Choice(player, StepOutcome.OK) for player in ready]
        choices += [_Choice(None, StepOutcome.LATE, call) for call in self.late]
        if left.faults:
            for player in ready:
                # A fault of an actor that interrupts another counts as two.
                if player.call is not None and left.together > (not is_free and player is not current):
                    choices += [_Choice(player, outcome) for outcome in player.call.outcomes]
        return choices

    def _number(self, size: int) -> int:
        if size == 1:
            return 0
        at = len(self.done.vector)
        number = self.vector[at] if at < len(self.vector) else 0
        self.done.vector.append(number)
        self.done.sizes.append(size)
        return number

    def _land(self, choice: _Choice) -> None:
        call = choice.late
        assert call is not None
        self.late.remove(call)
        self.done.steps.append(("a late request arrives", call, StepOutcome.OK))
        _act(call)

    def _apply(self, player: _Player, outcome: StepOutcome) -> None:
        call = player.call
        assert call is not None
        is_switch = self.current is not None and self.current is not player and self.current.call is not None
        is_fault = outcome is not StepOutcome.OK
        left = self.left
        self.left = Bounds(left.faults - is_fault, left.switches - is_switch, left.together - is_fault - is_switch)
        self.current = player
        self.done.steps.append((player.actor.name, call, outcome))

        result, error = (None, None) if outcome in _WITHOUT_EFFECT else _act(call)
        self.system.checker.check()
        if outcome is StepOutcome.RETRIED:
            result, error = _act(call)
        if outcome in {StepOutcome.DOUBLED, StepOutcome.LATE}:
            self.late.append(call)
        if outcome in _FAULTS_SEEN_BY_CALLER:
            player.actor.had_fault = True
            result, error = None, StoreUnavailableError("S3 could not be reached")
        if outcome in {StepOutcome.CRASH_BEFORE, StepOutcome.CRASH_AFTER}:
            player.crash()
        else:
            player.go_on(result, error)


def _act(call: Call) -> tuple[object, Exception | None]:
    try:
        return call.act(), None
    except ViolationError:
        raise
    except Exception as error:  # noqa: BLE001 -- the caller decides about S3's errors
        return None, error


def _finish(system: System) -> None:
    """Check the end without faults: two clean runs now, two and a GET much later, and a run with nothing to do."""
    for name, wait in (("now", timedelta()), ("ages later", _AGES)):
        system.s3.now += wait
        for number in (1, 2):
            _play_alone(system, f"clean run {number} {name}", reconciles())
        system.checker.require_finished()
    _play_alone(system, "last getter", gets())
    system.checker.require_remembered()
    written = len(system.s3.writes)
    _play_alone(system, "idle run", reconciles())
    if len(system.s3.writes) != written:
        raise ViolationError(f"I6: a clean run over finished work wrote {system.s3.writes[written:]}")


def _play_alone(system: System, name: str, script: Script) -> None:
    actor = Actor(name)
    player = _Player(actor, script(system, actor))
    player.go_on()
    while player.call is not None:
        result, error = _act(player.call)
        system.checker.check()
        player.go_on(result, error)
