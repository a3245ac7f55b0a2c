"""Each test of the contract runs on SeaweedFS and moto. Where moto is known to be wrong, the test must fail there.

Tests of races run on versitygw when they ask for it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

import pytest
import pytest_asyncio
import urllib3

from assetuploader.s3.bucket import open_bucket
from assetuploader.store import Bucket
from dev.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY
from dev.versitygw import VersitygwNotInstallableError
from tests.support.stores import BUCKET, Store, Subject, moto, seaweedfs, versitygw

STORES = {"seaweedfs": seaweedfs, "moto": moto}


@asynccontextmanager
async def opened(
    endpoint_url: str, bucket: str = BUCKET, secret_key: str = SECRET_KEY, public_endpoint_url: str | None = None
) -> AsyncIterator[Bucket]:
    """Open the bucket as the programs do, with these settings."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_S3", endpoint_url)
        environment.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
        connected = open_bucket(REGION, bucket, public_endpoint_url)
    try:
        yield connected
    finally:
        await connected.aclose()


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, Store]]:
    """Start both servers once."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(start()) for name, start in STORES.items()}


@pytest.fixture(scope="session")
def versitygw_server() -> Iterator[Store]:
    """Start versitygw once, when a test asks for it: it may have to be built."""
    with ExitStack() as stack:
        try:
            store = stack.enter_context(versitygw())
        except VersitygwNotInstallableError as error:
            pytest.skip(str(error))
        yield store


@pytest.fixture(scope="module", params=STORES)
def running_store(request: pytest.FixtureRequest, servers: dict[str, Store]) -> Store:
    """Return one of the servers."""
    if request.param == "versitygw":
        store: Store = request.getfixturevalue("versitygw_server")
        return store
    return servers[request.param]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def running_bucket(running_store: Store) -> AsyncIterator[Bucket]:
    """Open the bucket of the code under test, in the event loop that all tests of the contract share."""
    async with opened(running_store.endpoint_url) as bucket:
        yield bucket


@pytest.fixture
def subject(request: pytest.FixtureRequest, running_store: Store, running_bucket: Bucket) -> Iterator[Subject]:
    """Return the code under test on this store. Mark a test that is known to fail there."""
    unsupported = request.node.get_closest_marker("moto_unsupported")
    if running_store.name == "moto" and unsupported is not None:
        request.applymarker(pytest.mark.xfail(strict=True, reason=f"moto {unsupported.args[0]}"))
    with urllib3.PoolManager(timeout=10, retries=False) as http:
        yield Subject(running_store, running_bucket, http)
