"""Uploads, the objects at `temp/{id}`: what one is, and the copy that finalizes it."""

from collections.abc import Mapping
from typing import NamedTuple

from assetuploader.declaration import Declaration
from assetuploader.errors import ObjectUnreadableError
from assetuploader.keys import temp_key, uploaded_key
from assetuploader.state_machine import (
    OF_PLACEHOLDER,
    UNDECLARED,
    UNREADABLE,
    AssetState,
    EtagSentinel,
    Placeholder,
    is_placeholder_body,
    may_be_placeholder_body,
    to_metadata,
    to_tags,
)
from assetuploader.store import ObjectAttributes, ObjectStore


class Upload(NamedTuple):
    """The object at `temp/{id}`."""

    etag: str | EtagSentinel
    headers: Mapping[str, str]
    """Those of `SYSTEM_METADATA_HEADERS` that the client sent."""
    size: int = 0


async def inspect_upload(store: ObjectStore, asset_id: str, declaration: Declaration) -> Upload | None:
    """Return what `temp/` holds, or None. Only uploads of the size of a placeholder are read.

    Raises:
        PreconditionFailedError: The upload changed meanwhile.
        StoreError: A request to S3 failed.
    """
    key = temp_key(asset_id)
    try:
        info = await store.head_object(key)
        if info is None:
            return None
        if may_be_placeholder_body(info.size):
            body = await store.get_object(key, info.size, if_match=info.etag)
            if body is not None and is_placeholder_body(body):
                return Upload(OF_PLACEHOLDER, {})
    except ObjectUnreadableError:
        return Upload(UNREADABLE, {})
    if not declaration.allows(info.size, info.headers.get("content-type"), info.sha256):
        return Upload(UNDECLARED, {})
    return Upload(info.etag, info.headers, info.size)


async def copy_upload(  # noqa: PLR0913, PLR0917 -- two objects, a state, and a limit
    store: ObjectStore,
    asset_id: str,
    placeholder: Placeholder,
    final: AssetState,
    upload: Upload,
    max_seconds: float | None = None,
) -> Placeholder:
    """Finalize: replace the placeholder by the upload, if neither changed since they were read.

    Raises:
        PreconditionFailedError: One of them changed.
        StoreError: The copy failed, or took longer than `max_seconds`. It may still take effect.
    """
    if not isinstance(upload.etag, str):
        raise TypeError("only an upload that is meant is copied")
    attributes = ObjectAttributes(to_metadata(final), to_tags(final), upload.headers)
    etag = await store.copy_object(
        temp_key(asset_id),
        uploaded_key(asset_id),
        attributes,
        source_if_match=upload.etag,
        if_match=placeholder.etag,
        max_seconds=max_seconds,
    )
    return Placeholder(etag, final, placeholder.last_modified, upload.headers, upload.size)
