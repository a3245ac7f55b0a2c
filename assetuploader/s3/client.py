"""One S3 operation: signed, sent, retried where that helps, parsed and observed.

Every operation is safe to retry, including conditional writes: if the first attempt succeeded but its response was
lost, the retry fails with 412 and the caller reads again (docs/design.md). A delayed first attempt of a conditional
write cannot apply later, because every write changes the ETag.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Final, TypeVar

from assetuploader.errors import (
    StoreMisconfiguredError,
    StoreUnavailableError,
)
from assetuploader.instrumentation import CALL_ERRORS, CallObserver, CallOutcome, StoreCall, noop_observer
from assetuploader.s3.clock import MAX_SKEW_SECONDS, Clock, parse_http_date
from assetuploader.s3.endpoint import Endpoint
from assetuploader.s3.error_mapping import On404, S3ErrorResponse, parse_error, to_store_error
from assetuploader.s3.http import CertificateError, Request, Response, Timeouts, Transport, TransportError
from assetuploader.s3.limits import AimdLimiter, RetryQuota
from assetuploader.s3.signing import SigningKeyProvider
from assetuploader.s3.sigv4 import EMPTY_SHA256, SigningTarget, canonical_query
from assetuploader.s3.xml import MalformedResponseError

T = TypeVar("T")

MAX_ATTEMPTS: Final = 3
MAX_RESPONSE_BYTES: Final = 64 * 1024
READ_TIMEOUT: Final = Timeouts(read_seconds=5, total_seconds=60)
BATCH_TIMEOUT: Final = Timeouts(read_seconds=60, total_seconds=120)
"""Some stores delete a thousand objects one by one before they respond."""
COPY_TIMEOUT: Final = Timeouts(read_seconds=300, total_seconds=300)
"""S3 responds to CopyObject and CompleteMultipartUpload after the work: minutes for a large object."""
BACKOFF_BASE_SECONDS: Final = 0.1
BACKOFF_MAX_SECONDS: Final = 2.0
_BEGIN_EARLY: Final = frozenset({"CopyObject", "CompleteMultipartUpload"})
_CONDITIONS: Final = frozenset({"if-match", "if-none-match", "x-amz-copy-source-if-match"})


@dataclass(frozen=True, slots=True)
class S3Operation:
    """One operation, before it is signed."""

    name: str
    """S3's name of it, as in `HeadObject`."""
    method: str
    key: str
    """Empty for an operation on the bucket itself."""
    on_404: On404
    query: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[str, str]] = ()
    """Names in lower case, values printable ASCII."""
    body: bytes = b""
    max_response_bytes: int = MAX_RESPONSE_BYTES
    timeouts: Timeouts = READ_TIMEOUT

    @property
    def begins_early(self) -> bool:
        """Whether S3 begins its response before the work is done, so that an error may come with 200."""
        return self.name in _BEGIN_EARLY

    @property
    def is_conditional(self) -> bool:
        """Whether it has a condition that can fail."""
        return any(name in _CONDITIONS for name, _ in self.headers)


@dataclass(frozen=True, slots=True)
class S3Client:
    """A client that executes operations on one bucket."""

    endpoint: Endpoint
    signing: SigningKeyProvider
    clock: Clock
    transport: Transport
    limiter: AimdLimiter
    on_call: CallObserver = noop_observer
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    """Returns a number from 0 to 1."""
    retry_quota: RetryQuota = field(default_factory=RetryQuota)

    async def execute(self, operation: S3Operation, parse: Callable[[Response], T]) -> T:
        """Execute an operation and return its parsed response.

        `parse` may raise MalformedResponseError, KeyError and ValueError.

        Raises:
            StoreError: The operation failed, or its response cannot be parsed.
            PreconditionFailedError: See `ObjectStore`.
            MultipartUploadLostError, PartsRejectedError: See `MultipartStore`.
        """
        started_at = time.perf_counter()
        attempts = _AttemptState()
        outcome = CallOutcome.CANCELLED
        try:
            response = await self._send_with_retries(operation, attempts)
            try:
                result = parse(response)
            except (MalformedResponseError, KeyError, ValueError) as error:
                raise StoreUnavailableError(
                    f"S3's response to {operation.name} cannot be parsed: check that the endpoint is an S3 API"
                ) from error
            outcome = CallOutcome.NOT_FOUND if response.status == HTTPStatus.NOT_FOUND else CallOutcome.SUCCESS
        except CALL_ERRORS as error:
            outcome = CallOutcome.of_error(error)
            raise
        finally:
            seconds = time.perf_counter() - started_at
            self.on_call(StoreCall(operation.name, outcome, seconds, attempts.retries))
        return result

    def server_time(self, response: Response) -> datetime:
        """Return S3's clock when it responded, in whole seconds."""
        try:
            return parse_http_date(response.headers[b"date"].decode("latin-1"))
        except (KeyError, ValueError):  # a proxy removed or changed the date
            return datetime.fromtimestamp(int(self.clock.now()), UTC)

    async def _send_with_retries(self, operation: S3Operation, attempts: "_AttemptState") -> Response:
        while True:
            offset_when_signed = self.clock.offset_seconds
            try:
                async with self.limiter:
                    request, sent_at = await self._sign(operation), self.clock.read()
                    response = await self.transport(request)
                    if (date := response.header("date")) is not None:
                        self.clock.observe(date, sent_at)
                    error_response = parse_error(response, operation.on_404, begins_early=operation.begins_early)
                    self._adapt_limit(error_response)
            except CertificateError as error:
                raise StoreMisconfiguredError(str(error)) from error
            except TransportError as error:
                if not error.is_retryable or not self._acquire_retry(attempts):
                    raise StoreUnavailableError(f"S3 could not be reached: {error}") from error
            else:
                if error_response is None:
                    return response
                if not attempts.is_clock_corrected and self._was_rejected_for_skew(error_response, offset_when_signed):
                    attempts.is_clock_corrected = True
                    continue
                if not error_response.is_transient or not self._acquire_retry(attempts):
                    raise to_store_error(error_response, operation.on_404, is_conditional=operation.is_conditional)
            backoff = min(BACKOFF_MAX_SECONDS, BACKOFF_BASE_SECONDS * 2 ** (attempts.retries - 1))
            await self.sleep(backoff * self.jitter())

    async def _sign(self, operation: S3Operation) -> Request:
        _, signer = await self.signing.get()
        path = self.endpoint.path_of(operation.key)
        headers = signer.sign_headers(
            SigningTarget(operation.method, self.endpoint.host, path, operation.query),
            operation.headers,
            sha256(operation.body).hexdigest() if operation.body else EMPTY_SHA256,
        )
        query = f"?{canonical_query(operation.query)}" if operation.query else ""
        return Request(
            operation.name,
            operation.method,
            f"{self.endpoint.origin}{path}{query}",
            headers,
            operation.body,
            operation.max_response_bytes,
            operation.timeouts,
        )

    def _adapt_limit(self, error_response: S3ErrorResponse | None) -> None:
        if error_response is None:
            self.retry_quota.release()
            self.limiter.on_success()
        elif error_response.is_throttling:
            self.limiter.on_throttle(asyncio.get_running_loop().time())

    def _acquire_retry(self, attempts: "_AttemptState") -> bool:
        if attempts.retries + 1 >= MAX_ATTEMPTS or not self.retry_quota.acquire():
            return False
        attempts.retries += 1
        return True

    def _was_rejected_for_skew(self, error_response: S3ErrorResponse, offset_when_signed: float) -> bool:
        """Return whether S3 rejected the time of the signature, and its response has corrected the clock."""
        correction = abs(self.clock.offset_seconds - offset_when_signed)
        if error_response.code == "RequestTimeTooSkewed":
            return correction > 0
        # The response to HEAD has no code. One minute less, for the time that the response took.
        return error_response.status == HTTPStatus.FORBIDDEN and correction > MAX_SKEW_SECONDS - 60


@dataclass(slots=True)
class _AttemptState:
    """What the attempts of one operation did so far."""

    retries: int = 0
    is_clock_corrected: bool = False
