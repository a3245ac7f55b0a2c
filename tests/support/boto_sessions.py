"""Sessions that share their loader: reading botocore's models takes a second each time."""

import boto3
from botocore.loaders import create_loader
from botocore.session import Session, get_session

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
