"""One schedule: who goes next and what becomes of each call, as a vector of small numbers.

At each choice point 0 goes on with the same actor, and nothing goes wrong; zeros at the end are left out. Nothing is
random, so the same vector is the same run.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple

from assetstore.errors import StoreUnavailableError
from tests.protocol.code import Code
from tests.protocol.ledger import ViolationError
from tests.protocol.steps import Call, Fate
from tests.protocol.world import Actor, Scene, Script, World, reconciles

_AGES: Final = timedelta(days=30)
_HARM: Final = frozenset({Fate.NOT_SENT, Fate.LOST, Fate.LATE})
_EFFECT: Final = frozenset({Fate.OK, Fate.LOST, Fate.RETRIED, Fate.DOUBLED, Fate.CRASH_AFTER})


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scene and who acts in it."""

    name: str
    scene: Scene
    cast: tuple[tuple[str, Script], ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far schedules go from plain sailing."""

    faults: int = 3
    switches: int = 3
    """How often an actor is interrupted between two of its calls by another's."""
    together: int = 4
    """Faults and switches in one schedule."""


@dataclass(slots=True)
class Run:
    """One schedule, run."""

    vector: list[int] = field(default_factory=list)
    """The whole vector, zeros at the end too."""
    sizes: list[int] = field(default_factory=list)
    """How many choices there were at each point."""
    violation: str | None = None
    steps: list[tuple[str, Call, Fate]] = field(default_factory=list)
    """Who called what, and what became of it."""

    @property
    def story(self) -> list[str]:
        """The steps, as one reads them."""
        return [
            f"{name}: {call.operation} {call.key}" + ("" if fate is Fate.OK else f"  [{fate}]")
            for name, call, fate in self.steps
        ]


def run(scenario: Scenario, code: Code, bounds: Bounds, vector: Sequence[int], *, known_ends: set[object]) -> Run:
    """Run one schedule: the vector's choices, then all zeros.

    The clean runs at the end depend on nothing but the bucket and its books: ends that are known to be good need no
    second look.
    """
    stage = _Stage(scenario.scene.set(code), bounds, vector)
    try:
        for name, script in scenario.cast:
            stage.enter(name, script)
        stage.play()
        end = stage.world.fingerprint()
        if end not in known_ends:
            _finish(stage.world)
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

    def go_on(self, answer: object = None, error: Exception | None = None) -> None:
        try:
            self.call = self.coroutine.send(answer) if error is None else self.coroutine.throw(error)
        except StopIteration:
            self.call = None

    def crash(self) -> None:
        self.coroutine.close()
        self.call = None


class _Choice(NamedTuple):
    player: _Player | None
    """None: a late request lands, or, when there is none either, all is over."""
    fate: Fate
    late: Call | None = None


_END: Final = _Choice(None, Fate.OK)


@dataclass(slots=True)
class _Stage:
    world: World
    left: Bounds
    vector: Sequence[int]
    done: Run = field(default_factory=Run)
    players: list[_Player] = field(default_factory=list)
    late: list[Call] = field(default_factory=list)
    current: _Player | None = None

    def enter(self, name: str, script: Script) -> None:
        actor = Actor(name)
        player = _Player(actor, script(self.world, actor))
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
                self._befall(choice.player, choice.fate)
            self.world.ledger.look()

    def _choices(self) -> list[_Choice]:
        left, current = self.left, self.current
        is_free = current is None or current.call is None
        ready = [current] if current is not None and not is_free else []
        if is_free or (left.switches and left.together):
            ready += [player for player in self.players if player is not current and player.call is not None]
        choices = [] if ready or not self.late else [_END]  # what is still on its way may never land
        choices += [_Choice(player, Fate.OK) for player in ready]
        choices += [_Choice(None, Fate.LATE, call) for call in self.late]
        if left.faults:
            for player in ready:
                # To fault an actor that interrupts another is two steps from plain sailing.
                if player.call is not None and left.together > (not is_free and player is not current):
                    choices += [_Choice(player, fate) for fate in player.call.fates]
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
        self.done.steps.append(("a late request lands", call, Fate.OK))
        _act(call)

    def _befall(self, player: _Player, fate: Fate) -> None:
        call = player.call
        assert call is not None
        is_switch = self.current is not None and self.current is not player and self.current.call is not None
        is_fault = fate is not Fate.OK
        left = self.left
        self.left = Bounds(left.faults - is_fault, left.switches - is_switch, left.together - is_fault - is_switch)
        self.current = player
        self.done.steps.append((player.actor.name, call, fate))

        answer, error = _act(call) if fate in _EFFECT else (None, None)
        self.world.ledger.look()
        if fate is Fate.RETRIED:
            answer, error = _act(call)
        if fate in {Fate.DOUBLED, Fate.LATE}:
            self.late.append(call)
        if fate in _HARM:
            player.actor.is_harmed = True
            answer, error = None, StoreUnavailableError("S3 could not be reached")
        if fate in {Fate.CRASH_BEFORE, Fate.CRASH_AFTER}:
            player.crash()
        else:
            player.go_on(answer, error)


def _act(call: Call) -> tuple[object, Exception | None]:
    try:
        return call.act(), None
    except ViolationError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever S3 raises is the caller's to judge
        return None, error


def _finish(world: World) -> None:
    """Faults have stopped: two clean runs now, two long after, and one more that has nothing to do."""
    for name, wait in (("now", timedelta()), ("ages later", _AGES)):
        world.s3.now += wait
        for number in (1, 2):
            _clean_run(world, f"clean run {number} {name}")
        world.ledger.require_finished()
    world.ledger.require_remembered()
    written = len(world.s3.writes)
    _clean_run(world, "idle run")
    if len(world.s3.writes) != written:
        raise ViolationError(f"I6: a clean run over finished work wrote {world.s3.writes[written:]}")


def _clean_run(world: World, name: str) -> None:
    actor = Actor(name)
    player = _Player(actor, reconciles()(world, actor))
    player.go_on()
    while player.call is not None:
        answer, error = _act(player.call)
        world.ledger.look()
        player.go_on(answer, error)
