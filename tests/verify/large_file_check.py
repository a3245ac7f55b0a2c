"""The check with one large file: upload in parts, kill the service, resume, complete, download, compare."""

import hashlib
import os
import signal
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.parts_client import PartsUpload, UploadFailedError
from bench.processes import BIN, Server, serving
from dev.seaweedfs import HOST, LocalS3, free_port, running_s3
from tests.verify.check import CheckOutcome, print_progress

MIB: Final = 1024**2
_BLOCK_BYTES: Final = 16 * MIB
MAX_GROWTH_BYTES: Final = 32 * MIB
"""How much the memory of the service may grow while it signs and completes an upload of any size."""


@dataclass(slots=True)
class LargeFile:
    """One run of the check."""

    s3: LocalS3
    folder: Path
    megabytes: int
    violations: list[str] = field(default_factory=list)
    parts: int = 0
    resent: int = 0
    """The parts that were missing when the upload was resumed."""
    upload_seconds: float = 0.0
    final_seconds: float = 0.0
    """From the completion until its response: the asset is final then."""
    rss_before: int = 0
    rss_peak: int = 0

    def run(self) -> None:
        """Upload, kill, resume, complete, download."""
        path, digest = self._write_file()
        started = time.monotonic()
        with self._service() as (url, server):
            upload = PartsUpload.create(url, path)
            numbers = upload.missing
            self.parts = len(numbers)

            def kill_in_the_middle(number: int) -> None:
                if number == numbers[len(numbers) // 2]:
                    os.kill(server.pid, signal.SIGKILL)

            with suppress(UploadFailedError):  # no further part can be signed
                upload.send(numbers[: len(numbers) * 3 // 4], kill_in_the_middle)
        print_progress(f"the service was killed, {len(upload.etags)} of {self.parts} parts are sent")
        with self._service() as (url, server):
            process = psutil.Process(server.pid)
            self.rss_before = self.rss_peak = process.memory_info().rss
            resumed = PartsUpload.resume(url, path, upload.asset_id, upload.upload_id)
            missing = resumed.missing
            self.resent = len(missing)
            if not 0 < len(missing) < self.parts:
                self.violations.append(f"{len(missing)} of {self.parts} parts were missing after the kill")
            resumed.send(missing, lambda _: self._observe(process))
            self.upload_seconds = time.monotonic() - started
            completing = time.monotonic()
            final = resumed.complete()
            self.final_seconds = time.monotonic() - completing
            self._observe(process)
            if final["status"] != "uploaded" or final["size"] != self.megabytes * MIB:
                self.violations.append(f"completed: {final['status']}, {final['size']} bytes")
            print_progress("complete; downloading")
            if _digest_of(f"{url}/v1/assets/{upload.asset_id}/content") != digest:
                self.violations.append("the download differs from the file")
        if self.rss_peak - self.rss_before > MAX_GROWTH_BYTES:
            self.violations.append(f"the service grew by {(self.rss_peak - self.rss_before) / MIB:.0f} MiB")

    def describe(self) -> str:
        """Return what was done, in numbers."""
        return (
            f"a file of {self.megabytes:,} MiB in {self.parts} parts, the service killed in the middle, {self.resent} "
            f"parts sent after that: uploaded in {self.upload_seconds:.0f} s, final {self.final_seconds:.2f} s after "
            f"its completion began (one request); the service's memory {self.rss_before / MIB:.0f} -> "
            f"{self.rss_peak / MIB:.0f} MiB"
        )

    def _observe(self, process: psutil.Process) -> None:
        self.rss_peak = max(self.rss_peak, process.memory_info().rss)

    def _write_file(self) -> tuple[Path, str]:
        """Write a file of which no two blocks are the same; return its SHA-256, too."""
        path, digest = self.folder / "file", hashlib.sha256()
        block = os.urandom(_BLOCK_BYTES)
        with path.open("wb") as file:
            for start in range(0, self.megabytes * MIB, _BLOCK_BYTES):
                written = (f"{start}".encode().ljust(64) + block[64:])[: self.megabytes * MIB - start]
                digest.update(written)
                file.write(written)
        return path, digest.hexdigest()

    @contextmanager
    def _service(self) -> Iterator[tuple[str, Server]]:
        port = free_port()
        command = [str(BIN / "assetuploader"), "serve", "--host", HOST, "--port", str(port)]
        command += ["--metrics-port", str(free_port())]
        url = f"http://{HOST}:{port}"
        with serving(command, {**os.environ, **self.s3.environment()}, f"{url}/readyz") as server:
            yield url, server


def _digest_of(url: str) -> str:
    digest = hashlib.sha256()
    with urllib.request.urlopen(url) as response:  # noqa: S310 -- http on loopback
        while block := response.read(MIB):
            digest.update(block)
    return digest.hexdigest()


def check_large_file(megabytes: int) -> CheckOutcome:
    """Upload a file of this size in parts."""
    with (
        running_s3(free_port(), "assets") as s3,
        tempfile.TemporaryDirectory(prefix="assetuploader-large-") as folder,
    ):
        trial = LargeFile(s3, Path(folder), megabytes)
        trial.run()
    return CheckOutcome(trial.describe(), trial.violations)
