"""A proxy before S3 that writes down which IAM actions, on which keys, Amazon would have asked for."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import urllib3

from local.seaweedfs import HOST

Needed = tuple[str, str]
"""An action, and the prefix it is for; "" for the bucket."""

_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


def needs(method: str, target: str, headers: Mapping[str, str], body: bytes) -> set[Needed]:
    """What Amazon asks for before it does this, by its "Required permissions" of each call."""
    parts = urlsplit(target)
    _, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    match method:
        case "GET" | "HEAD" if not key:
            return {("s3:ListBucket", "")}
        case "POST" if "delete" in query:
            namespace = "{http://s3.amazonaws.com/doc/2006-03-01/}"
            keys = [element.text or "" for element in ET.fromstring(body).iter(f"{namespace}Key")]  # noqa: S314 -- ours
            return {("s3:DeleteObject", _prefix(key)) for key in keys}
        case "GET" | "HEAD":
            return {("s3:GetObject", _prefix(key))}
        case "PUT":
            needed = {("s3:PutObject", _prefix(key))}
            if "x-amz-tagging" in headers:
                needed.add(("s3:PutObjectTagging", _prefix(key)))
            if "x-amz-copy-source" in headers:
                source = unquote(headers["x-amz-copy-source"]).lstrip("/").partition("/")[2]
                needed.add(("s3:GetObject", _prefix(source)))
            return needed
        case _:
            raise AssertionError(f"{method} {parts.path}: none of the calls that the protocol makes")


def _prefix(key: str) -> str:
    return key.partition("/")[0] + "/"


@dataclass(frozen=True, slots=True)
class Recorder:
    """A running proxy."""

    endpoint_url: str
    needed: set[Needed] = field(default_factory=set)


@contextmanager
def recording(upstream_url: str) -> Iterator[Recorder]:
    """A proxy before this S3, on a port of its own; requests are signed for its address, and passed on."""
    needed: set[Needed] = set()
    http = urllib3.PoolManager(timeout=20, retries=False, maxsize=64)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            # A copy source that is not signed is the probe's attack: Amazon refuses it before it asks for anything.
            is_attack = "x-amz-copy-source" in headers and "authorization" not in headers
            if not is_attack:
                needed.update(needs(self.command, self.path, headers, body))
            kept = {name: value for name, value in headers.items() if name not in _HOP}
            answer = http.request(self.command, upstream_url + self.path, body=body or None, headers=kept)
            self.send_response_only(answer.status)  # S3's Date is the clock: none of its own
            for name, value in answer.headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(answer.data)))
            self.end_headers()
            self.wfile.write(answer.data)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 -- http.server's names

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 -- nothing is printed
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Recorder(f"http://{HOST}:{server.server_port}", needed)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        http.clear()
