"""Does this store keep the promises that the protocol stands on? Asked at every start, answered by trying.

Several S3-compatible stores answer 200 where a condition should have failed. On such a store assets are lost although
every rule of the protocol is kept, so it is refused. All that a probe ever leaves is two small objects of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import urllib3

from assetstore.door import Door, Head, Said, Signer
from assetstore.errors import PreconditionFailedError, StoreUnavailableError, StoreUnfitError
from assetstore.protocol import TEMP_PREFIX, UPLOADED_PREFIX

PROBE_KEY: Final = UPLOADED_PREFIX + "_probe"
PROBE_TARGET_KEY: Final = TEMP_PREFIX + "_probe"

PROBE_SAID: Final = Said(metadata={"purpose": "probe"}, tags={"purpose": "probe"})
_OTHER_ETAG: Final = "0" * 32
_SECONDS: Final = 5.0


async def probe_conditions(door: Door) -> None:
    """Check that conditional writes and copies are refused when their condition fails, and that metadata is kept.

    Raises:
        StoreUnfitError: one of them is not; the message names it.
        StoreError: S3 could not be asked, or refuses these credentials, or there is no such bucket.
    """
    head = await write_probe(door)
    for trial in condition_trials(door, head):
        await trial.run()


async def write_probe(door: Door) -> Head:
    """The probe's own object, which an earlier probe may have written.

    Raises:
        StoreUnfitError: it does not keep its metadata.
        StoreError: S3 could not be asked, or refuses these credentials, or there is no such bucket.
    """
    with suppress(PreconditionFailedError):  # an earlier probe wrote it
        await door.put_if(PROBE_KEY, b"probe", PROBE_SAID, etag=None)
    head = await door.head(PROBE_KEY)
    if head is None:
        raise StoreUnavailableError(f"{PROBE_KEY} vanished while it was being probed; try again")
    if head.metadata != PROBE_SAID.metadata:
        raise StoreUnfitError("this store does not keep object metadata (x-amz-meta-*)")
    return head


@dataclass(frozen=True, slots=True)
class Trial:
    """A conditional write that must be refused, for its condition fails."""

    condition: str
    write: Callable[[], Awaitable[str]]

    async def run(self) -> None:
        """Try it.

        Raises:
            StoreUnfitError: it was done.
            StoreError: S3 could not be asked.
        """
        try:
            await self.write()
        except PreconditionFailedError:
            return
        raise StoreUnfitError(f"this store ignores conditions: {self.condition} wrote although its condition failed")


def condition_trials(door: Door, head: Head) -> list[Trial]:
    """One for each condition that the protocol stands on, `head` being the probe's own object."""

    def put(etag: str | None) -> Callable[[], Awaitable[str]]:
        return lambda: door.put_if(PROBE_KEY, b"probe", PROBE_SAID, etag=etag)

    def copy(source_etag: str, target_etag: str) -> Callable[[], Awaitable[str]]:
        return lambda: door.copy_if(PROBE_KEY, source_etag, PROBE_KEY, target_etag, PROBE_SAID)

    return [
        Trial("PutObject with If-None-Match: *", put(None)),
        Trial("PutObject with If-Match", put(_OTHER_ETAG)),
        Trial("CopyObject with x-amz-copy-source-if-match", copy(_OTHER_ETAG, head.etag)),
        Trial("CopyObject with If-Match", copy(head.etag, _OTHER_ETAG)),
    ]


async def probe_copy_source(signer: Signer, bucket: str) -> None:
    """Check that an upload URL cannot be made to copy: it would hand anybody's object to whoever holds one.

    The signer must be one for the endpoint that is reached from here.

    Raises:
        StoreUnfitError: this store obeys an `x-amz-copy-source` that is not signed.
        StoreUnavailableError: S3 could not be asked.
    """
    signed = await signer.sign_upload(PROBE_TARGET_KEY, 60)
    status, body = await asyncio.to_thread(_put_copying, signed.url, f"/{bucket}/{PROBE_KEY}")
    if status >= 500:  # noqa: PLR2004
        raise StoreUnavailableError(f"S3 answers {status}")
    if status < 300 and b"CopyObjectResult" in body:  # noqa: PLR2004
        raise StoreUnfitError(
            "this store obeys an unsigned x-amz-copy-source on a presigned PUT: "
            "whoever has an upload URL could read any object with it"
        )


def _put_copying(url: str, source: str) -> tuple[int, bytes]:
    with urllib3.PoolManager(timeout=_SECONDS, retries=False) as http:
        try:
            answer = http.request("PUT", url, headers={"x-amz-copy-source": source})
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailableError(f"S3 could not be reached ({type(error).__name__})") from None
        return answer.status, answer.data
