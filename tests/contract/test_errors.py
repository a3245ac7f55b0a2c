"""S3's failures as errors of the store: the type of each, and a message that says what to do."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from assetuploader.errors import StoreAccessDeniedError, StoreError, StoreMisconfiguredError, StoreUnavailableError
from assetuploader.store import Bucket, ObjectAttributes
from dev.seaweedfs import HOST, free_port, running_s3
from tests.contract.conftest import opened
from tests.support.stores import BUCKET, WRONG_SECRET, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")

Call = Callable[[Bucket], Awaitable[object]]
ATTRIBUTES = ObjectAttributes({"a": "b"}, {"a": "b"})
HEAD: Call = lambda bucket: bucket.store.head_object("key")  # noqa: E731 -- reads like those below
CALLS: dict[str, Call] = {
    "put": lambda bucket: bucket.store.put_object("key", b"", ATTRIBUTES, if_none_match="*"),
    "copy": lambda bucket: bucket.store.copy_object(
        "key", "other", ATTRIBUTES, source_if_match="0" * 32, if_match="0" * 32
    ),
    "list": lambda bucket: bucket.store.list_objects("temp/", "temp/"),
    "delete": lambda bucket: bucket.store.delete_objects(["key"]),
}
ALL_CALLS = CALLS | {
    "head": HEAD,
    "put over": lambda bucket: bucket.store.put_object("key", b"", ATTRIBUTES, if_match="0" * 32),
}


async def _raised(call: Call, bucket: Bucket) -> tuple[type[StoreError], str]:
    with pytest.raises(StoreError) as caught:
        await call(bucket)
    return type(caught.value), str(caught.value)


async def _all_raised(calls: dict[str, Call], bucket: Bucket) -> dict[str, tuple[type[StoreError], str]]:
    errors = await asyncio.gather(*(_raised(call, bucket) for call in calls.values()))
    return dict(zip(calls, errors, strict=True))


async def test_a_bucket_that_does_not_exist_is_a_misconfiguration(subject: Subject) -> None:
    """A missing bucket is never taken for a missing object: the message says to create or correct it."""
    async with opened(subject.store.endpoint_url, bucket="nobody-made-this") as bucket:
        raised = await _all_raised(CALLS, bucket)

    expected = StoreMisconfiguredError, "the bucket does not exist: create it, or correct AWS_BUCKET"
    assert raised == dict.fromkeys(CALLS, expected)


@pytest.mark.moto_unsupported("takes any credentials")
async def test_a_wrong_secret_is_denied(subject: Subject) -> None:
    """Wrong credentials are distinguished from an outage, and never taken for a missing object."""
    async with opened(subject.store.endpoint_url, secret_key=WRONG_SECRET) as bucket:
        raised = await _all_raised(ALL_CALLS, bucket)

    reason = (
        "S3 responds 403{}: check the credentials and their IAM policy "
        "(without s3:ListBucket it also responds 403 for an object that does not exist)"
    )
    # The response to a HEAD has no body, and so no code.
    codes = dict.fromkeys(ALL_CALLS, " SignatureDoesNotMatch") | {"head": ""}
    assert raised == {name: (StoreAccessDeniedError, reason.format(code)) for name, code in codes.items()}


async def test_an_endpoint_where_nobody_listens_is_unavailable_at_once() -> None:
    """A refused connection is an outage: no conclusion is drawn about any object."""
    started = time.monotonic()
    async with opened(f"http://{HOST}:{free_port()}") as bucket:
        raised = await _all_raised(ALL_CALLS, bucket)

    assert {name: error for name, (error, _) in raised.items()} == dict.fromkeys(ALL_CALLS, StoreUnavailableError)
    assert {reason for _, reason in raised.values()} == {"S3 could not be reached: cannot connect: Connection refused"}
    assert time.monotonic() - started < 10


def _await_stopped(pid: int) -> None:
    """Wait until each thread of the process is stopped: a signal reaches them one after the other."""
    deadline = time.monotonic() + 30
    tasks = Path(f"/proc/{pid}/task")
    while any(stat.read_text().rpartition(")")[2].split()[0] != "T" for stat in tasks.glob("*/stat")):
        assert time.monotonic() < deadline, f"process {pid} is not stopped after 30 s"
        time.sleep(0.01)


async def test_a_server_that_is_stopped_is_unavailable_and_comes_back() -> None:
    """A call to a stopped server times out within seconds; the same store works again when the server continues."""
    with running_s3(free_port(), BUCKET) as server:
        async with opened(server.endpoint_url) as bucket:
            written = await bucket.store.put_object("key", b"bytes", ATTRIBUTES, if_none_match="*")
            os.kill(server.process.pid, signal.SIGSTOP)
            _await_stopped(server.process.pid)
            started = time.monotonic()
            stopped = await _raised(HEAD, bucket)
            stopped_seconds = time.monotonic() - started
            os.kill(server.process.pid, signal.SIGCONT)
            head = await bucket.store.head_object("key")
            server.process.kill()
            server.process.wait()
            killed = await _raised(HEAD, bucket)

    assert head is not None
    assert (stopped[0], head.etag, killed[0]) == (StoreUnavailableError, written, StoreUnavailableError)
    assert stopped_seconds < 20


async def test_no_error_contains_a_signature() -> None:
    """Errors are logged: their whole chain contains no signed URL."""
    async with opened(f"http://{HOST}:{free_port()}") as bucket:
        with pytest.raises(StoreError) as caught:
            await HEAD(bucket)

    chain = []
    cause: BaseException | None = caught.value
    while cause is not None:
        chain.append(f"{cause!r} {cause}")
        cause = cause.__cause__ or cause.__context__
    assert [part for part in ("Signature", "X-Amz-") if part in " ".join(chain)] == []
