"""From a region and a bucket's name to its door and signers: what is boto3's stays boto3's, the rest is made here."""

import time
from collections.abc import Callable
from typing import Final

import boto3
from botocore.exceptions import BotoCoreError

from assetstore.calls import Observe, observe_nothing
from assetstore.door import Bucket
from assetstore.errors import StoreMisconfiguredError
from assetstore.s3.caller import Caller
from assetstore.s3.clock import Clock
from assetstore.s3.credentials import KeyRing
from assetstore.s3.dial import Dialer
from assetstore.s3.door import S3Door
from assetstore.s3.endpoint import refuse_proxy, resolve, trust
from assetstore.s3.message import Send
from assetstore.s3.pace import Pace
from assetstore.s3.pen import Pen
from assetstore.s3.pool import Pool
from assetstore.s3.signer import S3Signer

CONNECTIONS: Final = 64
_NO_CREDENTIALS: Final = (
    "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role "
    "(IRSA or Pod Identity)"
)


def credentials_problems() -> list[str]:
    """What is wrong with the credentials, as far as can be told without S3: a line each, or none."""
    try:
        return [] if boto3.Session().get_credentials() else [_NO_CREDENTIALS]
    except BotoCoreError as error:
        return [f"boto3 refuses this configuration: {error}"]


def _as_it_is(send: Send) -> Send:
    return send


def connect(  # noqa: PLR0913 -- three facts, and four that tests and metrics set by name
    region: str,
    bucket: str,
    public_endpoint_url: str | None,
    *,
    connections: int = CONNECTIONS,
    observe: Observe = observe_nothing,
    wrap: Callable[[Send], Send] = _as_it_is,
    read_clock: Callable[[], float] = time.time,
) -> Bucket:
    """Make ready to use a bucket, in one event loop; nothing is sent to S3 yet.

    Credentials and the endpoint come from boto3's own chain (environment, profile, IRSA, Pod Identity, instance).
    `connections` bounds how many there may be, `observe` is told of each call's end, `wrap` may put something
    between a call and the wire (see `assetstore.s3.message.Send`), and `read_clock` tells Unix seconds.

    Raises:
        StoreMisconfiguredError: there are no credentials, an endpoint is no URL, or only a proxy leads there.
    """
    try:
        session = boto3.Session(region_name=region)
        credentials = session.get_credentials()
        if credentials is None:
            raise StoreMisconfiguredError(_NO_CREDENTIALS)
        endpoint = resolve(session, bucket, None)
        public = endpoint if public_endpoint_url is None else resolve(session, bucket, public_endpoint_url)
    except (BotoCoreError, ValueError) as error:  # ValueError: boto3's word for an endpoint that is no URL
        raise StoreMisconfiguredError(f"boto3 refuses this configuration: {error}") from error
    refuse_proxy(endpoint)
    clock = Clock(read_clock)
    keys = KeyRing(credentials, clock)
    pool = Pool(Dialer(endpoint.hostname, endpoint.port, trust(session, endpoint)).dial, connections)
    pace = Pace(connections, float(connections))
    pen = Pen(keys, clock, endpoint.scope)
    caller = Caller(endpoint, pen, pool, wrap(pool.send), pace, observe)
    door = S3Door(bucket, caller)
    public_signer = S3Signer(public, Pen(keys, clock, public.scope))
    inner_signer = S3Signer(endpoint, pen)
    return Bucket(bucket, door, door, public_signer, inner_signer, door.close, lambda: pool.open_connections)
