"""What requests and URLs are signed with now: the current keys, at S3's time."""

from dataclasses import dataclass, field

from assetstore.s3.clock import Clock
from assetstore.s3.credentials import KeyRing, TimedKeys
from assetstore.s3.sigv4 import Scope, Signature


@dataclass(slots=True)
class Pen:
    """Makes one `Signature` a second, for all that is signed in it."""

    keys: KeyRing
    clock: Clock
    scope: Scope
    _last: tuple[TimedKeys, Signature] | None = field(init=False, default=None)

    def at_hand(self) -> tuple[TimedKeys, Signature] | None:
        """The keys, and what signs with them, if they need no renewing: what nearly every call comes to."""
        timed = self.keys.at_hand()
        return None if timed is None else self._signing_with(timed)

    async def take(self) -> tuple[TimedKeys, Signature]:
        """The keys, and what signs with them.

        Raises:
            StoreUnavailableError, StoreDeniedError: there are none (see `KeyRing.take`).
        """
        return self._signing_with(await self.keys.take())

    def _signing_with(self, timed: TimedKeys) -> tuple[TimedKeys, Signature]:
        second = int(self.clock.now())
        last = self._last
        if last is None or last[1].at_seconds != second or last[0] is not timed:
            last = self._last = timed, Signature(timed.keys, self.scope, second)
        return last
