"""The JSON bodies and query parameters of `/v1`, as pydantic models; see `service.models`."""

import re
import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from assetuploader.declaration import Declaration
from service.models import (
    ASSET_ID_SCHEMA,
    EXAMPLE_ID,
    MAX_URL_SECONDS,
    ProblemResponse,
    RequestModel,
    ResponseModel,
    UploadEtag,
    parse_url_seconds,
)

MAX_UPLOAD_BYTES: Final = 5 * 1024**3
"""S3's limit for one PUT."""
MAX_FILENAME_BYTES: Final = 255
MAX_CONTENT_TYPE_CHARACTERS: Final = 255
MAX_METADATA: Final = 20
"""Each name is a header of its own, and S3 limits the length of all headers."""
MAX_BATCH: Final = 100
MAX_BATCH_BYTES: Final = 1024 * 1024

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(rf'{_WORD}/{_WORD}(?:; ?{_WORD}=(?:{_WORD}|"[ !#-\[\]-~]*"))*', re.ASCII)
_METADATA_NAME: Final = re.compile(r"(?=.{1,64}$)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_EXAMPLE_SHA256: Final = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
_EXAMPLE_UPLOAD_URL: Final = f"https://my-bucket.s3.eu-west-1.amazonaws.com/temp/{EXAMPLE_ID}?X-Amz-Algorithm=…"
_EXAMPLE_DOWNLOAD_URL: Final = f"https://my-bucket.s3.eu-west-1.amazonaws.com/uploaded/{EXAMPLE_ID}?X-Amz-Algorithm=…"


def _is_text(value: object) -> bool:
    """Whether this is text without control characters that UTF-8 can encode."""
    return isinstance(value, str) and not any(unicodedata.category(character) in {"Cc", "Cs"} for character in value)


def _parse_filename(value: object) -> str:
    if not _is_text(value) or not isinstance(value, str) or not 1 <= len(value.encode()) <= MAX_FILENAME_BYTES:
        raise ValueError(
            f'"filename" must be text of 1 to {MAX_FILENAME_BYTES} bytes in UTF-8, without control characters.'
        )
    return value


def _parse_content_type(value: object) -> str:
    is_valid = isinstance(value, str) and len(value) <= MAX_CONTENT_TYPE_CHARACTERS and _MEDIA_TYPE.fullmatch(value)
    if not is_valid or not isinstance(value, str):
        raise ValueError(
            f'"content_type" must be a media type of at most {MAX_CONTENT_TYPE_CHARACTERS} characters, as in '
            '"image/png" or "text/plain; charset=utf-8".'
        )
    return value


def _parse_size(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # for JSON, 5.0 is a whole number
    if type(value) is not int or not 0 <= value <= MAX_UPLOAD_BYTES:
        raise ValueError(
            f'"size" must be a whole number of bytes from 0 to {MAX_UPLOAD_BYTES}, the most that S3 takes at once.'
        )
    return value


def _parse_sha256(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError('"sha256" must be the SHA-256 of the file, 64 hexadecimal digits.')
    return value.lower()


def _parse_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError('"write_once" must be true or false.')  # noqa: TRY004 -- pydantic's way
    return value


def _parse_metadata(value: object) -> Mapping[str, str]:
    if (
        not isinstance(value, dict)
        or len(value) > MAX_METADATA
        or not all(
            isinstance(name, str) and _METADATA_NAME.fullmatch(name) and _is_text(text) for name, text in value.items()
        )
    ):
        raise ValueError(
            f'"metadata" must be an object of at most {MAX_METADATA} members. Its names have at most 64 letters and '
            "digits, with single hyphens between them, and are stored in lower case. Its values are text without "
            "control characters."
        )
    return value


def _parse_disposition(values: list[str]) -> str:
    match values:
        case ["attachment" | "inline" as disposition]:
            return disposition
        case _:
            raise ValueError("disposition must be attachment or inline.")


class DeclarationRequest(RequestModel):
    """What is known about the file. Every member is optional, and what is given is enforced."""

    hint = (
        "Send a JSON object with some of filename, content_type, size, sha256, write_once and metadata, or no body. "
        "Other members are rejected."
    )
    example: ClassVar[dict[str, Any]] = {
        "filename": "hello.txt",
        "content_type": "text/plain",
        "size": 5,
        "sha256": _EXAMPLE_SHA256,
        "metadata": {"album": "42"},
    }

    filename: Annotated[
        str | None,
        BeforeValidator(_parse_filename),
        WithJsonSchema(
            {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"}
        ),
    ] = Field(
        None,
        description=f"The name under which browsers save the file: at most {MAX_FILENAME_BYTES} bytes in UTF-8.",
    )
    content_type: Annotated[
        str | None,
        BeforeValidator(_parse_content_type),
        WithJsonSchema(
            {"type": "string", "maxLength": MAX_CONTENT_TYPE_CHARACTERS, "pattern": f"^{_MEDIA_TYPE.pattern}$"}
        ),
    ] = Field(None, description="The media type. S3 rejects an upload with another `Content-Type`.")
    size: Annotated[
        int | None,
        BeforeValidator(_parse_size),
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_UPLOAD_BYTES}),
    ] = Field(None, description="In bytes. S3 rejects an upload of another length.")
    sha256: Annotated[
        str | None,
        BeforeValidator(_parse_sha256),
        WithJsonSchema({"type": "string", "pattern": f"^{_SHA256.pattern}$"}),
    ] = Field(None, description="The SHA-256 of the file in hexadecimal. S3 rejects other bytes.")
    write_once: Annotated[bool, BeforeValidator(_parse_flag), WithJsonSchema({"type": "boolean"})] = Field(
        default=False, description="Whether S3 rejects a second upload."
    )
    metadata: Annotated[
        Mapping[str, str],
        BeforeValidator(_parse_metadata),
        WithJsonSchema(
            {
                "type": "object",
                "maxProperties": MAX_METADATA,
                "propertyNames": {"pattern": f"^{_METADATA_NAME.pattern}$"},
                "additionalProperties": {"type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"},
            }
        ),
    ] = Field(
        default_factory=dict,
        description="Names and text of your own, returned with the asset. With the file name, S3 stores at most 2 kB.",
    )

    def to_declaration(self) -> Declaration:
        """Return it as the core's value."""
        return Declaration(
            self.filename, self.content_type, self.size, self.sha256, self.write_once, dict(self.metadata)
        )


class BatchRequest(RequestModel):
    """Several assets to create."""

    hint = (
        f'Send {{"assets": […]}} with 1 to {MAX_BATCH} objects, each as in POST /v1/assets. Other members are rejected.'
    )
    example: ClassVar[dict[str, Any]] = {"assets": [{"filename": "a.txt"}, {"filename": "b.txt", "size": 5}]}

    assets: Annotated[
        list[Any],
        Field(min_length=1, max_length=MAX_BATCH),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_BATCH,
                "items": {"$ref": "#/components/schemas/DeclarationRequest"},
            }
        ),
    ]
    """Each is checked on its own, so that one mistake does not reject the others."""


class CompleteRequest(RequestModel):
    """The body of a completion."""

    hint = 'Send {"etag": "…"} with the ETag of your upload, {}, or no body. Other members are rejected.'
    example: ClassVar[dict[str, Any]] = {"etag": "5d41402abc4b2a76b9719d911017c592"}

    etag: UploadEtag = None


class DownloadQuery(RequestModel):
    """The query parameters of a download."""

    hint = "See expires_in and disposition in /docs."
    example: ClassVar = {"expires_in": "60", "disposition": "attachment"}

    expires_in: Annotated[
        int | None,
        BeforeValidator(partial(parse_url_seconds, "expires_in")),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_URL_SECONDS}),
    ] = Field(None, description="How many seconds the download URL is valid. The operator sets the default.")
    disposition: Annotated[
        Literal["attachment", "inline"],
        BeforeValidator(_parse_disposition),
        WithJsonSchema({"type": "string", "enum": ["attachment", "inline"]}),
    ] = Field(
        "attachment",
        description=(
            "Whether browsers save the file or show it. They show only images, audio, video, PDF and plain text; of "
            "images no SVG, which may contain scripts."
        ),
    )


class UploadTarget(ResponseModel):
    """How to upload the bytes."""

    method: Literal["PUT"] = "PUT"
    url: str = Field(json_schema_extra={"format": "uri", "example": _EXAMPLE_UPLOAD_URL})
    headers: dict[str, str] = Field(
        description="Send exactly these headers, with these values. HTTP clients set `content-length` themselves.",
        json_schema_extra={"example": {"content-length": "5", "content-type": "text/plain"}},
    )
    expires_at: str = Field(
        description="When `url` expires.",
        json_schema_extra={"format": "date-time", "example": "2026-01-31T12:00:00Z"},
    )


class AssetResponse(ResponseModel):
    """An asset, in whichever state it is. A member that is not known is null."""

    id: Annotated[str, WithJsonSchema(ASSET_ID_SCHEMA)]
    status: Literal["pending", "marked", "uploaded", "expired"] = Field(
        description=(
            "`pending`: waits for its bytes and its completion. `marked`: complete, and final soon. `uploaded`: final. "
            "`expired`: never final."
        )
    )
    created_at: str | None = Field(json_schema_extra={"format": "date-time", "example": "2026-01-31T11:45:00Z"})
    expires_at: str = Field(
        description="When the upload URL expires, or expired.",
        json_schema_extra={"format": "date-time", "example": "2026-01-31T12:00:00Z"},
    )
    filename: str | None = Field(json_schema_extra={"example": "hello.txt"})
    content_type: str | None = Field(
        description="As declared; that of the upload once the asset is final.",
        json_schema_extra={"example": "text/plain"},
    )
    size: int | None = Field(
        description="In bytes, as declared; that of the upload once the asset is final.",
        json_schema_extra={"example": 5},
    )
    sha256: str | None = Field(description="As declared.", json_schema_extra={"example": _EXAMPLE_SHA256})
    etag: str | None = Field(
        description="Of the bytes that the completion named; of the final bytes once the asset is final.",
        json_schema_extra={"example": "5d41402abc4b2a76b9719d911017c592"},
    )
    metadata: dict[str, str] = Field(json_schema_extra={"example": {"album": "42"}})
    download_url: str | None = Field(
        description="A URL to download the bytes; null until the asset is final.",
        json_schema_extra={"format": "uri", "example": _EXAMPLE_DOWNLOAD_URL},
    )


class PendingAssetResponse(AssetResponse):
    """An asset that waits for its bytes, and how to upload them."""

    upload: UploadTarget


class BatchItem(ResponseModel):
    """The result for one asset of a batch: it, or the problem."""

    status: int = Field(description="The status that the request would have had on its own.")
    asset: PendingAssetResponse | None
    problem: ProblemResponse | None


class BatchResponse(ResponseModel):
    """The results, in the order of the request."""

    assets: list[BatchItem]
