"""The AWS credentials: found and refreshed by boto3's chain, in a thread, before they expire.

The credentials of a role expire after about an hour. botocore would refresh them inside the call that finds them old,
which blocks the event loop. Here calls use the old ones, which are still valid, while one thread fetches new ones.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import BotoCoreError, ClientError

from assetuploader.errors import StoreAccessDeniedError, StoreMisconfiguredError, StoreUnavailableError
from assetuploader.s3.clock import Clock
from assetuploader.s3.error_mapping import THROTTLING_CODES, TRANSIENT_STATUSES
from assetuploader.s3.sigv4 import Credentials

if TYPE_CHECKING:
    from asyncio import Task
    from datetime import datetime

    from botocore.credentials import Credentials as BotocoreCredentials

ADVISORY_REFRESH_SECONDS: Final = 15 * 60
"""How long before their expiry credentials are refreshed in the background, as in botocore."""
MANDATORY_REFRESH_SECONDS: Final = 10 * 60
"""How long before their expiry calls wait for the refresh: URLs signed with the old ones would be short-lived."""
REFRESH_RETRY_SECONDS: Final = 30.0
"""The pause after a refresh that failed or returned nothing newer, while the old credentials are valid."""


@dataclass(frozen=True, slots=True)
class ExpiringCredentials:
    """Credentials, and when they expire."""

    credentials: Credentials
    expires_at: float | None
    """Unix seconds; None when they do not expire."""


class CredentialCache:
    """A cache of the current credentials, which it refreshes."""

    __slots__ = ("_clock", "_current", "_refresh", "_refresh_after", "_source")

    def __init__(self, source: "BotocoreCredentials", clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._current: ExpiringCredentials | None = None
        self._refresh_after = 0.0
        self._refresh: Task[ExpiringCredentials] | None = None

    async def get(self) -> ExpiringCredentials:
        """Return the credentials, refreshed if they are about to expire.

        Raises:
            StoreUnavailableError: There are no valid credentials, and none could be fetched.
            StoreAccessDeniedError: There are no valid credentials, and AWS rejects the role.
        StoreMisconfiguredError: The credentials contain characters that no header can carry.
        """
        current = self._current
        if current is not None and self._is_fresh(current):
            return current
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(asyncio.to_thread(self._fetch))
            self._refresh.add_done_callback(self._store_refreshed)
        valid_seconds = 0.0
        if current is not None and current.expires_at is not None:
            valid_seconds = current.expires_at - self._clock.now()
        if current is not None and valid_seconds > MANDATORY_REFRESH_SECONDS:
            return current
        try:
            # Shielded: a caller that stops waiting does not cancel the refresh for the others.
            return await asyncio.shield(self._refresh)
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            if current is not None and valid_seconds > 0:
                return current
            if isinstance(error, ClientError):  # the response of STS
                code = error.response["Error"].get("Code", "")
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if code in THROTTLING_CODES or status in TRANSIENT_STATUSES:
                    raise StoreUnavailableError(f"STS responds {status} {code}: try again later") from error
                raise StoreAccessDeniedError(f"STS refuses the role ({code}): check its trust policy") from error
            # The error's text is left out: it may contain a URL or a file of the role.
            raise StoreUnavailableError(
                f"the AWS credentials could not be fetched ({type(error).__name__}): check the role of the pod"
            ) from error

    def _is_fresh(self, current: ExpiringCredentials) -> bool:
        if current.expires_at is None:
            return True
        now = self._clock.now()
        return now < self._refresh_after and now < current.expires_at

    def _fetch(self) -> ExpiringCredentials:
        frozen = self._source.get_frozen_credentials()  # refreshes what is about to expire
        # botocore has the expiry of a role's credentials only in a private attribute.
        expiry: datetime | None = getattr(self._source, "_expiry_time", None)
        if frozen.access_key is None or frozen.secret_key is None:
            raise ValueError("no keys")
        credentials = Credentials(frozen.access_key, frozen.secret_key, cast("Any", frozen).token)
        _check_characters(credentials)
        return ExpiringCredentials(credentials, None if expiry is None else expiry.timestamp())

    def _store_refreshed(self, refresh: "Task[ExpiringCredentials]") -> None:
        now = self._clock.now()
        if refresh.cancelled() or refresh.exception() is not None:
            self._refresh_after = now + REFRESH_RETRY_SECONDS
            return
        self._current = refresh.result()
        expires_at = self._current.expires_at
        self._refresh_after = (
            0.0 if expires_at is None else max(expires_at - ADVISORY_REFRESH_SECONDS, now + REFRESH_RETRY_SECONDS)
        )


def _check_characters(credentials: Credentials) -> None:
    """Check that the credentials are printable ASCII without spaces: they become part of a header."""
    parts = {
        "access key (AWS_ACCESS_KEY_ID)": credentials.access_key_id,
        "secret key (AWS_SECRET_ACCESS_KEY)": credentials.secret_access_key,
        "session token (AWS_SESSION_TOKEN)": credentials.session_token,
    }
    for name, text in parts.items():
        if text is not None and not re.fullmatch(r"[!-~]+", text):
            raise StoreMisconfiguredError(
                f"the {name} contains a space, a line break or another such character: remove it"
            )
