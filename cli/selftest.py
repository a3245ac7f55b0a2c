"""`assetuploader selftest URL`: one pinned asset's whole life against a running service, each step printed."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from rich.console import Console
from rich.markup import escape

from reconciler.exits import Exit

WAIT_SECONDS: Final = 120
POLL_SECONDS: Final = 1.0
REQUEST_SECONDS: Final = 10.0


class SelftestError(Exception):
    """A step did not go as it should; the message says which and how."""


@dataclass(frozen=True, slots=True)
class _Client:
    """A plain HTTP client, as a user's would be."""

    service_url: str
    connect_to: tuple[str, int] | None
    http: urllib3.PoolManager

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 -- JSON
        url = self.service_url + path
        answer = self.http.request(method, url) if body is None else self.http.request(method, url, json=body)
        try:
            members = json.loads(answer.data or b"{}")
        except ValueError:
            members = None
        if not isinstance(members, dict):
            raise SelftestError(f"{method} {path}: {answer.status}, and the answer is no JSON object")
        return answer.status, members

    def store(self, method: str, url: str, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        """Use a presigned URL; its host is signed, so another address is connected to under the same name."""
        if self.connect_to is None:
            return self.http.request(method, url, body=body)
        parts = urlsplit(url)
        pool = urllib3.connection_from_url(f"{parts.scheme}://{_netloc(self.connect_to)}", timeout=REQUEST_SECONDS)
        return pool.urlopen(method, f"{parts.path}?{parts.query}", body=body, headers={"Host": parts.netloc})


def _netloc(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def selftest(service_url: str, connect_to: tuple[str, int] | None) -> int:
    """Take one asset through its life; the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    with urllib3.PoolManager(timeout=REQUEST_SECONDS, retries=False) as http:
        try:
            asset_id = _live(_Client(service_url.rstrip("/"), connect_to, http), console)
        except (SelftestError, urllib3.exceptions.HTTPError, ValueError) as error:
            # urllib3's text may hold a presigned URL: its kind says enough
            reason = str(error) if isinstance(error, SelftestError) else f"no HTTP answer ({type(error).__name__})"
            console.print(f"[red]✗[/red] {escape(reason)}")
            return Exit.SOME_FAILED
    console.print(f"[green]✓[/green] asset {asset_id} lived in {time.monotonic() - started:.1f} s")
    return Exit.OK


def _live(client: _Client, console: Console) -> str:
    content = os.urandom(1024)
    status, created = client.api("POST", "/asset")
    _expect("POST /asset", status, 201, created)
    asset_id = _member("POST /asset", created, "id")
    upload_url = _member("POST /asset", created, "upload_url")
    console.print(f"[green]✓[/green] POST /asset: created {asset_id}")
    uploaded = client.store("PUT", upload_url, content)
    _expect("PUT to the upload URL", uploaded.status, 200, {})
    console.print(f"[green]✓[/green] PUT to S3: {len(content)} bytes")
    etag = _member("PUT to the upload URL", uploaded.headers, "ETag")
    status, answer = client.api("PUT", f"/asset/{asset_id}", {"Status": "uploaded", "etag": etag})
    _expect(f"PUT /asset/{asset_id}", status, 202, answer)
    console.print(f"[green]✓[/green] PUT /asset/{asset_id}: marked and pinned")
    url = _await_final(client, asset_id)
    console.print(f"[green]✓[/green] GET /asset/{asset_id}: final")
    downloaded = client.store("GET", url)
    _expect("GET from the download URL", downloaded.status, 200, {})
    if downloaded.data != content:
        raise SelftestError("the download is not what was uploaded")
    console.print("[green]✓[/green] GET from S3: the same bytes")
    return asset_id


def _await_final(client: _Client, asset_id: str) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        status, answer = client.api("GET", f"/asset/{asset_id}")
        if status == 200:  # noqa: PLR2004
            return _member(f"GET /asset/{asset_id}", answer, "Download_url")
        if answer.get("code") != "asset_not_uploaded":
            _expect(f"GET /asset/{asset_id}", status, 200, answer)
        if time.monotonic() > deadline:
            raise SelftestError(f"not final within {WAIT_SECONDS} s of the mark: is the reconciler running?")
        time.sleep(POLL_SECONDS)


def _member(step: str, answer: Mapping[str, Any], name: str) -> str:
    if name not in answer:
        raise SelftestError(f"{step}: the answer has no {name}")
    return str(answer[name])


def _expect(step: str, status: int, expected: int, answer: dict[str, Any]) -> None:
    if status != expected:
        raise SelftestError(
            f"{step}: {status} {answer.get('code', '')} instead of {expected}. {answer.get('detail', '')}"
        )
