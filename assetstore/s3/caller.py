"""One call to S3, from what is asked to what came of it: signed, sent, repeated where that helps, observed.

Every call may be repeated after a lost answer, conditional writes too. A write that was done although its answer was
lost makes its repetition fail its condition, which tells every caller of the door to read again (docs/design.md, 3);
and a first attempt that arrives late finds an ETag that never comes back, for each write has a new nonce.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, TypeVar

from assetstore.calls import Called, Ending, Observe, observe_nothing
from assetstore.errors import (
    PreconditionFailedError,
    StoreDeniedError,
    StoreError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)
from assetstore.s3.documents import UnreadableError
from assetstore.s3.endpoint import Endpoint
from assetstore.s3.message import Answer, NoAnswerError, Patience, Request, Send, UntrustedError
from assetstore.s3.pace import Pace, RetryBudget
from assetstore.s3.pen import Pen
from assetstore.s3.pool import Pool
from assetstore.s3.refusal import Missing, Refusal, error_of, refusal_of
from assetstore.s3.sigv4 import EMPTY_SHA256, Signature, Target, canonical_query, sign_headers

T = TypeVar("T")

ATTEMPTS: Final = 3
ANSWER_LIMIT: Final = 64 * 1024
READ: Final = Patience(silent_seconds=5, total_seconds=60)
BATCH: Final = Patience(silent_seconds=60, total_seconds=120)
"""Some stores delete a thousand objects one after the other before they answer."""
COPY: Final = Patience(silent_seconds=300, total_seconds=300)
"""S3 answers CopyObject when the copy is made: minutes for the 5 GB that one may have."""
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0
_MISSING_STATUS: Final = 404
_CONDITIONS: Final = frozenset({"if-match", "if-none-match", "x-amz-copy-source-if-match"})


@dataclass(slots=True)  # not frozen: a frozen one takes twice as long to make, and each request has one
class Ask:
    """One call, before it is signed."""

    operation: str
    """S3's name of it."""
    method: str
    key: str
    """Empty for the bucket itself."""
    missing: Missing
    query: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[str, str]] = ()
    """Names in lower case, values printable ASCII."""
    body: bytes = b""
    answer_limit: int = ANSWER_LIMIT
    """Longest body of an answer, in bytes."""
    patience: Patience = READ

    @property
    def is_conditional(self) -> bool:
        """Whether it names the version that it is about."""
        return any(name in _CONDITIONS for name, _ in self.headers)


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes calls to one bucket."""

    endpoint: Endpoint
    pen: Pen
    pool: Pool
    send: Send
    """`pool.send`, or what a test wrapped round it."""
    pace: Pace
    observe: Observe = observe_nothing
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    budget: RetryBudget = field(default_factory=RetryBudget)

    async def call(self, ask: Ask, read: Callable[[Answer], T]) -> T:
        """What `read` makes of S3's answer.

        Raises:
            StoreError: S3 did not do it, or `read` cannot read it (UnreadableError, KeyError, ValueError).
            PreconditionFailedError: as `Door` says.
        """
        started_at = time.perf_counter()
        tries = _Tries()
        ending = Ending.CANCELLED
        try:
            answer = await self._answered(ask, tries)
            try:
                result = read(answer)
            except (UnreadableError, KeyError, ValueError) as error:
                raise StoreUnavailableError(f"S3's answer to {ask.operation} cannot be read") from error
            ending = Ending.MISSING if answer.status == _MISSING_STATUS else Ending.DONE
        except (StoreError, PreconditionFailedError) as error:
            ending = _ending(error)
            raise
        finally:
            self.observe(Called(ask.operation, ending, time.perf_counter() - started_at, tries.retries))
        return result

    async def _answered(self, ask: Ask, tries: "_Tries") -> Answer:
        while True:
            _, signature = self.pen.at_hand() or await self.pen.take()
            request = self._sign(ask, signature)
            try:
                answer = await self.send(request)
            except UntrustedError as error:
                raise StoreMisconfiguredError(str(error)) from error
            except NoAnswerError as error:
                unavailable = StoreUnavailableError(f"S3 could not be reached: {error}")
                if error.is_final or not self._may_repeat(tries):
                    raise unavailable from error
            else:
                refusal = refusal_of(answer, ask.missing)
                if refusal is None:
                    self._went_well()
                    return answer
                if refusal.asks_for_patience:
                    under_way = self.pool.busy + 1  # this one has just left
                    self.pool.limit = self.pace.slow_down(asyncio.get_running_loop().time(), under_way)
                if self._may_correct_clock(refusal, answer, tries):
                    continue
                if not refusal.may_pass or not self._may_repeat(tries):
                    raise error_of(refusal, ask.missing, is_conditional=ask.is_conditional)
            longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (tries.retries - 1))
            await self.pause(longest * self.chance())

    def _sign(self, ask: Ask, by: Signature) -> Request:
        path = self.endpoint.path_of(ask.key)
        headers = sign_headers(
            Target(ask.method, self.endpoint.host, path, ask.query),
            ask.headers,
            sha256(ask.body).hexdigest() if ask.body else EMPTY_SHA256,
            by,
        )
        length = f"content-length: {len(ask.body)}\r\n" if ask.method in {"PUT", "POST"} else ""
        query = f"?{canonical_query(ask.query)}" if ask.query else ""
        head = f"{ask.method} {path}{query} HTTP/1.1\r\n{headers}user-agent: assetuploader\r\n{length}\r\n"
        data = head.encode("ascii") + ask.body
        return Request(ask.operation, data, ask.method == "HEAD", ask.answer_limit, ask.patience)

    def _went_well(self) -> None:
        self.budget.earn()
        if self.pool.limit < self.pool.size:
            self.pool.limit = self.pace.speed_up()
            self.pool.admit()

    def _may_repeat(self, tries: "_Tries") -> bool:
        if tries.retries + 1 >= ATTEMPTS or not self.budget.spend():
            return False
        tries.retries += 1
        return True

    def _may_correct_clock(self, refusal: Refusal, answer: Answer, tries: "_Tries") -> bool:
        date = answer.header("date")
        is_skewed = refusal.code == "RequestTimeTooSkewed" or (
            refusal.status == 403 and self.pen.clock.is_far_from(date)  # noqa: PLR2004 -- HEAD is refused without a code
        )
        if not is_skewed or tries.is_clock_set or date is None:
            return False
        tries.is_clock_set = True
        self.pen.clock.set_by(date)
        return True


@dataclass(slots=True)
class _Tries:
    """What one call has tried already."""

    retries: int = 0
    is_clock_set: bool = False


def _ending(error: Exception) -> Ending:
    match error:
        case PreconditionFailedError():
            return Ending.PRECONDITION_FAILED
        case StoreDeniedError():
            return Ending.DENIED
        case StoreMisconfiguredError():
            return Ending.MISCONFIGURED
        case _:
            return Ending.UNAVAILABLE
