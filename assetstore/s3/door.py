"""`assetstore.door.Door` and `ReportStore` on one bucket: what each S3 call says, and how its answer reads."""

from base64 import b64encode
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5
from typing import Any, Final
from urllib.parse import urlencode

from assetstore.door import RESTATED_HEADERS, Head, Page, Said
from assetstore.errors import StoreUnavailableError
from assetstore.s3.caller import ANSWER_LIMIT, BATCH, COPY, Ask, Caller
from assetstore.s3.clock import parse_http_date
from assetstore.s3.documents import UnreadableError, read_copied_etag, read_deletions, read_page, write_deletions
from assetstore.s3.message import Answer
from assetstore.s3.refusal import Missing
from assetstore.s3.sigv4 import encode_path

_META: Final = "x-amz-meta-"
_META_BYTES: Final = _META.encode()
_META_LENGTH: Final = len(_META)
_RESTATED: Final = tuple((name.encode(), name) for name in RESTATED_HEADERS)
_RESTATED_LIMIT: Final = 4 * 1024
"""Longest sum of a client's own headers that a copy states again. S3 takes 8 kB of headers, with the token."""
_LIST_LIMIT: Final = 8 * 1024 * 1024
"""1,000 keys of 1,024 bytes, each three characters when encoded, and what stands round them: 4 MB."""
_LIST_PARAMETERS: Final = (("encoding-type", "url"), ("list-type", "2"))
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class S3Door:
    """The bucket, over `assetstore.s3.caller`."""

    bucket: str
    caller: Caller

    # What each asset needs are plain functions, which hand on the one coroutine that does it: one more costs each step.

    def head(self, key: str) -> Coroutine[Any, Any, Head | None]:
        """See `Door.head`."""
        return self.caller.call(Ask("HeadObject", "HEAD", key, Missing.IS_AN_ANSWER), _read_head)

    def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> Coroutine[Any, Any, str]:
        """See `Door.put_if`."""
        condition = ("if-none-match", "*") if etag is None else ("if-match", etag)
        missing = Missing.IS_NOT_UNDERSTOOD if etag is None else Missing.FAILS_THE_CONDITION
        return self.caller.call(
            Ask("PutObject", "PUT", key, missing, headers=[condition, *_spoken(said)], body=body), _read_etag
        )

    def copy_if(
        self, source: str, source_etag: str, target: str, target_etag: str, said: Said
    ) -> Coroutine[Any, Any, str]:
        """See `Door.copy_if`."""
        headers = [
            ("if-match", target_etag),
            ("x-amz-copy-source", encode_path(f"{self.bucket}/{source}")),
            ("x-amz-copy-source-if-match", source_etag),
            ("x-amz-metadata-directive", "REPLACE"),
            ("x-amz-tagging-directive", "REPLACE"),
            *_spoken(said),
        ]
        ask = Ask("CopyObject", "PUT", target, Missing.FAILS_THE_CONDITION, headers=headers, patience=COPY)
        return self.caller.call(ask, lambda answer: read_copied_etag(answer.body))

    async def list_page(self, prefix: str, start_after: str) -> Page:
        """See `Door.list_page`."""
        query = [*_LIST_PARAMETERS, ("prefix", prefix), ("start-after", start_after)]
        if not start_after:
            query.pop()
        ask = Ask("ListObjectsV2", "GET", "", Missing.IS_NOT_UNDERSTOOD, query=query, answer_limit=_LIST_LIMIT)
        return await self.caller.call(ask, _read_page)

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `Door.delete_many`."""
        if not keys:
            return {}
        body = write_deletions(keys)
        # DeleteObjects demands a checksum, and every store knows this one.
        checksum = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        headers = [("content-md5", checksum), ("content-type", "application/xml")]
        ask = Ask(
            "DeleteObjects",
            "POST",
            "",
            Missing.IS_NOT_UNDERSTOOD,
            query=[("delete", "")],
            headers=headers,
            body=body,
            answer_limit=_LIST_LIMIT,
            patience=BATCH,
        )
        return await self.caller.call(ask, lambda answer: read_deletions(answer.body))

    async def get(self, key: str, limit_bytes: int) -> bytes | None:
        """See `ReportStore.get`."""
        # S3's word that there is none may be longer than the object may be.
        answer_limit = max(limit_bytes, ANSWER_LIMIT)
        ask = Ask("GetObject", "GET", key, Missing.IS_AN_ANSWER, answer_limit=answer_limit)

        def read(answer: Answer) -> bytes | None:
            if answer.status == _NOT_FOUND:
                return None
            if len(answer.body) > limit_bytes:
                raise StoreUnavailableError(f"{key} is longer than {limit_bytes} bytes: it is none of ours")
            return answer.body

        return await self.caller.call(ask, read)

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """See `ReportStore.put`."""
        ask = Ask(
            "PutObject", "PUT", key, Missing.IS_NOT_UNDERSTOOD, headers=[("content-type", content_type)], body=body
        )
        await self.caller.call(ask, _read_etag)

    async def close(self) -> None:
        """End the connections; nothing can be asked any more."""
        await self.caller.pool.close()


def restatable(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Those of an upload's system headers that a copy can state again, as they are.

    Their values are the client's, and S3 gives back any bytes. What is not printable ASCII is dropped: stores disagree
    on how to sign it, and a file whose label is lost is better than one that can never be finalized.
    """
    kept = []
    left = _RESTATED_LIMIT
    for name, value in headers.items():
        if value and value.isascii() and value.isprintable() and len(value) <= left:
            left -= len(value)
            kept.append((name, value))
    return kept


def _spoken(said: Said) -> list[tuple[str, str]]:
    return [
        *restatable(said.headers),
        *[(_META + name, value) for name, value in said.metadata.items()],
        ("x-amz-tagging", _tagging(tuple(said.tags.items()))),
    ]


@lru_cache(maxsize=256)
def _tagging(tags: tuple[tuple[str, str], ...]) -> str:
    """Kept: many assets expire in one second, and have the same."""
    return urlencode(tags)


def _read_etag(answer: Answer) -> str:
    etag = answer.header("etag")
    if etag is None or not (bare := etag.strip('"')):
        raise UnreadableError("the answer has no ETag")
    return bare


def _read_head(answer: Answer) -> Head | None:
    if answer.status == _NOT_FOUND:
        return None
    headers = answer.headers
    return Head(
        _read_etag(answer),
        int(headers[b"content-length"]),
        parse_http_date(headers[b"last-modified"].decode("latin-1")),
        {
            name[_META_LENGTH:].decode("latin-1"): value.decode("latin-1")
            for name, value in headers.items()
            if name.startswith(_META_BYTES)
        },
        {name: headers[raw].decode("latin-1") for raw, name in _RESTATED if raw in headers},
    )


def _read_page(answer: Answer) -> Page:
    return read_page(answer.body, parse_http_date(answer.headers[b"date"].decode("latin-1")))
