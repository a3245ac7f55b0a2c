"""Opens a bucket: boto3 finds credentials and endpoint, everything else is wired here."""

import os
from collections.abc import Callable
from typing import Final

from botocore.exceptions import BotoCoreError, CredentialRetrievalError, HTTPClientError, MetadataRetrievalError
from botocore.session import get_session

from assetuploader.errors import StoreMisconfiguredError, StoreUnavailableError
from assetuploader.http_settings import HttpSettings
from assetuploader.instrumentation import CallObserver, noop_observer
from assetuploader.s3.client import S3Client
from assetuploader.s3.clock import Clock
from assetuploader.s3.credentials import CredentialCache
from assetuploader.s3.endpoint import resolve_endpoint
from assetuploader.s3.http import Transport
from assetuploader.s3.limits import AimdLimiter
from assetuploader.s3.multipart_store import S3MultipartStore
from assetuploader.s3.object_store import S3ObjectStore
from assetuploader.s3.presigner import S3Presigner
from assetuploader.s3.signing import SigningKeyProvider
from assetuploader.s3.transport import AiohttpTransport
from assetuploader.store import Bucket

MAX_CONNECTIONS: Final = 64
_NO_CREDENTIALS: Final = (
    "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role "
    "(IRSA or Pod Identity)"
)


def find_credential_problems() -> list[str]:
    """Return the problems with the credentials that can be found without a request to S3, one line each."""
    try:
        return [] if get_session().get_credentials() else [_NO_CREDENTIALS]
    except BotoCoreError as error:
        return [f"boto3 rejects this configuration: {error}"]


def _identity(transport: Transport) -> Transport:
    return transport


def open_bucket(  # noqa: PLR0913 -- three that name the bucket, and keyword-only ones for tests and metrics
    region: str,
    bucket: str,
    public_endpoint_url: str | None,
    *,
    max_connections: int = MAX_CONNECTIONS,
    on_call: CallObserver = noop_observer,
    wrap_transport: Callable[[Transport], Transport] = _identity,
    clock: Clock | None = None,
) -> Bucket:
    """Prepare to use a bucket, in one event loop; nothing is sent to S3 yet.

    Credentials and endpoint come from boto3's own chain (environment, profile, IRSA, Pod Identity, instance), which may
    send requests of its own. The CA bundle and proxies come from the environment. `on_call` observes the end of each
    call, `wrap_transport` wraps the transport (see `assetuploader.s3.http.Transport`). `clock` learns S3's time from
    every response, and buckets may share it.

    Raises:
        StoreMisconfiguredError: There are no credentials, or an endpoint or the CA bundle is invalid.
        StoreUnavailableError: What gives out the credentials of a role does not respond.
    """
    try:
        session = get_session()
        session.set_config_variable("region", region)
        source = session.get_credentials()
        if source is None:
            raise StoreMisconfiguredError(_NO_CREDENTIALS)
        endpoint = resolve_endpoint(session, bucket, None)
        public = endpoint if public_endpoint_url is None else resolve_endpoint(session, bucket, public_endpoint_url)
    except (CredentialRetrievalError, MetadataRetrievalError, HTTPClientError) as error:
        raise StoreUnavailableError(
            f"the AWS credentials could not be fetched ({type(error).__name__}): check the role of the pod; the agent "
            "of Pod Identity may not be ready yet"
        ) from error
    except (BotoCoreError, ValueError) as error:  # boto3 raises ValueError for an invalid endpoint
        raise StoreMisconfiguredError(f"the S3 configuration is invalid: {error}") from error
    http = HttpSettings.from_environment(os.environ, session.get_config_variable("ca_bundle"))
    s3_clock = clock or Clock()
    credentials = CredentialCache(source, s3_clock)
    transport = AiohttpTransport(endpoint.origin, http, max_connections)
    limiter = AimdLimiter(max_connections)
    signing = SigningKeyProvider(credentials, s3_clock, endpoint.scope)
    client = S3Client(endpoint, signing, s3_clock, wrap_transport(transport.send), limiter, on_call)
    store = S3ObjectStore(bucket, client)
    return Bucket(
        bucket,
        store,
        S3MultipartStore(client),
        store,
        S3Presigner(public, SigningKeyProvider(credentials, s3_clock, public.scope)),
        S3Presigner(endpoint, signing),
        http,
        transport.aclose,
        lambda: limiter.in_flight,
    )
