"""The whole product as an operator starts it: a real S3 server, the service's process, reconciler runs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3

from dev.seaweedfs import HOST, LocalS3, free_port, running_s3

COMMAND: Final = str(Path(sys.executable).parent / "assetuploader")
COVERAGE: Final = {name: text for name, text in os.environ.items() if name == "COVERAGE_PROCESS_CONFIG"}
"""Variables that let coverage measure a started program; empty unless coverage measures these tests."""
START_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Created:
    """An asset whose bytes were sent."""

    asset_id: str
    etag: str
    upload_url: str


@dataclass(frozen=True, slots=True)
class Product:
    """A running service with its own S3 server."""

    s3: LocalS3
    port: int
    metrics_port: int
    environment: Mapping[str, str]
    log_path: Path
    http: urllib3.PoolManager

    @property
    def url(self) -> str:
        """The URL of the API."""
        return f"http://{HOST}:{self.port}"

    def metrics(self) -> str:
        """Return what Prometheus would scrape now."""
        return self.http.request("GET", f"http://{HOST}:{self.metrics_port}/metrics").data.decode()

    def upload(self, body: bytes) -> Created:
        """Create an asset and send its bytes."""
        created = self.http.request("POST", f"{self.url}/asset").json()
        sent = self.http.request("PUT", created["upload_url"], body=body)
        return Created(created["id"], sent.headers["ETag"], created["upload_url"])

    def mark(self, created: Created, *, pinned: bool) -> int:
        """Mark the asset; return the status of the response."""
        body = {"Status": "uploaded", **({"etag": created.etag} if pinned else {})}
        return self.http.request("PUT", f"{self.url}/asset/{created.asset_id}", json=body).status

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return run_command(arguments, {**self.environment, **settings})

    def log(self) -> list[dict[str, Any]]:
        """Return what the service has logged so far."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]


def run_command(arguments: tuple[str, ...], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `assetuploader` with these arguments to its end."""
    return subprocess.run(  # noqa: S603 -- our own command
        [COMMAND, *arguments], env={**COVERAGE, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def await_until(claim: str, probe: Any, seconds: float = START_SECONDS) -> Any:  # noqa: ANN401 -- whatever it returns
    """Call the probe until its result is true, and return that; fail with the claim after some seconds."""
    deadline = time.monotonic() + seconds
    while not (result := probe()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {claim}"
        time.sleep(0.05)
    return result


@contextmanager
def running_product(**settings: str) -> Iterator[Product]:
    """Run a service on a new S3 server, wait until it is healthy, and stop both at the end."""
    with running_s3(free_port(), "assets") as s3, serving(s3, **settings) as product:
        yield product


@contextmanager
def serving(s3: LocalS3, **settings: str) -> Iterator[Product]:
    """Run a service on this S3, wait until it is healthy, and stop it at the end."""
    port, metrics_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder, urllib3.PoolManager(timeout=10, retries=False) as http:
        environment = {
            **s3.environment(),
            "ASSETUPLOADER_LOG_FORMAT": "json",
            "ASSETUPLOADER_DRAIN_SECONDS": "0",
            **settings,
        }
        product = Product(s3, port, metrics_port, environment, Path(folder, "service.log"), http)
        arguments = ["serve", "--host", HOST, "--port", str(port), "--metrics-port", str(metrics_port)]
        with product.log_path.open("wb") as log:
            service = subprocess.Popen(  # noqa: S603 -- our own
                [COMMAND, *arguments], env={**COVERAGE, **environment}, stderr=log
            )
        try:
            await_until("the service is healthy", lambda: _is_healthy(product, service))
            yield product
        finally:
            service.terminate()
            service.wait(20)


def _is_healthy(product: Product, service: "subprocess.Popen[bytes]") -> bool:
    assert service.poll() is None, product.log_path.read_text()
    try:
        return product.http.request("GET", f"{product.url}/healthcheck").status == 200
    except urllib3.exceptions.HTTPError:
        return False
