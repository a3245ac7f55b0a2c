"""The configuration reports all mistakes at once, each with its remedy."""

import pytest

from assetuploader.cli.config import RENAMED_VARIABLES, ConfigError, read_config
from assetuploader.state_machine import LifecyclePolicy

GOOD = {"AWS_REGION": "eu-west-1", "AWS_BUCKET": "my-assets"}
ENDPOINT_RULE = "must be scheme, host and at most a port, as in https://s3.example.com"


def _find_problems(**environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_config({**GOOD, **environment})
    return caught.value.problems


def test_region_and_bucket_are_enough() -> None:
    """All other settings have the documented defaults."""
    assert read_config(GOOD).model_dump(by_alias=True) == {
        "AWS_REGION": "eu-west-1",
        "AWS_BUCKET": "my-assets",
        "AWS_ENDPOINT_URL_S3": None,
        "ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL": None,
        "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": 900,
        "ASSETUPLOADER_DOWNLOAD_URL_TTL_SECONDS": 60,
        "ASSETUPLOADER_GRACE_SECONDS": 60,
        "ASSETUPLOADER_EXPIRE_AFTER_SECONDS": 86_400,
        "ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES": 67_108_864,
        "ASSETUPLOADER_MULTIPART_BYTES": 104_857_600,
        "ASSETUPLOADER_MULTIPART_TTL_SECONDS": 604_800,
        "ASSETUPLOADER_DELETES": False,
        "ASSETUPLOADER_WATCH_SECONDS": 0,
        "ASSETUPLOADER_POLL_INTERVAL_SECONDS": 5,
        "ASSETUPLOADER_MAX_RUN_SECONDS": 3000,
        "ASSETUPLOADER_SHARD_COUNT": 1,
        "JOB_COMPLETION_INDEX": 0,
        "ASSETUPLOADER_DRAIN_SECONDS": 5,
        "ASSETUPLOADER_LOG_LEVEL": "info",
        "ASSETUPLOADER_LOG_FORMAT": None,
    }


def test_the_default_policy_is_the_state_machines() -> None:
    """The defaults that decide about assets are defined once."""
    assert read_config(GOOD).policy == LifecyclePolicy()


def test_the_policy_has_the_settings_that_decide_about_an_asset() -> None:
    """Each of them reaches the state machine."""
    environment = {
        "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": "1",
        "ASSETUPLOADER_GRACE_SECONDS": "2",
        "ASSETUPLOADER_EXPIRE_AFTER_SECONDS": "3",
        "ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES": "0",
    }

    assert read_config({**GOOD, **environment}).policy == LifecyclePolicy(1, 2, 3, 0)


@pytest.mark.parametrize("size", ["0", "1", "5368709120"])
def test_the_service_finalizes_at_most_what_s3_copies_in_one_request(size: str) -> None:
    """The limit of CopyObject is 5 GiB."""
    assert read_config({**GOOD, "ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES": size}).finalize_at_once_bytes == int(size)


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("false", False), ("", False)])
def test_deletes_are_off_unless_they_are_switched_on(text: str, expected: bool) -> None:  # noqa: FBT001
    """The setting is `true` or `false`; an empty one counts as not set."""
    assert read_config({**GOOD, "ASSETUPLOADER_DELETES": text}).deletes is expected


@pytest.mark.parametrize("text", ["True", "TRUE", "yes", "on", "1", "0", "t", " true"])
def test_other_text_does_not_switch_deletes(text: str) -> None:
    """A spelling that one program understands and another does not must not decide about deletion."""
    assert _find_problems(ASSETUPLOADER_DELETES=text) == [f"ASSETUPLOADER_DELETES: must be true or false, not {text!r}"]


@pytest.mark.parametrize(("old", "new"), RENAMED_VARIABLES.items())
def test_an_old_name_is_rejected_with_the_new_one(old: str, new: str) -> None:
    """A setting under its old name stops the program instead of being ignored."""
    assert _find_problems(**{old: "1"}) == [f"{old} is now {new}: rename it"]


def test_an_old_name_is_reported_with_the_other_mistakes() -> None:
    """Renamed variables and wrong values are reported at once."""
    problems = _find_problems(ASSETUPLOADER_SHARDS="2", ASSETUPLOADER_LOG_FORMAT="xml")
    assert problems == [
        "ASSETUPLOADER_SHARDS is now ASSETUPLOADER_SHARD_COUNT: rename it",
        "ASSETUPLOADER_LOG_FORMAT: should be 'json' or 'console', not 'xml'",
    ]


def test_an_empty_variable_is_not_set() -> None:
    """Compose files and charts pass empty strings for settings that are not set."""
    assert read_config({**GOOD, "ASSETUPLOADER_GRACE_SECONDS": "", "AWS_ENDPOINT_URL_S3": ""}) == read_config(GOOD)


def test_every_mistake_is_reported_at_once() -> None:
    """There is one line for each mistake, with the value, so that all can be fixed together."""
    problems = _find_problems(
        AWS_REGION="EU WEST",
        AWS_BUCKET="My_Bucket",
        AWS_ENDPOINT_URL_S3="s3.example.com",
        ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL="https://s3.example.com/path",
        ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS="0",
        ASSETUPLOADER_DOWNLOAD_URL_TTL_SECONDS="604801",
        ASSETUPLOADER_GRACE_SECONDS="-1",
        ASSETUPLOADER_EXPIRE_AFTER_SECONDS="1d",
        ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES="53687091200",
        ASSETUPLOADER_DELETES="True",
        ASSETUPLOADER_WATCH_SECONDS="1e3",
        ASSETUPLOADER_POLL_INTERVAL_SECONDS=" 5",
        ASSETUPLOADER_SHARD_COUNT="٣",
        JOB_COMPLETION_INDEX="1_0",
        ASSETUPLOADER_DRAIN_SECONDS="301",
        ASSETUPLOADER_LOG_LEVEL="loud",
        ASSETUPLOADER_LOG_FORMAT="xml",
    )

    assert problems == [
        "AWS_REGION: must be a region's name, as in eu-west-1, not 'EU WEST'",
        "AWS_BUCKET: must be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, not 'My_Bucket'",
        f"AWS_ENDPOINT_URL_S3: {ENDPOINT_RULE}, not 's3.example.com'",
        f"ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL: {ENDPOINT_RULE}, not 'https://s3.example.com/path'",
        "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS: should be greater than or equal to 1, not '0'",
        "ASSETUPLOADER_DOWNLOAD_URL_TTL_SECONDS: should be less than or equal to 604800, not '604801'",
        "ASSETUPLOADER_GRACE_SECONDS: must be a whole number, in digits, not '-1'",
        "ASSETUPLOADER_EXPIRE_AFTER_SECONDS: must be a whole number, in digits, not '1d'",
        "ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES: should be less than or equal to 5368709120, not '53687091200'",
        "ASSETUPLOADER_DELETES: must be true or false, not 'True'",
        "ASSETUPLOADER_WATCH_SECONDS: must be a whole number, in digits, not '1e3'",
        "ASSETUPLOADER_POLL_INTERVAL_SECONDS: must be a whole number, in digits, not ' 5'",
        "ASSETUPLOADER_SHARD_COUNT: must be a whole number, in digits, not '٣'",
        "JOB_COMPLETION_INDEX: must be a whole number, in digits, not '1_0'",
        "ASSETUPLOADER_DRAIN_SECONDS: should be less than or equal to 300, not '301'",
        "ASSETUPLOADER_LOG_LEVEL: should be 'debug', 'info', 'warning' or 'error', not 'loud'",
        "ASSETUPLOADER_LOG_FORMAT: should be 'json' or 'console', not 'xml'",
    ]


def test_a_missing_setting_is_reported_with_its_flag() -> None:
    """Region and bucket can be set by variable or by flag."""
    with pytest.raises(ConfigError) as caught:
        read_config({})

    assert caught.value.problems == [
        "AWS_REGION: is not set; set it, or give --region",
        "AWS_BUCKET: is not set; set it, or give --bucket",
    ]


@pytest.mark.parametrize(("shards", "shard"), [("1", "0"), ("4", "3"), ("4096", "4095")])
def test_an_existing_shard_is_accepted(shards: str, shard: str) -> None:
    """Kubernetes counts from zero."""
    config = read_config({**GOOD, "ASSETUPLOADER_SHARD_COUNT": shards, "JOB_COMPLETION_INDEX": shard})

    assert (config.shard_count, config.shard) == (int(shards), int(shard))


def test_a_missing_shard_is_rejected() -> None:
    """A Job with more completions than shards has pods without a shard."""
    problems = _find_problems(ASSETUPLOADER_SHARD_COUNT="4", JOB_COMPLETION_INDEX="4")

    assert problems == ["JOB_COMPLETION_INDEX: must be below ASSETUPLOADER_SHARD_COUNT, which is 4, not '4'"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8333", "https://s3.example.com", "https://s3.example.com/", "http://[::1]:8333"],
)
def test_an_endpoint_is_a_url_of_a_host(url: str) -> None:
    """Port and trailing slash are optional."""
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
def test_other_text_is_not_an_endpoint(url: str) -> None:
    """A path or a query would become part of every key."""
    (problem,) = _find_problems(AWS_ENDPOINT_URL_S3=url)

    assert problem.startswith("AWS_ENDPOINT_URL_S3: ")


@pytest.mark.parametrize("name", ["my-assets", "a.b.c", "0bucket", "a" * 63])
def test_a_bucket_name_is_accepted(name: str) -> None:
    """A name that follows S3's rules is accepted."""
    assert read_config({**GOOD, "AWS_BUCKET": name}).bucket == name


@pytest.mark.parametrize("name", ["ab", "a" * 64, "-bucket", "bucket-", "Bucket", "buck_et", "bucket/x", "s3://bucket"])
def test_other_text_is_not_a_bucket(name: str) -> None:
    """A URL or a path is rejected before anything is sent to S3."""
    assert len(_find_problems(AWS_BUCKET=name)) == 1
