"""A proxy in front of S3 that records the IAM permissions that Amazon S3 would check, and can deny some of them."""

import threading
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import urllib3

from assetuploader.keys import UPLOADED_PREFIX
from assetuploader.multipart_check import CHECK_MULTIPART_KEY
from dev.seaweedfs import HOST

Needed = tuple[str, str]
"""An action, and the prefix of the key; "" for the bucket. A program's own object is named by its key."""

_ACCESS_DENIED: Final = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


def required_permissions(method: str, target: str, headers: Mapping[str, str], body: bytes) -> set[Needed]:
    """Return the "Required permissions" that Amazon S3 documents for a request."""
    parts = urlsplit(target)
    _, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    if "uploads" in query or "uploadId" in query:
        return _multipart_permissions(method, key, query, headers)
    match method:
        case "GET" | "HEAD" if not key:
            return {("s3:ListBucket", "")}
        case "POST" if "delete" in query:
            namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
            keys = [element.text or "" for element in ET.fromstring(body).iter(f"{namespace}Key")]  # noqa: S314 -- own XML
            return {("s3:DeleteObject", _prefix(key)) for key in keys}
        case "GET" | "HEAD":
            return {("s3:GetObject", _prefix(key))}
        case "DELETE":
            needed = {("s3:DeleteObject", _prefix(key))}
            if "if-match" in headers:
                needed.add(("s3:GetObject", _prefix(key)))
            return needed
        case "PUT":
            needed = {("s3:PutObject", _prefix(key))}
            if "x-amz-tagging" in headers:
                needed.add(("s3:PutObjectTagging", _prefix(key)))
            if "x-amz-copy-source" in headers:
                source = unquote(headers["x-amz-copy-source"]).lstrip("/").partition("/")[2]
                needed.add(("s3:GetObject", _prefix(source)))
            return needed
        case _:
            raise AssertionError(f"{method} {parts.path}: not a request that assetuploader makes")


def is_unconditional_write(method: str, target: str, headers: Mapping[str, str]) -> bool:
    """Return whether a request creates an asset's object without a condition, as Amazon S3's bucket policies see it.

    `s3:ObjectCreationOperation` is false for CreateMultipartUpload and UploadPart, which take no condition.
    """
    parts = urlsplit(target)
    _, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    is_creation = method in {"PUT", "POST"} and not {"uploads", "partNumber", "delete"} & query.keys()
    return is_creation and key.startswith(UPLOADED_PREFIX) and not {"if-match", "if-none-match"} & headers.keys()


def _multipart_permissions(
    method: str, key: str, query: Mapping[str, list[str]], headers: Mapping[str, str]
) -> set[Needed]:
    """Return what a request of a multipart upload needs. For its writes, Amazon S3 has no actions of their own."""
    match method:
        case "GET" if not key:
            return {("s3:ListBucketMultipartUploads", "")}
        case "GET":
            return {("s3:ListMultipartUploadParts", _prefix(key))}
        case "DELETE":
            return {("s3:AbortMultipartUpload", key if key == CHECK_MULTIPART_KEY else _prefix(key))}
        case "POST" | "PUT":
            needed = {("s3:PutObject", _prefix(key))}
            if "x-amz-tagging" in headers:
                needed.add(("s3:PutObjectTagging", _prefix(key)))
            return needed
        case _:
            raise AssertionError(f"{method} {key} {dict(query)}: not a request that assetuploader makes")


def _prefix(key: str) -> str:
    return key.partition("/")[0] + "/"


@dataclass(frozen=True, slots=True)
class Recorder:
    """A running proxy, and the permissions that its requests needed."""

    endpoint_url: str
    needed: set[Needed] = field(default_factory=set)
    unconditional: set[str] = field(default_factory=set)
    """The paths of writes that the bucket policy denies, because they name no version."""


@contextmanager
def recording(upstream_url: str, denied: AbstractSet[Needed] = frozenset()) -> Iterator[Recorder]:
    """Run a proxy in front of an S3 server. Clients sign requests for the address of the proxy."""
    needed: set[Needed] = set()
    unconditional: set[str] = set()
    http = urllib3.PoolManager(timeout=20, retries=False, maxsize=64)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            # The conformance check sends an unsigned copy source. Amazon S3 rejects it before it checks permissions.
            is_unsigned_copy = "x-amz-copy-source" in headers and "authorization" not in headers
            if not is_unsigned_copy:
                required = required_permissions(self.command, self.path, headers, body)
                needed.update(required)
                if is_unconditional_write(self.command, self.path, headers):
                    unconditional.add(self.path)
                if required & denied:
                    self._deny()
                    return
            kept = {name: value for name, value in headers.items() if name not in _HOP}
            response = http.request(self.command, upstream_url + self.path, body=body or None, headers=kept)
            self.send_response_only(response.status)  # without a Date: clients synchronize with S3's
            for name, value in response.headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            length = response.headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(response.data)))
            self.end_headers()
            self.wfile.write(response.data)

        def _deny(self) -> None:
            self.send_response(HTTPStatus.FORBIDDEN)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(_ACCESS_DENIED)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(_ACCESS_DENIED)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 -- names of http.server

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 -- overrides http.server
            """Suppress the log of http.server."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Recorder(f"http://{HOST}:{server.server_port}", needed, unconditional)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        http.clear()
