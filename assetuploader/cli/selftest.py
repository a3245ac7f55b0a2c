"""`assetuploader selftest URL`: takes one pinned asset through its lifecycle with a running service."""

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from termcolor import colored

from assetuploader.cli.exit_codes import ExitCode
from assetuploader.errors import StoreError, StoreUnavailableError
from assetuploader.http_settings import HttpSettings
from assetuploader.plain_http import RawResponse, send

START_TIMEOUT_SECONDS: Final = 60.0
"""How long the service may take to create the first asset: after an installation, it may still be starting."""
FINAL_TIMEOUT_SECONDS: Final = 120
POLL_INTERVAL_SECONDS: Final = 1.0
NOT_READY: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Responses of a service that is starting, or of an ingress controller that has no pod to send requests to."""


class SelftestError(Exception):
    """A step failed. The message names the step and the reason."""


class NotReadyError(SelftestError):
    """The service does not respond, or responds that it is not ready."""


@dataclass(frozen=True, slots=True)
class _Client:
    """A plain HTTP client, like that of a user."""

    service_url: str
    connect_to: tuple[str, int] | None
    settings: HttpSettings

    async def call_api(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Call the service; return status and members of the response."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            response = await send(method, self.service_url + path, self.settings, body=content, headers=headers)
        except StoreUnavailableError as error:
            raise NotReadyError(f"{method} {self.service_url}{path}: {error}") from None
        try:
            members = json.loads(response.body or b"{}")
        except ValueError:
            members = {} if response.status in NOT_READY else None  # an ingress controller responds with HTML
        if not isinstance(members, dict):
            raise SelftestError(f"{method} {path}: {response.status}, and the response is not a JSON object")
        return response.status, members

    async def call_store(self, step: str, method: str, url: str, body: bytes = b"") -> RawResponse:
        """Use a presigned URL. Its host is signed, so `connect_to` replaces only the address."""
        try:
            return await send(method, url, self.settings, body=body, connect_to=self.connect_to)
        except StoreUnavailableError as error:
            parts = urlsplit(url)  # the query is a signature, and is not printed
            address = "{}:{}".format(*self.connect_to) if self.connect_to else f"{parts.scheme}://{parts.netloc}"
            raise SelftestError(f"{step}: {error} from {address}. Is S3 elsewhere? See --connect-to") from None


def selftest(
    service_url: str, connect_to: tuple[str, int] | None, start_timeout_seconds: float = START_TIMEOUT_SECONDS
) -> int:
    """Take one asset through its lifecycle; return the exit code."""
    started_at = time.monotonic()
    client = _Client(service_url.rstrip("/"), connect_to, HttpSettings.from_environment(os.environ))
    try:
        asset_id = asyncio.run(_run(client, start_timeout_seconds))
    except (SelftestError, StoreError) as error:
        print(colored("✗", "red"), error)
        return ExitCode.PARTIAL_FAILURE
    _print_step(f"asset {asset_id}: complete in {time.monotonic() - started_at:.1f} s")
    return ExitCode.OK


async def _run(client: _Client, start_timeout_seconds: float) -> str:
    content = os.urandom(1024)
    created = await _create(client, start_timeout_seconds)
    asset_id = _require_member("POST /asset", created, "id")
    upload_url = _require_member("POST /asset", created, "upload_url")
    _print_step(f"POST /asset: created {asset_id}")
    uploaded = await client.call_store("PUT to the upload URL", "PUT", upload_url, content)
    _expect("PUT to the upload URL", uploaded.status, HTTPStatus.OK, {})
    _print_step(f"PUT to S3: {len(content)} bytes")
    etag = _require_member("PUT to the upload URL", uploaded.headers, "etag")
    status, marked = await client.call_api("PUT", f"/asset/{asset_id}", {"Status": "uploaded", "etag": etag})
    _expect(f"PUT /asset/{asset_id}", status, HTTPStatus.ACCEPTED, marked)
    _print_step(f"PUT /asset/{asset_id}: marked and pinned")
    url = await _wait_until_final(client, asset_id)
    _print_step(f"GET /asset/{asset_id}: final")
    downloaded = await client.call_store("GET from the download URL", "GET", url)
    _expect("GET from the download URL", downloaded.status, HTTPStatus.OK, {})
    if downloaded.body != content:
        raise SelftestError("the download differs from the upload")
    _print_step("GET from S3: the same bytes")
    return asset_id


async def _create(client: _Client, timeout_seconds: float) -> dict[str, Any]:
    """Create an asset; return the response. A service that is not ready yet has `timeout_seconds` to become it."""
    step = f"POST {client.service_url}/asset"
    deadline = time.monotonic() + timeout_seconds
    is_waiting = False
    while True:
        try:
            status, created = await client.call_api("POST", "/asset")
            _expect(step, status, HTTPStatus.CREATED, created)
        except NotReadyError as error:
            if time.monotonic() >= deadline:
                raise SelftestError(f"{error}. Waited {timeout_seconds:g} s: is the service ready?") from None
            if not is_waiting:
                print(f"- {error}. Waiting up to {timeout_seconds:g} s")
                is_waiting = True
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
        else:
            return created


def _print_step(message: str) -> None:
    print(colored("✓", "green"), message)


async def _wait_until_final(client: _Client, asset_id: str) -> str:
    deadline = time.monotonic() + FINAL_TIMEOUT_SECONDS
    while True:
        status, members = await client.call_api("GET", f"/asset/{asset_id}")
        if status == HTTPStatus.OK:
            return _require_member(f"GET /asset/{asset_id}", members, "Download_url")
        if members.get("code") != "asset_not_uploaded":
            _expect(f"GET /asset/{asset_id}", status, HTTPStatus.OK, members)
        if time.monotonic() > deadline:
            raise SelftestError(f"not final {FINAL_TIMEOUT_SECONDS} s after the mark: is the reconciler running?")
        await asyncio.sleep(POLL_INTERVAL_SECONDS)


def _require_member(step: str, members: Mapping[str, Any], name: str) -> str:
    if name not in members:
        raise SelftestError(f"{step}: the response has no {name}")
    return str(members[name])


def _expect(step: str, status: int, expected: HTTPStatus, members: dict[str, Any]) -> None:
    if status != expected:
        code, detail = members.get("code", ""), members.get("detail", "")
        failure = NotReadyError if status in NOT_READY else SelftestError
        reason = f"{status} {code}".rstrip()
        raise failure(f"{step}: {reason} instead of {expected.value}. {detail}".rstrip(" ."))
