"""The JSON bodies and query parameters of `/v1`, as pydantic models; see `service.models`."""

import re
import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from assetuploader.declaration import Declaration
from assetuploader.keys import parse_etag
from assetuploader.parts import MAX_MULTIPART_BYTES, MAX_PARTS, MAX_PUT_BYTES
from assetuploader.state_machine import MAX_URL_TTL_SECONDS
from assetuploader.store import CompletedPart
from service.models import (
    ASSET_ID_SCHEMA,
    EXAMPLE_ID,
    UPLOAD_ETAG_PATTERN,
    ProblemResponse,
    RequestModel,
    ResponseModel,
    UploadEtag,
    parse_url_seconds,
)

MAX_FILENAME_BYTES: Final = 255
MAX_CONTENT_TYPE_CHARACTERS: Final = 255
MAX_METADATA: Final = 20
"""Each name is a header of its own, and S3 limits the length of all headers."""
MAX_BATCH: Final = 100
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_PART_URLS: Final = 100
"""The number of part URLs in one response."""
MAX_COMPLETION_BYTES: Final = 2 * 1024 * 1024
"""10,000 parts with ETags of 128 characters."""
MAX_UPLOAD_ID_CHARACTERS: Final = 1024

_PARTS_HINT: Final = (
    f'"parts" must be a list of 1 to {MAX_PARTS} objects {{"number": …, "etag": "…"}}, with the ETag headers of S3\'s '
    "responses to the parts."
)
_UPLOAD_ID: Final = re.compile(rf"[!-~]{{1,{MAX_UPLOAD_ID_CHARACTERS}}}", re.ASCII)
_NEEDS_ONE_PUT: Final[dict[str, Any]] = {
    "anyOf": [
        {"required": ["sha256"]},
        {"required": ["write_once"], "properties": {"write_once": {"const": True}}},
    ]
}
_HAS_NO_PARTS: Final[dict[str, Any]] = {"required": ["multipart"], "properties": {"multipart": {"const": False}}}
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(rf'{_WORD}/{_WORD}(?:; ?{_WORD}=(?:{_WORD}|"[ !#-\[\]-~]*"))*', re.ASCII)
_METADATA_NAME: Final = re.compile(r"(?=.{1,64}$)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_EXAMPLE_SHA256: Final = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
_EXAMPLE_UPLOAD_URL: Final = f"https://my-bucket.s3.eu-west-1.amazonaws.com/temp/{EXAMPLE_ID}?X-Amz-Algorithm=…"
_EXAMPLE_UPLOAD_ID: Final = "VXBsb2FkIElEIGZvciBlbHZpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA"
_EXAMPLE_PART_URL: Final = (
    f"https://my-bucket.s3.eu-west-1.amazonaws.com/uploaded/{EXAMPLE_ID}?partNumber=1&X-Amz-Algorithm=…"
)
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


def _to_int(value: object) -> int | None:
    """Return a whole number of JSON, which may be written as 5.0; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _parse_size(value: object) -> int:
    size = _to_int(value)
    if size is None or not 0 <= size <= MAX_MULTIPART_BYTES:
        raise ValueError(f'"size" must be a whole number of bytes from 0 to {MAX_MULTIPART_BYTES}, which S3 allows.')
    return size


def _parse_sha256(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError('"sha256" must be the SHA-256 of the file, 64 hexadecimal digits.')
    return value.lower()


def _parse_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f'"{name}" must be true or false.')  # noqa: TRY004 -- pydantic's way
    return value


def _parse_upload_id(value: object) -> str:
    if not isinstance(value, str) or not _UPLOAD_ID.fullmatch(value):
        raise ValueError("upload_id must be the one in the response that created the asset.")
    return value


def _parse_upload_id_of_query(values: list[str]) -> str:
    return _parse_upload_id(values[0] if len(values) == 1 else None)


def _to_part_number(value: object) -> int | None:
    number = _to_int(value)
    return number if number is not None and 1 <= number <= MAX_PARTS else None


def _parse_part_numbers(value: object) -> list[int]:
    numbers = [_to_part_number(item) for item in value] if isinstance(value, list) else []
    found = [number for number in numbers if number is not None]
    if not 1 <= len(set(found)) == len(numbers) <= MAX_PART_URLS:
        raise ValueError(
            f'"part_numbers" must be a list of 1 to {MAX_PART_URLS} different whole numbers from 1 to {MAX_PARTS}.'
        )
    return found


def _parse_completed_parts(value: object) -> list[CompletedPart]:
    """Return the parts in the order of their numbers. Each has an ETag."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_PARTS:
        raise ValueError(_PARTS_HINT)
    parts = []
    for part in value:
        number, etag = None, None
        match part:
            case {"number": sent, "etag": str(text), **others} if not others:
                number, etag = _to_part_number(sent), parse_etag(text)
        if number is None or etag is None:
            raise ValueError(_PARTS_HINT)
        parts.append(CompletedPart(number, etag))
    return sorted(parts, key=lambda part: part.number)


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


_UPLOAD_ID_SCHEMA: Final = WithJsonSchema(
    {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_UPLOAD_ID_CHARACTERS,
        "pattern": "^[!-~]+$",
        "description": "The `upload_id` in the response that created the asset.",
    }
)
UploadId = Annotated[str, BeforeValidator(_parse_upload_id), _UPLOAD_ID_SCHEMA]
OptionalUploadId = Annotated[str | None, BeforeValidator(_parse_upload_id), _UPLOAD_ID_SCHEMA]


class DeclarationRequest(RequestModel):
    """What is known about the file. Every member is optional, and what is given is enforced."""

    hint = (
        "Send a JSON object with some of filename, content_type, size, sha256, write_once, multipart and metadata, or "
        "no body. "
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
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_MULTIPART_BYTES}),
    ] = Field(None, description="In bytes. S3 rejects an upload of another length.")
    sha256: Annotated[
        str | None,
        BeforeValidator(_parse_sha256),
        WithJsonSchema({"type": "string", "pattern": f"^{_SHA256.pattern}$"}),
    ] = Field(None, description="The SHA-256 of the file in hexadecimal. S3 rejects other bytes.")
    write_once: Annotated[
        bool, BeforeValidator(partial(_parse_flag, "write_once")), WithJsonSchema({"type": "boolean"})
    ] = Field(default=False, description="Whether S3 rejects a second upload.")
    multipart: Annotated[
        bool | None, BeforeValidator(partial(_parse_flag, "multipart")), WithJsonSchema({"type": "boolean"})
    ] = Field(
        None,
        description=(
            "Whether the file is uploaded in parts, which can be sent at once and resumed. By default large files are, "
            "if `size` is declared. `sha256` and `write_once` need one PUT."
        ),
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

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"if": _NEEDS_ONE_PUT, "then": {"properties": {"multipart": {"const": False}}}},
                {
                    "if": {"anyOf": [_NEEDS_ONE_PUT, _HAS_NO_PARTS]},
                    "then": {"properties": {"size": {"maximum": MAX_PUT_BYTES}}},
                },
            ]
        }
    )

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        needs_one_put = self.sha256 is not None or self.write_once
        if self.multipart and needs_one_put:
            raise ValueError('"sha256" and "write_once" need one PUT. Leave them out, or leave "multipart" out.')
        if self.is_too_long_for_put and (needs_one_put or self.multipart is False):
            raise ValueError(
                f'One PUT takes at most {MAX_PUT_BYTES} bytes. Longer files are uploaded in parts: leave "sha256" and '
                '"write_once" out, and do not set "multipart" to false.'
            )
        return self

    @property
    def is_too_long_for_put(self) -> bool:
        """Whether one PUT cannot take a file of this size."""
        return self.size is not None and self.size > MAX_PUT_BYTES

    def is_multipart(self, multipart_bytes: int) -> bool:
        """Whether the file is to be uploaded in parts, if those above this size are."""
        if self.multipart is not None:
            return self.multipart
        return self.size is not None and self.size > multipart_bytes and self.sha256 is None and not self.write_once

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


class PartUrlsRequest(RequestModel):
    """The parts that a client wants to send."""

    hint = 'Send {"upload_id": "…", "part_numbers": […]}. You may add "size". Other members are rejected.'
    example: ClassVar[dict[str, Any]] = {"upload_id": _EXAMPLE_UPLOAD_ID, "part_numbers": [1, 2]}

    upload_id: UploadId
    part_numbers: Annotated[
        list[int],
        BeforeValidator(_parse_part_numbers),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_PART_URLS,
                "uniqueItems": True,
                "items": {"type": "integer", "minimum": 1, "maximum": MAX_PARTS},
            }
        ),
    ]
    size: Annotated[
        int | None,
        BeforeValidator(_parse_size),
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_MULTIPART_BYTES}),
    ] = Field(
        None,
        description="The size of the file in bytes, if it was not declared. The last part may then be shorter.",
    )


class PartListQuery(RequestModel):
    """The query parameters of a list of parts."""

    hint = "Add ?upload_id=… with the upload_id in the response that created the asset."
    example: ClassVar = {"upload_id": _EXAMPLE_UPLOAD_ID}

    upload_id: Annotated[str, BeforeValidator(_parse_upload_id_of_query), _UPLOAD_ID_SCHEMA] = Field(
        description="The `upload_id` in the response that created the asset."
    )


class CompleteRequest(RequestModel):
    """The body of a completion."""

    hint = (
        'Send {"etag": "…"} with the ETag of your upload, {}, or no body; for an upload in parts {"upload_id": "…", '
        '"parts": […]}. Other members are rejected.'
    )
    example: ClassVar[dict[str, Any]] = {"etag": "5d41402abc4b2a76b9719d911017c592"}

    etag: UploadEtag = None
    upload_id: OptionalUploadId = None
    parts: Annotated[
        list[CompletedPart] | None,
        BeforeValidator(_parse_completed_parts),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_PARTS,
                "description": "All parts, each with the ETag header of S3's response.",
                "items": {
                    "type": "object",
                    "required": ["number", "etag"],
                    "additionalProperties": False,
                    "properties": {
                        "number": {"type": "integer", "minimum": 1, "maximum": MAX_PARTS},
                        "etag": {"type": "string", "pattern": UPLOAD_ETAG_PATTERN},
                    },
                },
            }
        ),
    ] = None

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"upload_id": ["parts"], "parts": ["upload_id"]},
            "not": {"required": ["etag", "parts"]},
        }
    )

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        if (self.upload_id is None) != (self.parts is None) or (self.parts is not None and self.etag is not None):
            raise ValueError(self.hint)
        return self


class DownloadQuery(RequestModel):
    """The query parameters of a download."""

    hint = "See expires_in and disposition in /docs."
    example: ClassVar = {"expires_in": "60", "disposition": "attachment"}

    expires_in: Annotated[
        int | None,
        BeforeValidator(partial(parse_url_seconds, "expires_in")),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_URL_TTL_SECONDS}),
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


class MultipartTarget(ResponseModel):
    """How to upload the bytes in parts."""

    method: Literal["multipart"] = "multipart"
    upload_id: str = Field(
        description="Names this upload in later requests. Keep it: it is not stored.",
        json_schema_extra={"example": _EXAMPLE_UPLOAD_ID},
    )
    part_size: int = Field(
        description="The size of each part in bytes. The last one is as long as what remains.",
        json_schema_extra={"example": 16_777_216},
    )
    part_count: int | None = Field(
        description="How many parts there are; null if the size was not declared.", json_schema_extra={"example": 64}
    )
    expires_at: str = Field(
        description="Until when parts are accepted.",
        json_schema_extra={"format": "date-time", "example": "2026-02-07T11:45:00Z"},
    )


class PartUrl(ResponseModel):
    """Where to PUT one part."""

    number: int = Field(json_schema_extra={"example": 1})
    url: str = Field(json_schema_extra={"format": "uri", "example": _EXAMPLE_PART_URL})
    headers: dict[str, str] = Field(
        description="Send exactly these headers, with these values. HTTP clients set `content-length` themselves.",
        json_schema_extra={"example": {"content-length": "16777216"}},
    )
    expires_at: str = Field(
        description="When `url` expires. Ask for another one then.",
        json_schema_extra={"format": "date-time", "example": "2026-01-31T12:00:00Z"},
    )


class PartUrlsResponse(ResponseModel):
    """Where to PUT parts, in the order of the request."""

    parts: list[PartUrl]


class ListedPart(ResponseModel):
    """One part that S3 has."""

    number: int = Field(json_schema_extra={"example": 1})
    size: int = Field(description="In bytes.", json_schema_extra={"example": 16_777_216})
    etag: str = Field(json_schema_extra={"example": "5d41402abc4b2a76b9719d911017c592"})


class PartListResponse(ResponseModel):
    """The parts that S3 has, in order, and what a client needs to send the others."""

    upload_id: str = Field(json_schema_extra={"example": _EXAMPLE_UPLOAD_ID})
    part_size: int = Field(
        description="The size of each part but the last one.", json_schema_extra={"example": 16_777_216}
    )
    part_count: int | None = Field(
        description="How many parts there are; null if the size was not declared.", json_schema_extra={"example": 64}
    )
    expires_at: str = Field(
        description="Until when parts are accepted.",
        json_schema_extra={"format": "date-time", "example": "2026-02-07T11:45:00Z"},
    )
    parts: list[ListedPart]


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

    upload: Annotated[UploadTarget | MultipartTarget, Field(discriminator="method")]


class BatchItem(ResponseModel):
    """The result for one asset of a batch: it, or the problem."""

    status: int = Field(description="The status that the request would have had on its own.")
    asset: PendingAssetResponse | None
    problem: ProblemResponse | None


class BatchResponse(ResponseModel):
    """The results, in the order of the request."""

    assets: list[BatchItem]
