"""boto3 sessions that share their loader: reading botocore's models takes a second each time."""

import boto3
import botocore.session
from botocore.loaders import create_loader

_LOADER = create_loader()


def a_session(region: str = "us-east-1") -> boto3.Session:
    """A session for this region; all else as the environment says now."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _LOADER)
    return boto3.Session(region_name=region, botocore_session=core)
