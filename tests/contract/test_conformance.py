"""The conformance check: a store that breaks a promise is recognized before it is used."""

import socket
from contextlib import suppress

import pytest

from assetuploader.conformance import (
    CHECK_DELETE_KEY,
    CHECK_KEY,
    check_conditional_delete,
    check_conditional_writes,
    check_unsigned_copy_source,
)
from assetuploader.errors import (
    StoreAccessDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from assetuploader.keys import CHECK_UPLOAD_KEY
from dev.seaweedfs import HOST, free_port
from tests.contract.conftest import opened
from tests.support.stores import BUCKET, ON_MOTO, WRONG_SECRET, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.moto_unsupported("ignores conditions on CopyObject: the check rejects it")
async def test_a_conforming_store_passes_repeatedly(subject: Subject) -> None:
    """The check runs at every start, and leaves at most two small objects."""
    before = subject.store.keys("")
    for _ in range(3):
        await check_conditional_writes(subject.bucket.store)
        await check_unsigned_copy_source(subject.bucket)

    assert set(subject.store.keys("")) - set(before) <= {CHECK_KEY, CHECK_UPLOAD_KEY}
    assert subject.store.body(CHECK_KEY) == b"probe"
    assert subject.store.metadata(CHECK_KEY) == {"purpose": "probe"}


@pytest.mark.parametrize("metadata", [{"purpose": "probe", "backup": "2026"}, {"backup": "2026"}, {}])
@pytest.mark.moto_unsupported("ignores conditions on CopyObject: the check rejects it")
async def test_a_changed_check_object_stops_nothing(subject: Subject, metadata: dict[str, str]) -> None:
    """A backup tool may add metadata, and a person may replace the object: the store is not to blame."""
    subject.store.raw.put_object(Bucket=BUCKET, Key=CHECK_KEY, Body=b"changed", Metadata=metadata)
    await check_conditional_writes(subject.bucket.store)
    assert subject.store.metadata(CHECK_KEY)["purpose"] == "probe"
    subject.store.put_check_object()


async def test_conditional_deletion_is_checked_on_an_object_of_its_own(subject: Subject) -> None:
    """The check runs at every start, and leaves one small object."""
    before = set(subject.store.keys(""))
    for _ in range(2):
        await check_conditional_delete(subject.bucket.store)

    assert set(subject.store.keys("")) - before == {CHECK_DELETE_KEY}
    subject.store.raw.delete_object(Bucket=BUCKET, Key=CHECK_DELETE_KEY)


@ON_MOTO
async def test_a_store_that_ignores_conditions_is_rejected(subject: Subject) -> None:
    """The message names the call that wrote although its condition failed."""
    with pytest.raises(StoreUnsupportedError) as rejected:
        await check_conditional_writes(subject.bucket.store)

    assert str(rejected.value) == (
        "this store ignores conditions: CopyObject with x-amz-copy-source-if-match wrote although its condition failed"
    )


@ON_MOTO
async def test_a_store_that_obeys_an_unsigned_copy_source_is_rejected(subject: Subject) -> None:
    """The message says what the holder of an upload URL could do."""
    with suppress(StoreUnsupportedError):
        await check_conditional_writes(subject.bucket.store)
    with pytest.raises(StoreUnsupportedError) as rejected:
        await check_unsigned_copy_source(subject.bucket)

    assert str(rejected.value) == (
        "this store obeys an unsigned x-amz-copy-source on a presigned PUT: "
        "the holder of an upload URL could read any object with it"
    )


async def test_an_outage_is_not_a_failed_check() -> None:
    """A store that cannot be reached is not reported as unsupported: the service waits for it."""
    async with opened(f"http://{HOST}:{free_port()}") as bucket:
        with pytest.raises(StoreUnavailableError):
            await check_conditional_writes(bucket.store)
        with pytest.raises(StoreUnavailableError):
            await check_unsigned_copy_source(bucket)
        with pytest.raises(StoreUnavailableError):
            await check_conditional_delete(bucket.store)


async def test_a_silent_store_is_unavailable() -> None:
    """A silent server is an outage, too, for the request that the check sends by plain HTTP."""
    with socket.create_server((HOST, 0)) as silent:
        async with opened(f"http://{HOST}:{silent.getsockname()[1]}") as bucket:
            with pytest.raises(StoreUnavailableError):
                await check_unsigned_copy_source(bucket)


async def test_a_missing_bucket_is_not_a_failed_check(subject: Subject) -> None:
    """The check of a bucket that does not exist reports that."""
    async with opened(subject.store.endpoint_url, bucket="nobody-made-this") as bucket:
        with pytest.raises(StoreMisconfiguredError):
            await check_conditional_writes(bucket.store)


@pytest.mark.moto_unsupported("takes any credentials")
async def test_wrong_credentials_are_not_a_failed_check(subject: Subject) -> None:
    """The check with a wrong secret reports that."""
    async with opened(subject.store.endpoint_url, secret_key=WRONG_SECRET) as bucket:
        with pytest.raises(StoreAccessDeniedError):
            await check_conditional_writes(bucket.store)
