"""An event loop whose clock jumps to the next timer when nothing else is to be done: a day takes seconds."""

import asyncio
from collections.abc import Callable, Coroutine
from selectors import DefaultSelector, SelectorKey
from typing import Any, Final, TypeVar

Result = TypeVar("Result")


_TICK_SECONDS: Final = 1e-6
"""What each turn of the loop takes: time that stands still would keep a program from noticing that it has passed."""


class _JumpingSelector(DefaultSelector):
    """A selector that never waits, and reports how long it would have."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Return what is ready, after a jump to the end of the timeout if nothing is."""
        ready: list[tuple[SelectorKey, int]] = super().select(0)
        self._jump(max(_TICK_SECONDS, 0.0 if ready or timeout is None else timeout))
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time begins at zero. Whatever runs on it must wait for timers only."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self._advance))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def _advance(self, seconds: float) -> None:
        self._now += seconds


def run_in_virtual_time(main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine on a new loop until it ends."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)
        return runner.run(main(loop))
