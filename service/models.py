"""The JSON bodies and query parameters of the API, as pydantic models.

The models of requests decide what is accepted. All models describe the API in OpenAPI and in docs/api.md. A field has
its name in JSON as `serialization_alias`, if it differs. The names in requests are compared in lower case.
"""

import re
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from assetuploader.keys import parse_etag
from assetuploader.state_machine import MAX_URL_TTL_SECONDS

EXAMPLE_ID: Final = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"
ASSET_ID_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    "example": EXAMPLE_ID,
}

_SECONDS: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


class RequestModel(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    hint: ClassVar[str]
    """What to send, for the response to a request that the model does not accept."""
    example: ClassVar[dict[str, Any]]


class ResponseModel(BaseModel):
    """What the service sends."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", serialize_by_alias=True, json_schema_serialization_defaults_required=True
    )


def _parse_pin(value: object) -> str:
    pin = parse_etag(value) if isinstance(value, str) else None
    if pin is None:
        raise ValueError('"etag" must be the ETag header of S3\'s response to your upload, with or without quotes.')
    return pin


UPLOAD_ETAG_PATTERN: Final = '^("[0-9A-Za-z+/=_.-]{1,128}"|[0-9A-Za-z+/=_.-]{1,128})$'
UploadEtag = Annotated[
    str | None,
    BeforeValidator(_parse_pin),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": UPLOAD_ETAG_PATTERN,
            "description": "The ETag header of S3's response to the upload, with or without quotes.",
        }
    ),
]
"""The ETag of an upload, without its quotes."""


def parse_url_seconds(name: str, values: list[str]) -> int:
    """Return the value of the query parameter of this name: how long a presigned URL is valid.

    Raises:
        ValueError: It is not one number of seconds that S3 allows.
    """
    match values:
        case [text] if _SECONDS.fullmatch(text) and 1 <= int(text) <= MAX_URL_TTL_SECONDS:
            return int(text)
        case _:
            raise ValueError(f"{name} must be one whole number of seconds from 1 to {MAX_URL_TTL_SECONDS}.")


class MarkRequest(RequestModel):
    """The body of a mark."""

    hint = 'Send {"Status": "uploaded"}. You may add "etag", the ETag of your upload. Other members are rejected.'
    example: ClassVar = {"Status": "uploaded", "etag": "5d41402abc4b2a76b9719d911017c592"}

    status: Literal["uploaded"] = Field(serialization_alias="Status")
    pin: UploadEtag = Field(None, validation_alias="etag", serialization_alias="etag")


class ResolveQuery(RequestModel):
    """The query parameters of `GET /asset/{id}`."""

    hint = f"timeout must be one whole number of seconds from 1 to {MAX_URL_TTL_SECONDS}."
    example: ClassVar = {"timeout": "60"}

    timeout: Annotated[
        int | None,
        BeforeValidator(partial(parse_url_seconds, "timeout")),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_URL_TTL_SECONDS}),
    ] = Field(None, description="How many seconds the download URL is valid. The operator sets the default.")


class CreatedAssetResponse(ResponseModel):
    """A new asset, and where to upload its bytes."""

    upload_url: str = Field(
        json_schema_extra={
            "format": "uri",
            "example": f"https://my-bucket.s3.eu-west-1.amazonaws.com/temp/{EXAMPLE_ID}?X-Amz-Algorithm=…",
        }
    )
    id: Annotated[str, WithJsonSchema(ASSET_ID_SCHEMA)]
    expires_at: str = Field(
        description="When `upload_url` expires.",
        json_schema_extra={"format": "date-time", "example": "2026-01-31T12:00:00Z"},
    )


class DownloadResponse(ResponseModel):
    """Where to download a final asset."""

    download_url: str = Field(
        serialization_alias="Download_url",
        json_schema_extra={
            "format": "uri",
            "example": f"https://my-bucket.s3.eu-west-1.amazonaws.com/uploaded/{EXAMPLE_ID}?X-Amz-Algorithm=…",
        },
    )


class UpResponse(ResponseModel):
    """S3 responds."""

    status: Literal["UP"] = Field(default="UP", serialization_alias="Status")


class DownResponse(ResponseModel):
    """S3 does not respond, or the store is not verified yet."""

    status: Literal["DOWN"] = Field(default="DOWN", serialization_alias="Status")


class AliveResponse(ResponseModel):
    """The process responds."""

    status: Literal["alive"] = "alive"


class ReadyResponse(ResponseModel):
    """Load balancers should send requests."""

    status: Literal["ready"] = "ready"


class NotReadyResponse(ResponseModel):
    """Load balancers should not send requests."""

    status: Literal["starting", "draining"]


class ProblemResponse(ResponseModel):
    """An error, as RFC 9457 defines it. Programs read `code`."""

    type: str = Field(description="Where the error is explained.", json_schema_extra={"format": "uri-reference"})
    title: str
    status: int
    detail: str = Field(description="What to do, for people.")
    code: str = Field(description="The kind of error, for programs.")
    request_id: str = Field(
        description="The same as the `X-Request-ID` header. The service's logs contain it.",
        json_schema_extra={"format": "uuid"},
    )
