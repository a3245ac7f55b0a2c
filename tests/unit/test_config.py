"""The configuration: every mistake in it, at once, in words that help."""

import pytest

from assetstore.protocol import Rules
from cli.config import ConfigError, read_config
from reconciler.run import Settings

GOOD = {"AWS_REGION": "eu-west-1", "AWS_BUCKET": "my-assets"}
NO_ENDPOINT = "must be a URL as in https://s3.example.com, with nothing after the host"


def _problems(**environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_config({**GOOD, **environment})
    return caught.value.problems


def test_region_and_bucket_are_enough() -> None:
    """All else has the default that docs/design.md names."""
    assert read_config(GOOD).model_dump(by_alias=True) == {
        "AWS_REGION": "eu-west-1",
        "AWS_BUCKET": "my-assets",
        "AWS_ENDPOINT_URL_S3": None,
        "ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL": None,
        "ASSETUPLOADER_UPLOAD_URL_SECONDS": 900,
        "ASSETUPLOADER_DOWNLOAD_URL_SECONDS": 60,
        "ASSETUPLOADER_GRACE_SECONDS": 60,
        "ASSETUPLOADER_UNMARKED_SECONDS": 86_400,
        "ASSETUPLOADER_RUN_SECONDS": 0,
        "ASSETUPLOADER_POLL_SECONDS": 5,
        "ASSETUPLOADER_BUDGET_SECONDS": 3000,
        "ASSETUPLOADER_SHARDS": 1,
        "JOB_COMPLETION_INDEX": 0,
        "ASSETUPLOADER_DRAIN_SECONDS": 5,
        "ASSETUPLOADER_LOG_LEVEL": "info",
        "ASSETUPLOADER_LOG_FORMAT": None,
    }


def test_the_defaults_stand_in_one_place_each_and_agree() -> None:
    """The command's defaults are those of the code that it configures."""
    config, rules, settings = read_config(GOOD), Rules(), Settings()

    assert (config.upload_url_seconds, config.grace_seconds, config.unmarked_seconds) == (
        rules.upload_url_seconds,
        rules.grace_seconds,
        rules.unmarked_seconds,
    )
    assert (config.run_seconds, config.poll_seconds, config.budget_seconds) == (
        settings.run_seconds,
        settings.poll_seconds,
        settings.budget_seconds,
    )


def test_an_empty_variable_is_not_set() -> None:
    """Compose files and charts hand on empty strings for what nobody set."""
    assert read_config({**GOOD, "ASSETUPLOADER_GRACE_SECONDS": "", "AWS_ENDPOINT_URL_S3": ""}) == read_config(GOOD)


def test_every_mistake_is_reported_at_once() -> None:
    """Nobody fixes one, starts again and finds the next: a line for each, with what was given."""
    problems = _problems(
        AWS_REGION="EU WEST",
        AWS_BUCKET="My_Bucket",
        AWS_ENDPOINT_URL_S3="s3.example.com",
        ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL="https://s3.example.com/path",
        ASSETUPLOADER_UPLOAD_URL_SECONDS="0",
        ASSETUPLOADER_DOWNLOAD_URL_SECONDS="604801",
        ASSETUPLOADER_GRACE_SECONDS="-1",
        ASSETUPLOADER_UNMARKED_SECONDS="1d",
        ASSETUPLOADER_RUN_SECONDS="1e3",
        ASSETUPLOADER_POLL_SECONDS=" 5",
        ASSETUPLOADER_SHARDS="٣",
        JOB_COMPLETION_INDEX="1_0",
        ASSETUPLOADER_DRAIN_SECONDS="301",
        ASSETUPLOADER_LOG_LEVEL="loud",
        ASSETUPLOADER_LOG_FORMAT="xml",
    )

    assert problems == [
        "AWS_REGION: must be a region's name, as in eu-west-1 (it is 'EU WEST')",
        "AWS_BUCKET: must be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens (it is 'My_Bucket')",
        f"AWS_ENDPOINT_URL_S3: {NO_ENDPOINT} (it is 's3.example.com')",
        f"ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL: {NO_ENDPOINT} (it is 'https://s3.example.com/path')",
        "ASSETUPLOADER_UPLOAD_URL_SECONDS: should be greater than or equal to 1 (it is '0')",
        "ASSETUPLOADER_DOWNLOAD_URL_SECONDS: should be less than or equal to 604800 (it is '604801')",
        "ASSETUPLOADER_GRACE_SECONDS: must be a whole number, in digits (it is '-1')",
        "ASSETUPLOADER_UNMARKED_SECONDS: must be a whole number, in digits (it is '1d')",
        "ASSETUPLOADER_RUN_SECONDS: must be a whole number, in digits (it is '1e3')",
        "ASSETUPLOADER_POLL_SECONDS: must be a whole number, in digits (it is ' 5')",
        "ASSETUPLOADER_SHARDS: must be a whole number, in digits (it is '٣')",
        "JOB_COMPLETION_INDEX: must be a whole number, in digits (it is '1_0')",
        "ASSETUPLOADER_DRAIN_SECONDS: should be less than or equal to 300 (it is '301')",
        "ASSETUPLOADER_LOG_LEVEL: should be 'debug', 'info', 'warning' or 'error' (it is 'loud')",
        "ASSETUPLOADER_LOG_FORMAT: should be 'json' or 'console' (it is 'xml')",
    ]


def test_what_is_missing_is_reported_with_its_flag() -> None:
    """Region and bucket may be given either way."""
    with pytest.raises(ConfigError) as caught:
        read_config({})

    assert caught.value.problems == [
        "AWS_REGION: is not set; set it, or give --region",
        "AWS_BUCKET: is not set; set it, or give --bucket",
    ]


@pytest.mark.parametrize(("shards", "shard"), [("1", "0"), ("4", "3"), ("4096", "4095")])
def test_a_shard_that_exists_is_taken(shards: str, shard: str) -> None:
    """Kubernetes counts from zero."""
    config = read_config({**GOOD, "ASSETUPLOADER_SHARDS": shards, "JOB_COMPLETION_INDEX": shard})

    assert (config.shards, config.shard) == (int(shards), int(shard))


def test_a_shard_that_does_not_exist_is_refused() -> None:
    """A job with more completions than shards would leave pods without a part."""
    problems = _problems(ASSETUPLOADER_SHARDS="4", JOB_COMPLETION_INDEX="4")

    assert problems == ["JOB_COMPLETION_INDEX: must be below ASSETUPLOADER_SHARDS, which is 4 (it is '4')"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8333", "https://s3.example.com", "https://s3.example.com/", "http://[::1]:8333"],
)
def test_an_endpoint_is_a_url_of_a_host(url: str) -> None:
    """With or without port and closing slash."""
    assert read_config({**GOOD, "AWS_ENDPOINT_URL_S3": url}).endpoint_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "s3.example.com",
        "ftp://x",
        "https://",
        "https://x/y",
        "https://x?y",
        "https://x#y",
        "http://[",
        "http://x:port",
        "http://x:0",
        "http://u:p@x",
    ],
)
def test_anything_else_is_no_endpoint(url: str) -> None:
    """A path or a query would end up in the middle of every key."""
    (problem,) = _problems(AWS_ENDPOINT_URL_S3=url)

    assert problem.startswith("AWS_ENDPOINT_URL_S3: ")


@pytest.mark.parametrize("name", ["my-assets", "a.b.c", "0bucket", "a" * 63])
def test_a_buckets_name_is_taken(name: str) -> None:
    """As S3 has them."""
    assert read_config({**GOOD, "AWS_BUCKET": name}).bucket == name


@pytest.mark.parametrize("name", ["ab", "a" * 64, "-bucket", "bucket-", "Bucket", "buck_et", "bucket/x", "s3://bucket"])
def test_anything_else_is_no_bucket(name: str) -> None:
    """A URL or a path in its place is found out before S3 is asked."""
    assert len(_problems(AWS_BUCKET=name)) == 1
