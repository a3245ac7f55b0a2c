"""The bucket and the asset service of a program, built from its configuration."""

import os
from typing import Final
from uuid import uuid4

from assetuploader.asset_cache import AssetCache
from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.cli.config import Config
from assetuploader.instrumentation import CallObserver, noop_observer
from assetuploader.multipart_service import MultipartService
from assetuploader.s3.bucket import open_bucket as open_s3_bucket
from assetuploader.s3.clock import Clock
from assetuploader.store import Bucket

NONCE_BYTES: Final = 16


def open_bucket(config: Config, on_call: CallObserver = noop_observer, clock: Clock | None = None) -> Bucket:
    """Prepare to use the bucket; nothing is sent yet. `on_call` observes the end of each S3 call.

    `clock` learns S3's time from every response. Buckets may share it.

    Raises:
        StoreMisconfiguredError: There are no credentials, or an endpoint or the CA bundle is invalid.
    """
    return open_s3_bucket(config.region, config.bucket, config.public_endpoint_url, on_call=on_call, clock=clock)


def open_asset_service(config: Config, bucket: Bucket, cache: AssetCache | None = None) -> AssetService:
    """Return the asset service of the bucket, under the operator's policy."""
    return AssetService(bucket.store, bucket.presigner, config.policy, uuid4, _make_nonce, cache)


def open_multipart_service(config: Config, bucket: Bucket) -> MultipartService:
    """Return the multipart service of the bucket, under the operator's policy."""
    return MultipartService(bucket.store, bucket.multipart, bucket.presigner, config.policy, uuid4, _make_nonce)


def open_asset_reconciler(config: Config, bucket: Bucket) -> AssetReconciler:
    """Return the asset reconciler of the bucket, under the operator's policy."""
    return AssetReconciler(bucket.store, bucket.multipart, config.policy, _make_nonce)


def _make_nonce() -> bytes:
    return os.urandom(NONCE_BYTES)
