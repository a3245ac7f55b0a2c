"""Sessions that share their loader, because reading botocore's models takes a second; and the requests of boto3."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.loaders import create_loader
from botocore.session import Session, get_session

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_LOADER = create_loader()


def botocore_session(region: str = "us-east-1") -> Session:
    """Return a session for this region. All else is as the environment has it now."""
    session = get_session()
    session.register_component("data_loader", _LOADER)
    session.set_config_variable("region", region)
    return session


def boto3_session(region: str = "us-east-1") -> boto3.Session:
    """Return the same as a session of boto3."""
    return boto3.Session(botocore_session=botocore_session(region))


class _CapturedError(Exception):
    """An error that stops boto3 before it sends a request."""


def capture_request(client: "S3Client", call: Callable[["S3Client"], object]) -> AWSPreparedRequest:
    """Return the request that boto3 would send for this call. Nothing is sent."""
    requests: list[AWSPreparedRequest] = []

    def capture(request: AWSPreparedRequest, **_: object) -> None:
        requests.append(request)
        raise _CapturedError

    client.meta.events.register("before-send.s3.*", capture)
    try:
        call(client)
    except _CapturedError:
        return requests[0]
    raise AssertionError("boto3 did not try to send a request")
