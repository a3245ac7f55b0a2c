"""A service and its S3 in one, that answers what a test tells it to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.memory_s3 import etag_of

ID = "00000000-0000-4000-8000-000000000000"


@dataclass(slots=True)
class ScriptedService:
    """What it answers in each step, and what it was asked."""

    url: str = ""
    public_url: str = ""
    """Where its URLs lead: to itself unless told otherwise."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path without query, and Host."""
    stored: bytes = b""
    waits: int = 0
    """How often a GET is answered 404 before it is 200."""
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    """What is answered instead, by method and path."""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        """Status, headers, and the body's bytes or JSON."""
        if (method, path) in self.answers:
            status, said = self.answers[method, path]
            return status, {}, said
        match method, path:
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
def scripted_service() -> Iterator[ScriptedService]:
    """Run it on loopback."""
    service = ScriptedService()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            service.asked.append((self.command, path, self.headers["Host"]))
            status, headers, said = service.answer(self.command, path, body)
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 -- http.server's names

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
