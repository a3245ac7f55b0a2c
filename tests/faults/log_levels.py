"""One asset's lifecycle through the real programs, at every log level and in both formats."""

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import product as pairs
from typing import Final

from dev.seaweedfs import HOST, LocalS3, free_port
from tests.support.fleet import running_product
from tests.support.leaks import leaks
from tests.support.load_client import Connection, request_url

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("json", "console")


@dataclass(slots=True)
class LogLevels:
    """One run of the check."""

    s3: LocalS3
    bytes_logged: int = 0
    violations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Run the lifecycle with every setting."""
        for level, log_format in pairs(LEVELS, FORMATS):
            with tempfile.TemporaryFile() as output:
                async with AsyncExitStack() as stack:
                    product = await stack.enter_async_context(
                        running_product(self.s3, output, self.s3.endpoint_url, drain_seconds=0)
                    )
                    product.environment = {
                        **product.environment,
                        "ASSETUPLOADER_LOG_LEVEL": level,
                        "ASSETUPLOADER_LOG_FORMAT": log_format,
                    }
                    port = free_port()
                    await product.serve(port)
                    await product.wait_until_ok(port, "/healthcheck")
                    await self._run_lifecycle(port, product.reconcile_and_wait)
                output.seek(0)
                whole = output.read()
            self.bytes_logged += len(whole)
            self.violations += [f"{level}, {log_format}: {leak}" for leak in leaks(whole)]

    async def _run_lifecycle(self, port: int, reconcile: Callable[[], Awaitable[int]]) -> None:
        connection = Connection(HOST, port, 10)
        created = (await connection.request("POST", "/asset")).document
        etag = (await request_url(created["upload_url"], "PUT", b"bytes")).headers["etag"].strip('"')
        target = f"/asset/{created['id']}"
        await connection.request("GET", target)
        await connection.request("PUT", target, f'{{"Status":"uploaded","etag":"{etag}"}}'.encode())
        if code := await reconcile():
            self.violations.append(f"a run ended with {code}")
        response = await connection.request("GET", target)
        if (await request_url(response.document["Download_url"], "GET")).body != b"bytes":
            self.violations.append(f"{target}: the download has other bytes than the upload")
        # A client may send its upload URL by mistake, in a path, a query or a body. It is a secret there, too.
        leaked = created["upload_url"].partition("?")[2]
        for wrong in (f"{target}?{leaked}", f"/{leaked}", f"/asset/{leaked}"):
            await connection.request("GET", wrong)
        await connection.request("PUT", target, created["upload_url"].encode())
        connection.close()
