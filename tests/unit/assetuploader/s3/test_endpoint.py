"""The bucket has the address that boto3 uses, in Amazon's regions and in other stores."""

import pytest
from botocore.config import Config
from yarl import URL

from assetuploader.errors import StoreMisconfiguredError
from assetuploader.s3.bucket import open_bucket
from assetuploader.s3.endpoint import Endpoint, resolve_endpoint
from assetuploader.s3.object_store import S3ObjectStore
from assetuploader.s3.sigv4 import Scope
from tests.support.boto_sessions import boto3_session, botocore_session, capture_request


@pytest.fixture
def static_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")


@pytest.mark.parametrize(
    ("region", "bucket", "endpoint_url", "endpoint"),
    [
        (
            "eu-central-1",
            "assets",
            None,
            Endpoint(
                "https",
                "assets.s3.eu-central-1.amazonaws.com",
                "/",
                Scope("eu-central-1"),
            ),
        ),
        (
            "cn-north-1",
            "assets",
            None,
            Endpoint(
                "https",
                "assets.s3.cn-north-1.amazonaws.com.cn",
                "/",
                Scope("cn-north-1"),
            ),
        ),
        (
            "eu-central-1",
            "assets.example.org",  # boto3 uses the path here: the certificate would not match the host name
            None,
            Endpoint(
                "https",
                "s3.eu-central-1.amazonaws.com",
                "/assets.example.org/",
                Scope("eu-central-1"),
            ),
        ),
        (
            "us-east-1",
            "assets",
            "http://127.0.0.1:8333",
            Endpoint("http", "127.0.0.1:8333", "/assets/", Scope("us-east-1")),
        ),
        (
            "us-east-1",
            "assets",
            "http://[::1]:8333",
            Endpoint("http", "[::1]:8333", "/assets/", Scope("us-east-1")),
        ),
        (
            "us-east-1",
            "assets",
            "https://minio.example/s3",
            Endpoint("https", "minio.example", "/s3/assets/", Scope("us-east-1")),
        ),
    ],
)
def test_the_bucket_is_where_boto3_finds_it(
    region: str, bucket: str, endpoint_url: str | None, endpoint: Endpoint
) -> None:
    """Host, port, path and scope are boto3's, for Amazon and for other stores."""
    assert resolve_endpoint(botocore_session(region), bucket, endpoint_url) == endpoint


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "eu-central-1", "ap-southeast-2", "us-gov-west-1"])
@pytest.mark.parametrize("fips", ["false", "true"])
def test_calls_go_where_boto3_would_send_them(region: str, fips: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is that of boto3's own HeadObject, whatever endpoint the environment configures."""
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", fips)
    client = boto3_session(region).client(
        "s3",
        aws_access_key_id="AK",
        aws_secret_access_key="SK",  # noqa: S106 -- no secret
        config=Config(s3={"addressing_style": "virtual"}),
    )
    request = capture_request(client, lambda client: client.head_object(Bucket="assets", Key="temp/a"))
    found = resolve_endpoint(botocore_session(region), "assets", None)
    expected = {request.url}
    if region == "us-east-1" and fips == "false":  # the older name of the same host
        expected.add("https://assets.s3.amazonaws.com/temp/a")
    assert found.origin + found.path_of("temp/a") in expected


@pytest.mark.parametrize(
    ("endpoint_url", "origin"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://s3.example.com:443", "https://s3.example.com"),
        ("http://s3.example.com:443", "http://s3.example.com:443"),
        ("HTTPS://S3.Example.COM", "https://s3.example.com"),
        ("https://s3.example.com.:9000/", "https://s3.example.com:9000"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]"),
    ],
)
def test_the_host_is_the_one_that_clients_send(endpoint_url: str, origin: str) -> None:
    """The host is signed, so it must be what a client makes of the URL, however the operator wrote it."""
    endpoint = resolve_endpoint(botocore_session("us-east-1"), "assets", endpoint_url)
    assert endpoint.origin == origin
    assert URL(endpoint.origin).host_port_subcomponent == endpoint.host


@pytest.mark.usefixtures("static_credentials")
async def test_the_environment_names_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_ENDPOINT_URL_S3 applies as boto3 reads it; the public endpoint is only for the presigner."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://inner.example:8333")
    bucket = open_bucket("us-east-1", "assets", "https://public.example")
    assert isinstance(bucket.store, S3ObjectStore)
    assert bucket.store.client.endpoint.origin == "http://inner.example:8333"
    assert (await bucket.presigner.presign_put("k", 60)).url.startswith("https://public.example/assets/k?")
    assert (await bucket.internal_presigner.presign_put("k", 60)).url.startswith("http://inner.example:8333/assets/k?")


@pytest.mark.parametrize("bucket", ["", "a/b", "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"])
@pytest.mark.usefixtures("static_credentials")
def test_an_impossible_bucket_is_rejected(bucket: str) -> None:
    """A name that no bucket can have, or a kind that needs another signature, is a configuration error at start."""
    with pytest.raises(StoreMisconfiguredError):
        open_bucket("us-east-1", bucket, None)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://",
        "ftp://x.example",
        "http://a@x.example",
        "http://x.example:x",
        "https://b\u00fccher.example",
    ],
)
@pytest.mark.usefixtures("static_credentials")
def test_an_invalid_endpoint_is_rejected(url: str) -> None:
    """A public endpoint that is not an http or https URL is a configuration error at start."""
    with pytest.raises(StoreMisconfiguredError):
        open_bucket("us-east-1", "assets", url)


def test_missing_credentials_are_reported_at_start() -> None:
    """Without credentials, the error names the variables to set."""
    with pytest.raises(StoreMisconfiguredError, match="AWS_ACCESS_KEY_ID"):
        open_bucket("us-east-1", "assets", None)
