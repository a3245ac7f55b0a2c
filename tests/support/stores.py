"""The stores that the contract is tested on, and the plain boto3 client that prepares and inspects them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import boto3
import pytest
import urllib3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from assetuploader.conformance import CHECK_ATTRIBUTES, CHECK_KEY
from assetuploader.store import Bucket
from dev.seaweedfs import ACCESS_KEY, HOST, REGION, SECRET_KEY, LocalS3, free_port, running_s3
from dev.versitygw import BUILD_SECONDS, running_versitygw

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

BUCKET: Final = "contract"
WRONG_SECRET: Final = "wrong"  # noqa: S105 -- it opens nothing

ON_SEAWEEDFS: Final = pytest.mark.parametrize("running_store", ["seaweedfs"], indirect=True)
"""For races: moto loses them only sometimes, so the mark cannot be strict."""
ON_VERSITYGW: Final = pytest.mark.parametrize(
    "running_store", [pytest.param("versitygw", marks=pytest.mark.timeout(BUILD_SECONDS + 120))], indirect=True
)
"""For races that SeaweedFS loses. The first test may wait until versitygw is built."""
ON_MOTO: Final = pytest.mark.parametrize("running_store", ["moto"], indirect=True)
"""For checks that must recognize a store that does not conform."""


@dataclass(frozen=True, slots=True)
class Store:
    """A running S3 server with one bucket."""

    name: str
    endpoint_url: str
    raw: "S3Client" = field(repr=False)
    """Plain boto3, which signs by itself: not the code under test."""

    def put(self, key: str, body: bytes) -> str:
        """Write an object; return its ETag without quotes."""
        return self.raw.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"].strip('"')

    def put_check_object(self) -> None:
        """Write the object that programs write at start. Without it, no 404 counts."""
        metadata = dict(CHECK_ATTRIBUTES.metadata)
        self.raw.put_object(Bucket=BUCKET, Key=CHECK_KEY, Body=b"probe", Metadata=metadata)

    def body(self, key: str) -> bytes:
        """Return an object's bytes."""
        return self.raw.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def tags(self, key: str) -> dict[str, str]:
        """Return an object's tags."""
        tags = self.raw.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def metadata(self, key: str) -> dict[str, str]:
        """Return an object's metadata."""
        return self.raw.head_object(Bucket=BUCKET, Key=key)["Metadata"]

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of up to 1,000 objects."""
        found = self.raw.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [listed["Key"] for listed in found]


def raw_client(endpoint_url: str) -> "S3Client":
    """Return a plain boto3 client of this endpoint."""
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=16, proxies={}),
    )


@contextmanager
def seaweedfs() -> Iterator[Store]:
    """Run SeaweedFS, a real S3 server."""
    with running_s3(free_port(), BUCKET) as server:
        yield _store("seaweedfs", server)


@contextmanager
def versitygw() -> Iterator[Store]:
    """Run versitygw, a real S3 server whose CopyObject ignores If-Match.

    Raises:
        VersitygwNotInstallableError: It is not built yet, and cannot be downloaded.
    """
    with running_versitygw(free_port(), BUCKET) as server:
        yield _store("versitygw", server)


def _store(name: str, server: LocalS3) -> Store:
    store = Store(name, server.endpoint_url, raw_client(server.endpoint_url))
    store.put_check_object()
    return store


@contextmanager
def moto() -> Iterator[Store]:
    """Run moto, which ignores conditions, expiry and signatures."""
    server = ThreadedMotoServer(HOST, free_port())
    server.start()
    try:
        host, port = server.get_host_and_port()
        store = Store("moto", f"http://{host}:{port}", raw_client(f"http://{host}:{port}"))
        store.raw.create_bucket(Bucket=BUCKET)
        store.put_check_object()
        yield store
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class Subject:
    """The code under test, on one store, with keys that no other test uses."""

    store: Store
    bucket: Bucket
    http: urllib3.PoolManager
    """A plain HTTP client."""
    prefix: str = field(default_factory=lambda: f"{uuid4()}/")

    def key(self, name: str = "object") -> str:
        """Return a key that no other test uses."""
        return self.prefix + name
