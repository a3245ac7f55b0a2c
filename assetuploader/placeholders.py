"""Reading and writing placeholders, the objects at `uploaded/{id}` that carry the states of assets."""

from dataclasses import replace

from assetuploader.errors import ObjectUnreadableError, PreconditionFailedError, StoreUnavailableError
from assetuploader.keys import uploaded_key
from assetuploader.state_machine import (
    AssetState,
    InvalidPlaceholderError,
    Placeholder,
    Status,
    from_metadata,
    to_metadata,
    to_tags,
)
from assetuploader.store import ObjectAttributes, ObjectStore


def to_attributes(state: AssetState) -> ObjectAttributes:
    """Return what an object that carries this state stores besides its bytes."""
    return ObjectAttributes(to_metadata(state), to_tags(state))


async def create_placeholder(store: ObjectStore, asset_id: str, state: AssetState, body: bytes) -> None:
    """Write the first placeholder of an asset. Its body has a nonce of its own.

    Raises:
        StoreError: S3 did not store the placeholder, or another asset has this id.
    """
    key = uploaded_key(asset_id)
    try:
        await store.put_object(key, body, to_attributes(state), if_none_match="*")
    except PreconditionFailedError:
        # Our own nonce means that our own write succeeded, and that its response was lost.
        if await store.get_object(key, len(body)) != body:
            raise StoreUnavailableError("the id of the new asset is taken; try again") from None


async def read_placeholder(store: ObjectStore, asset_id: str) -> Placeholder | None:
    """Return the placeholder, or None when there is no object at its key, or an object that is not a placeholder.

    Raises:
        StoreError: The request to S3 failed.
    """
    try:
        info = await store.head_object(uploaded_key(asset_id))
    except ObjectUnreadableError:  # somebody else's object
        return None
    if info is None:
        return None
    try:
        return Placeholder(
            info.etag,
            from_metadata(info.metadata),
            info.last_modified,
            info.headers,
            info.size,
            has_opaque_etag=info.has_opaque_etag,
        )
    except InvalidPlaceholderError:
        return None


async def has_object(store: ObjectStore, asset_id: str) -> bool:
    """Return whether there is any object at the placeholder's key, also one that S3 does not give out.

    Raises:
        StoreError: The request to S3 failed.
    """
    try:
        return await store.head_object(uploaded_key(asset_id)) is not None
    except ObjectUnreadableError:
        return True


async def replace_placeholder(store: ObjectStore, asset_id: str, state: AssetState, body: bytes, if_match: str) -> str:
    """Replace the version of the placeholder with this ETag, and return the new ETag. The body has a new nonce.

    Raises:
        PreconditionFailedError: The placeholder is another version.
        StoreError: The request to S3 failed.
    """
    return await store.put_object(uploaded_key(asset_id), body, to_attributes(state), if_match=if_match)


async def expire_asset(store: ObjectStore, asset_id: str, placeholder: Placeholder, body: bytes) -> None:
    """Write `expired`, if the placeholder is still this version. The body has a new nonce.

    Raises:
        PreconditionFailedError: The placeholder is another version.
        StoreError: The request to S3 failed.
    """
    expired = replace(placeholder.state, status=Status.EXPIRED)
    await replace_placeholder(store, asset_id, expired, body, placeholder.etag)
