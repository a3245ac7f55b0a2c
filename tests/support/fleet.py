"""The real programs, started as an operator starts them: services, reconcilers, and an S3 server that can be killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from dev.seaweedfs import ACCESS_KEY, HOST, SECRET_KEY, LocalS3, free_port
from tests.support.load_client import Connection, NoResponseError

_ASSETUPLOADER: Final = str(Path(sys.executable).parent / "assetuploader")
START_SECONDS: Final = 60.0


@dataclass(slots=True)
class Product:
    """What runs, and what it needs to run."""

    s3: LocalS3
    environment: Mapping[str, str]
    output: IO[bytes]
    """The file that receives the output of all programs."""
    services: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def serve(self, port: int, metrics_port: int | None = None) -> asyncio.subprocess.Process:
        """Start a service, and wait until it is ready."""
        arguments = ["serve", "--host", HOST, "--port", str(port), "--metrics-port", str(metrics_port or free_port())]
        process = await self._start(*arguments)
        self.services.append(process)
        await self.wait_until_ok(port, "/readyz")
        return process

    async def wait_until_ok(self, port: int, path: str) -> None:
        """Wait until the service responds 200 on this path.

        Raises:
            TimeoutError: it never is.
        """
        connection = Connection(HOST, port, 5)
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    if (await connection.request("GET", path)).status == 200:
                        return
                except NoResponseError:
                    pass
                await asyncio.sleep(0.05)

    async def reconcile(self) -> asyncio.subprocess.Process:
        """Start one run of the reconciler."""
        return await self._start("reconcile")

    async def reconcile_and_wait(self) -> int:
        """Make one run of the reconciler; return its exit code."""
        return await (await self.reconcile()).wait()

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            _ASSETUPLOADER,
            *arguments,
            env={**os.environ, **self.environment},
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
        )


@asynccontextmanager
async def running_product(s3: LocalS3, output: IO[bytes], endpoint_url: str, **settings: int) -> AsyncIterator[Product]:
    """Prepare the product on this S3. Programs reach S3 at this endpoint, clients directly. No program runs yet."""
    environment = {
        **s3.environment(),
        "AWS_ENDPOINT_URL_S3": endpoint_url,
        "ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL": s3.endpoint_url,
        "ASSETUPLOADER_LOG_LEVEL": "debug",
        "ASSETUPLOADER_LOG_FORMAT": "json",
        **{f"ASSETUPLOADER_{name.upper()}": str(value) for name, value in settings.items()},
    }
    product = Product(s3, environment, output)
    try:
        yield product
    finally:
        for process in product.services:
            if process.returncode is None:
                process.terminate()
        for process in product.services:
            await process.wait()


@dataclass(slots=True)
class RestartableS3:
    """The S3 server, which can be frozen, killed and restarted on its data."""

    s3: LocalS3
    restarted: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that runs now, or ran last."""
        return self.restarted or self.s3.process

    def stop(self) -> None:
        """Freeze it: it accepts connections and does not respond."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def start(self) -> None:
        """Start it again on the same data."""
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        command = [str(argument) for argument in self.s3.process.args]  # type: ignore[union-attr]
        self.restarted = subprocess.Popen(  # noqa: S603 -- the same command as before
            command,
            env={**os.environ, **keys},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def shut_down(self) -> None:
        """End the restarted server. The first one is ended by its own context."""
        if self.restarted is not None:
            self.resume()
            self.kill()
