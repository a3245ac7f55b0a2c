"""The keys to sign with: found and renewed by boto3's chain, in a thread, before they end.

Keys of a role end after an hour or so. botocore would renew them inside the call that finds them old, and block the
event loop; here callers go on with the old ones, which still work, while one thread fetches new ones.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import BotoCoreError, ClientError

from assetstore.errors import StoreDeniedError, StoreUnavailableError
from assetstore.s3.clock import Clock
from assetstore.s3.sigv4 import Keys

if TYPE_CHECKING:
    from asyncio import Task
    from datetime import datetime

    from botocore.credentials import Credentials

EARLY_SECONDS: Final = 15 * 60
"""So long before their end new keys are asked for: botocore's own advice."""
LATE_SECONDS: Final = 10 * 60
"""So long before their end nobody goes on with the old ones while new ones can be had: URLs signed would be short."""
_AGAIN_SECONDS: Final = 30.0
"""After a renewal that failed or brought nothing newer, before the next is tried while the old keys still work."""


@dataclass(frozen=True, slots=True)
class TimedKeys:
    """Keys, and when they end."""

    keys: Keys
    ends_at: float | None
    """Unix seconds; None when they do not."""


class KeyRing:
    """The current keys."""

    __slots__ = ("_clock", "_current", "_renew_after", "_renewal", "_source")

    def __init__(self, source: "Credentials", clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._current: TimedKeys | None = None
        self._renew_after = 0.0
        self._renewal: Task[TimedKeys] | None = None

    def at_hand(self) -> TimedKeys | None:
        """The keys, if they need no renewing: what nearly every call comes to."""
        current = self._current
        if current is not None:
            if current.ends_at is None:
                return current
            now = self._clock.now()
            if now < self._renew_after and now < current.ends_at:
                return current
        return None

    async def take(self) -> TimedKeys:
        """The keys, renewed if they are about to end.

        Raises:
            StoreUnavailableError: there are none that still work, and none could be fetched.
            StoreDeniedError: there are none, and the role may not be taken on.
        """
        if (found := self.at_hand()) is not None:
            return found
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(asyncio.to_thread(self._fetch))
            self._renewal.add_done_callback(self._keep)
        current = self._current
        left_seconds = 0.0 if current is None or current.ends_at is None else current.ends_at - self._clock.now()
        if current is not None and left_seconds > LATE_SECONDS:
            return current
        try:
            # Shielded: whoever gives up waiting does not end the renewal for the others.
            return await asyncio.shield(self._renewal)
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            if current is not None and left_seconds > 0:
                return current
            if isinstance(error, ClientError):  # STS answered
                code = error.response["Error"].get("Code")
                raise StoreDeniedError(f"the AWS role could not be taken on ({code}): check its policy") from error
            # The text may name a URL or a file of the role's; the kind says enough.
            raise StoreUnavailableError(f"the AWS credentials could not be fetched ({type(error).__name__})") from error

    def _fetch(self) -> TimedKeys:
        frozen = self._source.get_frozen_credentials()  # renews what is about to end
        # Keys of a role know their end, but only privately.
        ends: datetime | None = getattr(self._source, "_expiry_time", None)
        if frozen.access_key is None or frozen.secret_key is None:
            raise ValueError("no keys")
        keys = Keys(frozen.access_key, frozen.secret_key, cast("Any", frozen).token)
        return TimedKeys(keys, None if ends is None else ends.timestamp())

    def _keep(self, renewal: "Task[TimedKeys]") -> None:
        now = self._clock.now()
        if renewal.cancelled() or renewal.exception() is not None:
            self._renew_after = now + _AGAIN_SECONDS
            return
        self._current = renewal.result()
        ends_at = self._current.ends_at
        self._renew_after = 0.0 if ends_at is None else max(ends_at - EARLY_SECONDS, now + _AGAIN_SECONDS)
