"""The in-memory S3, on which other tests rely, behaves as a real server does."""

from dev.seaweedfs import free_port, running_s3
from tests.faults.lifecycles import opened_bucket
from tests.faults.reference import Reference, Side


async def test_the_in_memory_s3_behaves_as_a_real_server_does() -> None:
    """Conditions, metadata, copied headers, listings, ETags: the same results of the same calls."""
    with running_s3(free_port(), "assets") as s3:
        async with opened_bucket(s3, s3.endpoint_url) as bucket:
            comparison = Reference(Side(bucket.store, bucket.multipart, bucket.presigner))
            await comparison.run(200)
    assert comparison.violations == []
