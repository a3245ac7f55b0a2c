"""The configuration: a value built from the environment. All mistakes are reported at once."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from assetuploader.asset_service import MIN_RETRY_AFTER_SECONDS
from assetuploader.parts import MAX_PUT_BYTES, MIN_PART_BYTES
from assetuploader.state_machine import MAX_URL_TTL_SECONDS, LifecyclePolicy

MAX_SECONDS: Final = MAX_URL_TTL_SECONDS
"""S3's limit for a presigned URL is longer than any other wait, too."""
RENAMED_VARIABLES: Final[Mapping[str, str]] = {
    "ASSETUPLOADER_UPLOAD_URL_SECONDS": "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS",
    "ASSETUPLOADER_DOWNLOAD_URL_SECONDS": "ASSETUPLOADER_DOWNLOAD_URL_TTL_SECONDS",
    "ASSETUPLOADER_UNMARKED_SECONDS": "ASSETUPLOADER_EXPIRE_AFTER_SECONDS",
    "ASSETUPLOADER_RUN_SECONDS": "ASSETUPLOADER_WATCH_SECONDS",
    "ASSETUPLOADER_POLL_SECONDS": "ASSETUPLOADER_POLL_INTERVAL_SECONDS",
    "ASSETUPLOADER_BUDGET_SECONDS": "ASSETUPLOADER_MAX_RUN_SECONDS",
    "ASSETUPLOADER_SHARDS": "ASSETUPLOADER_SHARD_COUNT",
}
"""Names before version 0.2.0. They are refused: a program that stops is better than a setting that is ignored."""

_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_POLICY: Final = LifecyclePolicy()


class ConfigError(Exception):
    """The configuration is wrong; `problems` has one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _check_number(text: Any) -> Any:  # noqa: ANN401 -- pydantic passes any value
    if isinstance(text, str) and not _NUMBER.fullmatch(text):
        raise ValueError("must be a whole number, in digits")
    return text


def _check_switch(text: Any) -> Any:  # noqa: ANN401 -- pydantic passes any value
    if isinstance(text, str) and text not in {"true", "false"}:  # pydantic also knows yes, on, 1 and more
        raise ValueError("must be true or false")
    return text


def _check_bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text, re.ASCII):
        raise ValueError("must be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens")
    return text


def _check_region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{2,32}", text, re.ASCII):
        raise ValueError("must be a region's name, as in eu-west-1")
    return text


def _check_shard(shard: int, info: ValidationInfo) -> int:
    shard_count = info.data.get("shard_count", shard + 1)  # absent when ASSETUPLOADER_SHARD_COUNT is invalid
    if shard >= shard_count:
        raise ValueError(f"must be below ASSETUPLOADER_SHARD_COUNT, which is {shard_count}")
    return shard


def _normalize_endpoint(text: str) -> str:
    try:
        url = urlsplit(text)
        is_valid = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:  # the port is not a number, or an IPv6 address is incomplete
        is_valid = False
    if not is_valid or url.query or url.fragment or url.path.strip("/"):
        raise ValueError("must be scheme, host and at most a port, as in https://s3.example.com")
    return text.rstrip("/")


Seconds = Annotated[int, BeforeValidator(_check_number), Field(ge=0, le=MAX_SECONDS)]
PositiveSeconds = Annotated[int, BeforeValidator(_check_number), Field(ge=1, le=MAX_SECONDS)]
Endpoint = Annotated[str, AfterValidator(_normalize_endpoint)]


class Config(BaseModel):
    """The settings of all programs, with their environment variables as aliases."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    region: Annotated[str, AfterValidator(_check_region)] = Field(
        alias="AWS_REGION", description="The bucket's region (or --region)."
    )
    bucket: Annotated[str, AfterValidator(_check_bucket)] = Field(
        alias="AWS_BUCKET", description="The bucket's name (or --bucket)."
    )
    endpoint_url: Endpoint | None = Field(
        None, alias="AWS_ENDPOINT_URL_S3", description="The endpoint of an S3 other than Amazon's. boto3 reads it, too."
    )
    public_endpoint_url: Endpoint | None = Field(
        None,
        alias="ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL",
        description="The endpoint that clients reach, if it differs from the one that the service reaches.",
    )
    upload_url_ttl_seconds: PositiveSeconds = Field(
        _POLICY.upload_url_ttl_seconds,
        alias="ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS",
        description="How long an upload URL is valid.",
    )
    download_url_ttl_seconds: PositiveSeconds = Field(
        60,
        alias="ASSETUPLOADER_DOWNLOAD_URL_TTL_SECONDS",
        description="How long a download URL is valid, unless the request has ?timeout.",
    )
    grace_seconds: Seconds = Field(
        _POLICY.grace_seconds,
        alias="ASSETUPLOADER_GRACE_SECONDS",
        description="How long after the upload URL expired an unpinned asset is due: "
        "an upload that began in time may still be running.",
    )
    expire_after_seconds: Seconds = Field(
        _POLICY.expire_after_seconds,
        alias="ASSETUPLOADER_EXPIRE_AFTER_SECONDS",
        description="How long after the upload URL expired an unmarked asset, or one whose pinned bytes were "
        "overwritten, expires.",
    )
    finalize_at_once_bytes: Annotated[int, BeforeValidator(_check_number), Field(ge=0, le=MAX_PUT_BYTES)] = Field(
        _POLICY.finalize_at_once_bytes,
        alias="ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES",
        description="The largest upload that the service finalizes itself when it is marked with its ETag; larger ones "
        "are left to the reconciler. 0: all are.",
    )
    multipart_bytes: Annotated[int, BeforeValidator(_check_number), Field(ge=MIN_PART_BYTES, le=MAX_PUT_BYTES)] = Field(
        100 * 1024**2,
        alias="ASSETUPLOADER_MULTIPART_BYTES",
        description="From which declared size on an asset of `/v1` is uploaded in parts, unless its creator wants "
        "otherwise.",
    )
    multipart_ttl_seconds: PositiveSeconds = Field(
        _POLICY.multipart_ttl_seconds,
        alias="ASSETUPLOADER_MULTIPART_TTL_SECONDS",
        description="How long an upload in parts may take.",
    )
    deletes: Annotated[bool, BeforeValidator(_check_switch)] = Field(
        default=False,
        alias="ASSETUPLOADER_DELETES",
        description="Whether clients may delete assets that are marked or final. The service then needs "
        "`s3:DeleteObject` on `uploaded/*` and `temp/*`.",
    )
    watch_seconds: Seconds = Field(
        0,
        alias="ASSETUPLOADER_WATCH_SECONDS",
        description="How long after its start a run watches for new marks, beside its full scan; 0: not at all.",
    )
    poll_interval_seconds: PositiveSeconds = Field(
        MIN_RETRY_AFTER_SECONDS,
        alias="ASSETUPLOADER_POLL_INTERVAL_SECONDS",
        description="How often a watching run scans recent uploads.",
    )
    max_run_seconds: PositiveSeconds = Field(
        3000,
        alias="ASSETUPLOADER_MAX_RUN_SECONDS",
        description="After this time a run reconciles no further asset, however many are due.",
    )
    shard_count: Annotated[int, BeforeValidator(_check_number), Field(ge=1, le=4096)] = Field(
        1, alias="ASSETUPLOADER_SHARD_COUNT", description="Into how many shards ids are divided, each with its own run."
    )
    shard: Annotated[int, BeforeValidator(_check_number), Field(ge=0), AfterValidator(_check_shard)] = Field(
        0, alias="JOB_COMPLETION_INDEX", description="Which shard this run reconciles; Kubernetes sets it."
    )
    drain_seconds: Annotated[int, BeforeValidator(_check_number), Field(ge=0, le=300)] = Field(
        5,
        alias="ASSETUPLOADER_DRAIN_SECONDS",
        description="How long a stopping service keeps serving, until load balancers have removed it.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="ASSETUPLOADER_LOG_LEVEL", description="The least severe events to log."
    )
    log_format: Literal["json", "console"] | None = Field(
        None, alias="ASSETUPLOADER_LOG_FORMAT", description="json or console; by default console on a terminal."
    )

    @property
    def policy(self) -> LifecyclePolicy:
        """The settings that decide about an asset."""
        return LifecyclePolicy(
            self.upload_url_ttl_seconds,
            self.grace_seconds,
            self.expire_after_seconds,
            self.finalize_at_once_bytes,
            self.multipart_ttl_seconds,
        )


def read_config(environment: Mapping[str, str]) -> Config:
    """Return the configuration in these variables. An empty variable counts as not set.

    Raises:
        ConfigError: A setting is missing or wrong, or a variable has a name of an earlier version.
    """
    values = {name: text for name, text in environment.items() if text}
    problems = [f"{old} is now {new}: rename it" for old, new in RENAMED_VARIABLES.items() if old in values]
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError([*problems, *map(_describe, error.errors())]) from None
    if problems:
        raise ConfigError(problems)
    return config


def _describe(problem: Any) -> str:  # noqa: ANN401 -- pydantic's ErrorDetails
    variable = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] == "missing":
        flag = {"AWS_REGION": "--region", "AWS_BUCKET": "--bucket"}[variable]
        return f"{variable}: is not set; set it, or give {flag}"
    return f"{variable}: {message}, not {problem['input']!r}" if variable else message
