"""The current signer: the current credentials at S3's time."""

from dataclasses import dataclass, field

from assetuploader.s3.clock import Clock
from assetuploader.s3.credentials import CredentialCache, ExpiringCredentials
from assetuploader.s3.sigv4 import Scope, SigV4Signer


@dataclass(slots=True)
class SigningKeyProvider:
    """A cache of the signer for one second: deriving its key takes 10 us, as long as signing three requests."""

    credentials: CredentialCache
    clock: Clock
    scope: Scope
    _last: tuple[ExpiringCredentials, SigV4Signer] | None = field(init=False, default=None)

    async def get(self) -> tuple[ExpiringCredentials, SigV4Signer]:
        """Return the credentials and their signer.

        Raises:
            StoreUnavailableError, StoreAccessDeniedError: There are no credentials; see `CredentialCache.get`.
        """
        current = await self.credentials.get()
        now = int(self.clock.now())
        if self._last is None or self._last[0] is not current or self._last[1].signed_at != now:
            self._last = current, SigV4Signer(current.credentials, self.scope, now)
        return self._last
