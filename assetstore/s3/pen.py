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
    _last: Signature | None = field(init=False, default=None)

    async def take(self) -> tuple[TimedKeys, Signature]:
        """The keys, and what signs with them.

        Raises:
            StoreUnavailableError, StoreDeniedError: there are none (see `KeyRing.take`).
        """
        timed = self.keys.at_hand() or await self.keys.take()
        second = int(self.clock.now())
        last = self._last
        if last is None or last.at_seconds != second or last.keys is not timed.keys:
            last = self._last = Signature(timed.keys, self.scope, second)
        return timed, last
