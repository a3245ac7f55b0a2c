"""The configuration: a value built from a mapping, every mistake in it reported at once."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

MAX_SECONDS: Final = 604_800
"""Seven days: S3's limit for a presigned URL, and more than any wait of ours needs."""

_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class ConfigError(Exception):
    """The configuration is wrong; `problems` has one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _number(text: Any) -> Any:  # noqa: ANN401 -- pydantic hands on what it was given
    if isinstance(text, str) and not _NUMBER.fullmatch(text):
        raise ValueError("must be a whole number, in digits")
    return text


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text, re.ASCII):
        raise ValueError("must be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens")
    return text


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{2,32}", text, re.ASCII):
        raise ValueError("must be a region's name, as in eu-west-1")
    return text


def _below_shards(shard: int, info: ValidationInfo) -> int:
    shards = info.data.get("shards", shard + 1)  # there is none when it is a mistake of its own
    if shard >= shards:
        raise ValueError(f"must be below ASSETUPLOADER_SHARDS, which is {shards}")
    return shard


def _endpoint(text: str) -> str:
    try:
        url = urlsplit(text)
        is_host = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0 and "@" not in url.netloc
    except ValueError:  # a port that is no number, or half an IPv6 address
        is_host = False
    if not is_host or url.query or url.fragment or url.path.strip("/"):
        raise ValueError("must be a URL as in https://s3.example.com, with nothing after the host")
    return text.rstrip("/")


Seconds = Annotated[int, BeforeValidator(_number), Field(ge=0, le=MAX_SECONDS)]
LifeSeconds = Annotated[int, BeforeValidator(_number), Field(ge=1, le=MAX_SECONDS)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]


class Config(BaseModel):
    """All settings of all programs, named after their environment variables."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    region: Annotated[str, AfterValidator(_region)] = Field(
        alias="AWS_REGION", description="The bucket's region (or --region)."
    )
    bucket: Annotated[str, AfterValidator(_bucket)] = Field(
        alias="AWS_BUCKET", description="The bucket's name (or --bucket)."
    )
    endpoint_url: Endpoint | None = Field(
        None, alias="AWS_ENDPOINT_URL_S3", description="An S3 other than Amazon's; read by boto3 itself."
    )
    public_endpoint_url: Endpoint | None = Field(
        None,
        alias="ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL",
        description="Where clients reach S3, when that is not where the service reaches it.",
    )
    upload_url_seconds: LifeSeconds = Field(
        900, alias="ASSETUPLOADER_UPLOAD_URL_SECONDS", description="How long an upload URL lives."
    )
    download_url_seconds: LifeSeconds = Field(
        60, alias="ASSETUPLOADER_DOWNLOAD_URL_SECONDS", description="How long a download URL lives, without ?timeout."
    )
    grace_seconds: Seconds = Field(
        60,
        alias="ASSETUPLOADER_GRACE_SECONDS",
        description="After expiry, before an unpinned asset is due: an upload begun in time may still be on its way.",
    )
    unmarked_seconds: Seconds = Field(
        86_400,
        alias="ASSETUPLOADER_UNMARKED_SECONDS",
        description="After expiry, before an asset that nobody marked is given up.",
    )
    run_seconds: Seconds = Field(
        0,
        alias="ASSETUPLOADER_RUN_SECONDS",
        description="How long a reconciler run lingers and looks for new marks; 0: one pass.",
    )
    poll_seconds: LifeSeconds = Field(
        5, alias="ASSETUPLOADER_POLL_SECONDS", description="How often a lingering run looks."
    )
    budget_seconds: LifeSeconds = Field(
        3000,
        alias="ASSETUPLOADER_BUDGET_SECONDS",
        description="After this long a run takes on no more assets, however many are due.",
    )
    shards: Annotated[int, BeforeValidator(_number), Field(ge=1, le=4096)] = Field(
        1, alias="ASSETUPLOADER_SHARDS", description="Into how many parts, each with a run of its own, ids are split."
    )
    shard: Annotated[int, BeforeValidator(_number), Field(ge=0), AfterValidator(_below_shards)] = Field(
        0, alias="JOB_COMPLETION_INDEX", description="Which of the shards this run does; Kubernetes sets it."
    )
    drain_seconds: Annotated[int, BeforeValidator(_number), Field(ge=0, le=300)] = Field(
        5,
        alias="ASSETUPLOADER_DRAIN_SECONDS",
        description="How long a service told to stop goes on serving, until load balancers have turned away.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="ASSETUPLOADER_LOG_LEVEL", description="The least severe events to log."
    )
    log_format: Literal["json", "console"] | None = Field(
        None, alias="ASSETUPLOADER_LOG_FORMAT", description="json, or console; by default console on a terminal."
    )


def read_config(environment: Mapping[str, str]) -> Config:
    """The configuration in these variables; an empty one counts as not set.

    Raises:
        ConfigError: something is missing or wrong.
    """
    try:
        return Config.model_validate({name: text for name, text in environment.items() if text})
    except ValidationError as error:
        raise ConfigError([_line(problem) for problem in error.errors()]) from None


def _line(problem: Any) -> str:  # noqa: ANN401 -- pydantic's ErrorDetails
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] == "missing":
        flag = {"AWS_REGION": "--region", "AWS_BUCKET": "--bucket"}[where]
        return f"{where}: is not set; set it, or give {flag}"
    return f"{where}: {message} (it is {problem['input']!r})" if where else message
