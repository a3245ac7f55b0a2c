"""Credentials come from boto3's chain; they are refreshed before they expire, in a thread, once for all callers."""

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError, CredentialRetrievalError

from assetuploader.errors import StoreAccessDeniedError, StoreMisconfiguredError, StoreUnavailableError
from assetuploader.s3.clock import Clock
from assetuploader.s3.credentials import (
    ADVISORY_REFRESH_SECONDS,
    MANDATORY_REFRESH_SECONDS,
    CredentialCache,
    ExpiringCredentials,
)
from assetuploader.s3.sigv4 import Credentials
from tests.support.fake_server import wait_until

HOUR = 3600


@dataclass(slots=True)
class Role:
    """A role whose credentials are valid for an hour: real RefreshableCredentials on the test's clock."""

    now: float = 1_780_000_000.0
    fetched: int = 0
    failure: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)

    def fetch(self) -> dict[str, str]:
        """Fetch new credentials; botocore calls this in a thread."""
        assert threading.current_thread() is not threading.main_thread()
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        self.fetched += 1
        return {
            "access_key": f"AK{self.fetched}",
            "secret_key": "SK",
            "token": f"T{self.fetched}",
            "expiry_time": datetime.fromtimestamp(self.now + HOUR, UTC).isoformat(),
        }

    def build_cache(self) -> CredentialCache:
        """Return a cache of this role's credentials, none fetched yet."""
        source = RefreshableCredentials(
            "AK0",
            "SK",
            "T0",
            datetime.fromtimestamp(self.now - 1, UTC),
            self.fetch,
            "test",
            time_fetcher=lambda: datetime.fromtimestamp(self.now, UTC),
        )
        return CredentialCache(source, Clock(lambda: self.now))


@pytest.fixture
def role() -> Role:
    """A role that returns credentials at once."""
    role = Role()
    role.gate.set()
    return role


async def test_credentials_without_expiry_are_fetched_once() -> None:
    """Credentials of the environment do not expire."""
    cache = CredentialCache(BotocoreCredentials("AK", "SK", "T"), Clock(lambda: 0.0))
    assert await cache.get() == ExpiringCredentials(Credentials("AK", "SK", "T"), None)
    assert await cache.get() is await cache.get()


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        (("AK\r\nX-Injected: 1", "SK", "T"), "AWS_ACCESS_KEY_ID"),
        (("AK", "a secret", "T"), "AWS_SECRET_ACCESS_KEY"),
        (("AK", "secret\n", "T"), "AWS_SECRET_ACCESS_KEY"),
        (("AK", "SK", "secret\0"), "AWS_SESSION_TOKEN"),
        (("AK", "SK", "\u00fc"), "AWS_SESSION_TOKEN"),
        (("", "SK", "T"), "AWS_ACCESS_KEY_ID"),
    ],
)
async def test_credentials_that_no_header_can_carry_are_a_misconfiguration(
    values: tuple[str, str, str], variable: str
) -> None:
    """The error names the variable and does not contain its value."""
    with pytest.raises(StoreMisconfiguredError, match=variable) as caught:
        await CredentialCache(BotocoreCredentials(*values), Clock(lambda: 0.0)).get()
    assert "secret\0" not in str(caught.value)
    assert "a secret" not in str(caught.value)


async def test_credentials_of_a_role_are_kept_until_shortly_before_they_expire(role: Role) -> None:
    """They are fetched once for an hour, and again a quarter of an hour before they expire."""
    cache = role.build_cache()
    first = await cache.get()
    assert first == ExpiringCredentials(Credentials("AK1", "SK", "T1"), role.now + HOUR)
    role.now += HOUR - ADVISORY_REFRESH_SECONDS - 1
    assert await cache.get() is first
    assert role.fetched == 1
    role.now += 2
    await cache.get()
    await wait_until(lambda: role.fetched == 2)


async def test_no_caller_waits_while_the_old_credentials_are_valid(role: Role) -> None:
    """From fifteen to ten minutes before they expire, callers use the old credentials while one thread fetches."""
    cache = role.build_cache()
    first = await cache.get()
    role.now += HOUR - ADVISORY_REFRESH_SECONDS + 1
    role.gate.clear()
    assert [await cache.get() for _ in range(3)] == [first] * 3
    role.gate.set()
    await wait_until(lambda: role.fetched == 2)
    async with asyncio.timeout(10):
        while await cache.get() is first:  # noqa: ASYNC110 -- until the refresh is stored
            await asyncio.sleep(0)


async def test_all_callers_wait_for_one_refresh_shortly_before_the_expiry(role: Role) -> None:
    """Ten minutes before they expire all callers wait for the same refresh; a cancelled caller does not stop it."""
    cache = role.build_cache()
    await cache.get()
    role.now += HOUR - MANDATORY_REFRESH_SECONDS + 1
    role.gate.clear()
    callers = [asyncio.ensure_future(cache.get()) for _ in range(5)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    role.gate.set()
    refreshed = await asyncio.gather(*callers[1:])
    assert {result.credentials.access_key_id for result in refreshed} == {"AK2"}
    assert role.fetched == 2


THROTTLED = ClientError(
    {"Error": {"Code": "Throttling", "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item]
    "AssumeRoleWithWebIdentity",
)
STS_DOWN = ClientError(
    {"Error": {"Code": "InternalFailure", "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": 500}},  # type: ignore[typeddict-item]
    "AssumeRoleWithWebIdentity",
)
RETRIEVAL_ERROR = CredentialRetrievalError(provider="iam-role", error_msg="no response from http://169.254.170.23")
ACCESS_DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "x"}}, "AssumeRoleWithWebIdentity")


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (RETRIEVAL_ERROR, StoreUnavailableError),
        (OSError("x"), StoreUnavailableError),
        (THROTTLED, StoreUnavailableError),
        (STS_DOWN, StoreUnavailableError),
        (ACCESS_DENIED, StoreAccessDeniedError),
    ],
)
async def test_credentials_that_cannot_be_fetched_are_an_error(
    role: Role, failure: Exception, error: type[Exception]
) -> None:
    """Without valid credentials, a failed refresh is a StoreError, and the next call tries again."""
    cache = role.build_cache()
    role.failure = failure
    with pytest.raises(error) as caught:
        await cache.get()
    assert "169.254" not in str(caught.value)
    role.failure = None
    assert (await cache.get()).credentials.access_key_id == "AK1"


async def test_old_credentials_are_used_until_they_expire_if_the_refresh_fails(role: Role) -> None:
    """A refresh that fails affects no call before the old credentials expire, and fails every call after."""
    cache = role.build_cache()
    first = await cache.get()
    role.failure = RETRIEVAL_ERROR
    role.now += HOUR - 60
    assert await cache.get() == first
    assert await cache.get() == first  # not fetched again at once
    role.now += 61
    with pytest.raises(StoreUnavailableError):
        await cache.get()


async def test_a_source_without_credentials_is_unavailable() -> None:
    """A provider without credentials is an error, not an empty signature."""
    nothing: Any = None
    with pytest.raises(StoreUnavailableError):
        await CredentialCache(BotocoreCredentials(nothing, nothing), Clock(lambda: 0.0)).get()
