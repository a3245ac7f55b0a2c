"""A fake service and its S3 in one, whose responses a test can replace."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.in_memory_s3 import etag_of

ID = "00000000-0000-4000-8000-000000000000"


@dataclass(slots=True)
class FakeService:
    """The responses of each step, and the requests."""

    url: str = ""
    public_url: str = ""
    """The origin of its presigned URLs; by default its own."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path without query, and Host."""
    stored: bytes = b""
    waits: int = 0
    """How often a GET gets 404 before it gets 200."""
    starting: list[tuple[int, Any]] = field(default_factory=list)
    """The first responses to POST, in order."""
    responses: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    """Other responses, by method and path."""

    def respond(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        """Return status, headers, and the body as bytes or JSON."""
        if (method, path) in self.responses:
            status, body_ = self.responses[method, path]
            return status, {}, body_
        match method, path:
            case "POST", "/asset" if self.starting:
                status, body_ = self.starting.pop(0)
                return status, {}, body_
            case "POST", "/asset":
                return 201, {}, {"id": ID, "upload_url": f"{self.public_url}/temp?X-Amz-Signature=secret"}
            case "PUT", "/temp":
                self.stored = body
                return 200, {"ETag": f'"{etag_of(body)}"'}, b""
            case "PUT", _:
                assert json.loads(body) == {"Status": "uploaded", "etag": f'"{etag_of(self.stored)}"'}
                return 202, {}, b""
            case "GET", "/uploaded":
                return 200, {}, self.stored
            case _ if self.waits:
                self.waits -= 1
                return 404, {}, {"code": "asset_not_uploaded"}
            case _:
                return 200, {}, {"Download_url": f"{self.public_url}/uploaded?X-Amz-Signature=secret"}


@contextmanager
def fake_service() -> Iterator[FakeService]:
    """Run it on loopback."""
    service = FakeService()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service.requests.append((self.command, path, self.headers["Host"]))
            status, headers, document = service.respond(self.command, path, body)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = _respond  # noqa: N815 -- http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = service.public_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
