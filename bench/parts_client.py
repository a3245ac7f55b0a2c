"""A client that uploads one file in parts, several at once, with the standard library only.

    python bench/parts_client.py http://127.0.0.1:8080 FILE
    python bench/parts_client.py http://127.0.0.1:8080 FILE --resume ID UPLOAD_ID

It prints the id and the upload id first, so that an interrupted upload can be resumed: S3 knows which parts it has.
"""

import argparse
import http.client
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

PARALLEL_PARTS: Final = 8
PARTS_PER_REQUEST: Final = 100
TIMEOUT_SECONDS: Final = 120.0


class UploadFailedError(Exception):
    """The service or S3 did not accept a request."""


@dataclass(slots=True)
class PartsUpload:
    """One upload, which another process may have begun."""

    url: str
    """Of the service."""
    path: Path
    asset_id: str
    upload_id: str
    part_bytes: int
    etags: dict[int, str] = field(default_factory=dict)
    """Of the parts that S3 has."""
    _idle: list[http.client.HTTPConnection] = field(default_factory=list)
    """Connections to S3 that no thread uses."""

    @classmethod
    def create(cls, url: str, path: Path) -> "PartsUpload":
        """Create an asset for this file, and return its upload."""
        members = {"filename": path.name, "size": path.stat().st_size, "multipart": True}
        created = _call(url, "POST", "/v1/assets", members)
        target = created["upload"]
        return cls(url, path, created["id"], target["upload_id"], target["part_size"])

    @classmethod
    def resume(cls, url: str, path: Path, asset_id: str, upload_id: str) -> "PartsUpload":
        """Return an upload that was begun, with the parts that S3 has."""
        found = _call(url, "GET", f"/v1/assets/{asset_id}/parts?{urlencode({'upload_id': upload_id})}")
        etags = {part["number"]: part["etag"] for part in found["parts"]}
        return cls(url, path, asset_id, upload_id, found["part_size"], etags)

    @property
    def missing(self) -> list[int]:
        """The numbers of the parts that are not sent yet."""
        count = max(1, -(-self.path.stat().st_size // self.part_bytes))
        return [number for number in range(1, count + 1) if number not in self.etags]

    def send(self, numbers: Sequence[int], on_sent: Callable[[int], object] = lambda _: None) -> None:
        """Send these parts, PARALLEL_PARTS at a time. `on_sent` is called with the number of each.

        Raises:
            UploadFailedError: The service or S3 did not accept a request.
        """
        with ExitStack() as stack:
            stack.callback(self._close)
            pool = stack.enter_context(ThreadPoolExecutor(PARALLEL_PARTS))
            for start in range(0, len(numbers), PARTS_PER_REQUEST):
                for number, etag in pool.map(
                    self._send_part, self._presign(numbers[start : start + PARTS_PER_REQUEST])
                ):
                    self.etags[number] = etag
                    on_sent(number)

    def complete(self) -> dict[str, Any]:
        """Complete the upload, and return the final asset."""
        parts = [{"number": number, "etag": etag} for number, etag in sorted(self.etags.items())]
        return _call(
            self.url, "POST", f"/v1/assets/{self.asset_id}/complete", {"upload_id": self.upload_id, "parts": parts}
        )

    def _presign(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        members = {"upload_id": self.upload_id, "part_numbers": list(numbers)}
        parts: list[dict[str, Any]] = _call(self.url, "POST", f"/v1/assets/{self.asset_id}/parts", members)["parts"]
        return parts

    def _send_part(self, part: dict[str, Any]) -> tuple[int, str]:
        target, number = urlsplit(part["url"]), part["number"]
        connection = self._idle.pop() if self._idle else _connect(target)
        connection.putrequest("PUT", f"{target.path}?{target.query}", skip_accept_encoding=True)
        for name, value in part["headers"].items():
            connection.putheader(name, value)
        connection.endheaders()
        with self.path.open("rb") as file:
            file.seek((number - 1) * self.part_bytes)
            connection.sock.sendfile(file, file.tell(), int(part["headers"]["content-length"]) or None)
        response = connection.getresponse()
        body = response.read()
        self._idle.append(connection)
        if response.status != http.HTTPStatus.OK:
            raise UploadFailedError(f"part {number}: S3 responds {response.status} {body[:300]!r}")
        return number, response.headers["ETag"]

    def _close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def _connect(target: SplitResult) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    return kind(target.netloc, timeout=TIMEOUT_SECONDS)


def _call(url: str, method: str, path: str, members: object = None) -> dict[str, Any]:
    target = urlsplit(url)
    connection = _connect(target)
    try:
        body = None if members is None else json.dumps(members)
        connection.request(method, target.path + path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        document: dict[str, Any] = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UploadFailedError(f"{method} {path.partition('?')[0]}: {error!r}") from error
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        raise UploadFailedError(f"{method} {path.partition('?')[0]}: {response.status} {document['detail']}")
    return document


def main() -> int:
    """Upload a file, and print how long it took."""
    parser = argparse.ArgumentParser(description="Upload a file in parts.")
    parser.add_argument("url", help="of the service")
    parser.add_argument("file", type=Path)
    parser.add_argument("--resume", nargs=2, metavar=("ID", "UPLOAD_ID"), help="send only what is missing")
    args = parser.parse_args()
    try:
        url = args.url.rstrip("/")
        upload = PartsUpload.resume(url, args.file, *args.resume) if args.resume else PartsUpload.create(url, args.file)
        print(f"resume with: --resume {upload.asset_id} {upload.upload_id}", flush=True)  # noqa: T201 -- a command
        missing = upload.missing
        started = time.monotonic()
        upload.send(missing)
        sent = time.monotonic()
        final = upload.complete()
    except (UploadFailedError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    completed = time.monotonic()
    print(  # noqa: T201
        f"{final['status']}: {len(missing)} parts of {upload.part_bytes / 1024**2:.0f} MiB in {sent - started:.1f} s, "
        f"final {completed - sent:.2f} s later: {url}/v1/assets/{upload.asset_id}/content"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
