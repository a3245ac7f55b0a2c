"""The probe: a store that breaks a promise is found out before it is used."""

import socket
from contextlib import suppress

import pytest

from assetuploader.conformance import CHECK_KEY, CHECK_UPLOAD_KEY, check_conditional_writes, check_unsigned_copy_source
from assetuploader.errors import (
    StoreAccessDeniedError,
    StoreMisconfiguredError,
    StoreUnavailableError,
    StoreUnsupportedError,
)
from dev.seaweedfs import HOST, free_port
from tests.contract.conftest import opened
from tests.support.stores import ON_MOTO, WRONG_SECRET, Subject

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.moto_unsupported("ignores conditions on CopyObject: the probe refuses it")
async def test_a_store_that_keeps_its_promises_passes_as_often_as_it_is_asked(subject: Subject) -> None:
    """The probe runs at every start, and leaves no more than two small objects of its own."""
    before = subject.store.keys("")
    for _ in range(3):
        await check_conditional_writes(subject.bucket.store)
        await check_unsigned_copy_source(subject.bucket)

    assert set(subject.store.keys("")) - set(before) <= {CHECK_KEY, CHECK_UPLOAD_KEY}
    assert subject.store.body(CHECK_KEY) == b"probe"
    assert subject.store.metadata(CHECK_KEY) == {"purpose": "probe"}


@ON_MOTO
async def test_a_store_that_ignores_conditions_is_refused_by_name(subject: Subject) -> None:
    """The message says which call wrote although it should not have."""
    with pytest.raises(StoreUnsupportedError) as refused:
        await check_conditional_writes(subject.bucket.store)

    assert str(refused.value) == (
        "this store ignores conditions: CopyObject with x-amz-copy-source-if-match wrote although its condition failed"
    )


@ON_MOTO
async def test_a_store_that_obeys_an_unsigned_copy_source_is_refused_by_name(subject: Subject) -> None:
    """The message says what whoever has an upload URL could do."""
    with suppress(StoreUnsupportedError):
        await check_conditional_writes(subject.bucket.store)
    with pytest.raises(StoreUnsupportedError) as refused:
        await check_unsigned_copy_source(subject.bucket)

    assert str(refused.value) == (
        "this store obeys an unsigned x-amz-copy-source on a presigned PUT: "
        "the holder of an upload URL could read any object with it"
    )


async def test_an_outage_is_not_a_wrong_answer() -> None:
    """A store that cannot be asked is not called unfit: the service waits for it."""
    async with opened(f"http://{HOST}:{free_port()}") as bucket:
        with pytest.raises(StoreUnavailableError):
            await check_conditional_writes(bucket.store)
        with pytest.raises(StoreUnavailableError):
            await check_unsigned_copy_source(bucket)


async def test_a_store_that_says_nothing_is_away() -> None:
    """A silent server is an outage too, for the call that the probe makes by plain HTTP."""
    with socket.create_server((HOST, 0)) as silent:
        async with opened(f"http://{HOST}:{silent.getsockname()[1]}") as bucket:
            with pytest.raises(StoreUnavailableError):
                await check_unsigned_copy_source(bucket)


async def test_a_missing_bucket_is_not_a_wrong_answer(subject: Subject) -> None:
    """The probe of a bucket that is not there says so."""
    async with opened(subject.store.endpoint_url, bucket="nobody-made-this") as bucket:
        with pytest.raises(StoreMisconfiguredError):
            await check_conditional_writes(bucket.store)


@pytest.mark.moto_unsupported("takes any credentials")
async def test_wrong_credentials_are_not_a_wrong_answer(subject: Subject) -> None:
    """The probe with a wrong secret says so."""
    async with opened(subject.store.endpoint_url, secret_key=WRONG_SECRET) as bucket:
        with pytest.raises(StoreAccessDeniedError):
            await check_conditional_writes(bucket.store)
