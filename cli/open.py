"""The bucket that the configuration names, opened for a program."""

import os
from uuid import uuid4

from assetstore.assets import Assets
from assetstore.calls import Observe, observe_nothing
from assetstore.door import Bucket
from assetstore.protocol import Rules
from assetstore.s3.connect import connect
from cli.config import Config

NONCE_BYTES = 16


def open_bucket(config: Config, observe: Observe = observe_nothing) -> Bucket:
    """Make ready to use the bucket; nothing is sent yet. `observe` is told of each call's end.

    Raises:
        StoreMisconfiguredError: there are no credentials, or the endpoint is none.
    """
    return connect(config.region, config.bucket, config.public_endpoint_url, observe=observe)


def open_assets(config: Config, bucket: Bucket) -> Assets:
    """The bucket's assets, under the operator's rules."""
    rules = Rules(config.upload_url_seconds, config.grace_seconds, config.unmarked_seconds)
    return Assets(bucket.door, bucket.signer, rules, uuid4, lambda: os.urandom(NONCE_BYTES))
