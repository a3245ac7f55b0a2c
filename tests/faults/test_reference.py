"""The in-memory S3, which other tests believe, is believed because it does as a real server does."""

from dev.seaweedfs import free_port, running_s3
from tests.faults.lifecycles import opened_bucket
from tests.faults.reference import Reference


async def test_the_in_memory_s3_answers_as_a_real_server_does() -> None:
    """Conditions, metadata, restated headers, listings, ETags: the same answers to the same calls."""
    with running_s3(free_port(), "assets") as s3:
        async with opened_bucket(s3, s3.endpoint_url) as bucket:
            trial = Reference(bucket.store, bucket.presigner)
            await trial.run(200)
    assert trial.violations == []
