"""The copy that finalizes: both conditions, and what it keeps and replaces."""

import asyncio

import pytest

from assetuploader.errors import PreconditionFailedError
from assetuploader.store import ObjectAttributes
from tests.contract.s3_races import winners
from tests.support.stores import BUCKET, ON_SEAWEEDFS, Subject

FINAL = ObjectAttributes({"status": "uploaded", "pin": "abc"}, {"status": "uploaded"})
OTHER_ETAG = "0" * 32

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _prepare(subject: Subject) -> tuple[str, str, str, str]:
    """Create an upload and a placeholder; return the key and ETag of the upload, then those of the placeholder."""
    store = subject.bucket.store
    source, target = subject.key("temp"), subject.key("uploaded")
    subject.store.raw.put_object(
        Bucket=BUCKET, Key=source, Body=b"upload", Metadata={"client": "set"}, Tagging="client=set"
    )
    head = await store.head_object(source)
    assert head is not None
    target_etag = await store.put_object(
        target, b"nonce", ObjectAttributes({"status": "marked"}, {"status": "marked"}), if_none_match="*"
    )
    return source, head.etag, target, target_etag


async def test_a_copy_with_both_conditions_met_replaces_the_placeholder(subject: Subject) -> None:
    """The target then has the upload's bytes and ETag, and our metadata and tags, none of the client's."""
    source, source_etag, target, target_etag = await _prepare(subject)

    etag = await subject.bucket.store.copy_object(
        source, target, FINAL, source_if_match=source_etag, if_match=target_etag
    )

    assert (subject.store.body(target), etag) == (b"upload", source_etag)
    assert (subject.store.metadata(target), subject.store.tags(target)) == (FINAL.metadata, FINAL.tags)
    assert subject.store.body(source) == b"upload"


@pytest.mark.moto_unsupported("ignores If-Match on CopyObject")
async def test_a_copy_onto_another_version_is_refused(subject: Subject) -> None:
    """The destination's If-Match is what makes finalizing safe."""
    source, source_etag, target, _ = await _prepare(subject)

    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.copy_object(source, target, FINAL, source_if_match=source_etag, if_match=OTHER_ETAG)

    assert (subject.store.body(target), subject.store.metadata(target)) == (b"nonce", {"status": "marked"})


@pytest.mark.moto_unsupported("ignores x-amz-copy-source-if-match")
async def test_a_copy_of_another_version_is_refused(subject: Subject) -> None:
    """Bytes that changed since they were read are not copied."""
    source, _, target, target_etag = await _prepare(subject)

    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.copy_object(source, target, FINAL, source_if_match=OTHER_ETAG, if_match=target_etag)

    assert (subject.store.body(target), subject.store.metadata(target)) == (b"nonce", {"status": "marked"})


@pytest.mark.moto_unsupported("ignores both conditions of CopyObject")
async def test_a_copy_with_neither_condition_met_is_refused(subject: Subject) -> None:
    """A copy fails if both conditions fail."""
    source, _, target, _ = await _prepare(subject)

    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.copy_object(source, target, FINAL, source_if_match=OTHER_ETAG, if_match=OTHER_ETAG)

    assert subject.store.body(target) == b"nonce"


@pytest.mark.moto_unsupported("ignores If-Match on CopyObject")
async def test_a_copy_onto_nothing_is_refused(subject: Subject) -> None:
    """A copy does not recreate a deleted placeholder."""
    source, source_etag, _, target_etag = await _prepare(subject)

    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.copy_object(
            source, subject.key("gone"), FINAL, source_if_match=source_etag, if_match=target_etag
        )

    assert await subject.bucket.store.head_object(subject.key("gone")) is None


async def test_a_copy_of_nothing_is_refused_as_a_lost_race(subject: Subject) -> None:
    """Another run has finalized and deleted the upload. That is neither an outage nor a missing bucket."""
    _, source_etag, target, target_etag = await _prepare(subject)

    with pytest.raises(PreconditionFailedError):
        await subject.bucket.store.copy_object(
            subject.key("gone"), target, FINAL, source_if_match=source_etag, if_match=target_etag
        )

    assert subject.store.body(target) == b"nonce"


@pytest.mark.moto_unsupported("ignores If-Match on CopyObject")
async def test_a_copy_repeated_is_refused(subject: Subject) -> None:
    """A second reconciler, or an SDK that retries, cannot copy over a final asset."""
    source, source_etag, target, target_etag = await _prepare(subject)
    store = subject.bucket.store
    await store.copy_object(source, target, FINAL, source_if_match=source_etag, if_match=target_etag)
    later_etag = subject.store.put(source, b"late upload")

    with pytest.raises(PreconditionFailedError):
        await store.copy_object(source, target, FINAL, source_if_match=later_etag, if_match=target_etag)

    assert subject.store.body(target) == b"upload"


@ON_SEAWEEDFS
async def test_of_many_copies_at_once_one_wins(subject: Subject) -> None:
    """Eight reconcilers at once finalize an asset once."""
    source, source_etag, target, target_etag = await _prepare(subject)
    store = subject.bucket.store

    results = await asyncio.gather(
        *(
            store.copy_object(source, target, FINAL, source_if_match=source_etag, if_match=target_etag)
            for _ in range(8)
        ),
        return_exceptions=True,
    )

    assert sum(result == source_etag for result in results) == 1
    assert sum(isinstance(result, PreconditionFailedError) for result in results) == 7


@ON_SEAWEEDFS
@pytest.mark.parametrize("pair", [("PutObject", "PutObject"), ("CopyObject", "CopyObject")], ids=" and ".join)
async def test_two_writes_of_one_kind_at_once_never_both_win(subject: Subject, pair: tuple[str, str]) -> None:
    """The first write wins. SeaweedFS fails when the two are of different kinds: `make s3-races`."""
    counts = [await winners(subject.bucket.store, pair, subject.key(f"race{number}")) for number in range(20)]

    assert counts == [1] * 20


ODD_HEADERS = {
    "everything": {
        "cache-control": "max-age=60",
        "content-disposition": 'inline; filename="a b.txt"',
        "content-encoding": "gzip",
        "content-language": "de, fr",
        "content-type": "text/x-odd; charset=utf-8",
        "expires": "Wed, 02 Jan 2030 03:04:05 GMT",
    },
    "an invalid content type": {"content-type": "not a type"},
    "a name encoded by RFC 5987": {"content-disposition": "attachment; filename*=UTF-8''na%C3%AFve.txt"},
    "a long value": {"cache-control": "x" * 1_500},
    "spaces within": {"cache-control": "a   b"},
    "quotes and commas": {"content-disposition": 'attachment; filename="a,\\"b\\";c.txt"'},
}


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
async def test_a_clients_headers_are_kept(subject: Subject, headers: dict[str, str]) -> None:
    """The system headers that a client sent with its upload are those of the final asset, unchanged."""
    store = subject.bucket.store
    source, target = subject.key("temp"), subject.key("uploaded")
    signed = await subject.bucket.presigner.presign_put(source, 60)
    assert subject.http.request("PUT", signed.url, body=b"upload", headers=headers).status == 200
    upload = await store.head_object(source)
    assert upload is not None
    target_etag = subject.store.put(target, b"nonce")

    await store.copy_object(
        source,
        target,
        ObjectAttributes(FINAL.metadata, FINAL.tags, upload.headers),
        source_if_match=upload.etag,
        if_match=target_etag,
    )

    final = await store.head_object(target)
    assert final is not None
    # A store adds a content type if the client sent none.
    assert dict(final.headers) == {"content-type": final.headers["content-type"]} | headers


UNSENDABLE_HEADERS = {
    "a file's name in UTF-8": {"content-disposition": 'attachment; filename="naïve 日本.txt"'.encode()},
    "a file's name in Latin-1": {"content-disposition": 'attachment; filename="naïve.txt"'.encode("latin-1")},
    "a content type in UTF-8": {"content-type": "text/plain; title=ä".encode()},
    "a tab": {"cache-control": b"a\tb"},
    "nothing": {"content-language": b""},
}


@pytest.mark.parametrize("headers", UNSENDABLE_HEADERS.values(), ids=UNSENDABLE_HEADERS.keys())
async def test_headers_that_cannot_be_sent_are_dropped(subject: Subject, headers: dict[str, bytes]) -> None:
    """Headers that an HTTP client cannot send again are dropped: they never keep an asset from being final."""
    store = subject.bucket.store
    source, target = subject.key("temp"), subject.key("uploaded")
    signed = await subject.bucket.presigner.presign_put(source, 60)
    sent = {name: value.decode("latin-1") for name, value in headers.items()}  # urllib3 encodes it back
    assert subject.http.request("PUT", signed.url, body=b"upload", headers=sent).status == 200
    upload = await store.head_object(source)
    assert upload is not None
    target_etag = subject.store.put(target, b"nonce")

    await store.copy_object(
        source,
        target,
        ObjectAttributes(FINAL.metadata, FINAL.tags, upload.headers),
        source_if_match=upload.etag,
        if_match=target_etag,
    )

    final = await store.head_object(target)
    assert final is not None
    assert (subject.store.body(target), final.metadata) == (b"upload", FINAL.metadata)
    kept = {name for name in headers if name in final.headers}
    assert kept <= {"content-type"}  # every object has one


@pytest.mark.parametrize(
    "expires",
    [
        "0",
        "",
        "2030-01-02T03:04:05Z",
        "Wed, 02 Jan 99999 03:04:05 GMT",
        "Wed, 99 Foo 2030 99:99:99 GMT",
        "Wed, 02 Jan 2030 03:04:05 +99999999999999999999",
        "Wed, 02 Jan 2030 03:04:05 -9999",
        "Fri, 31 Dec 9999 23:59:59 -1200",
        "x" * 2_000,
        "naïve",
    ],
)
async def test_an_invalid_expires_is_dropped(subject: Subject, expires: str) -> None:
    """Amazon accepts and returns any Expires; other stores reject a value that is not a date."""
    source, source_etag, target, target_etag = await _prepare(subject)

    attributes = ObjectAttributes(FINAL.metadata, FINAL.tags, {"content-type": "text/plain", "expires": expires})
    await subject.bucket.store.copy_object(
        source, target, attributes, source_if_match=source_etag, if_match=target_etag
    )

    assert subject.store.body(target) == b"upload"
    assert subject.store.raw.head_object(Bucket=BUCKET, Key=target)["ContentType"] == "text/plain"
