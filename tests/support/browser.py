"""A page in a headless Chromium, driven through its DevTools protocol."""

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import aiohttp

CHROMIUM: Final = shutil.which("chromium")
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_TIMEOUT_SECONDS: Final = 30.0


@dataclass(slots=True)
class Page:
    """One tab, with all that it requested and complained about."""

    socket: aiohttp.ClientWebSocketResponse
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """Uncaught exceptions, and what the browser logs as an error, such as violations of the page's policy."""
    _session: dict[str, str] = field(default_factory=dict)
    _numbers: Any = field(default_factory=count)

    async def open(self, url: str) -> None:
        """Open a URL."""
        if not self._session:
            target = await self._call("Target.createTarget", url="about:blank")
            attached = await self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            self._session = {"sessionId": attached["sessionId"]}
            for domain in ("Network", "Log", "Runtime"):
                await self._call(f"{domain}.enable")
        await self._call("Page.navigate", url=url)

    async def until(self, expression: str) -> Any:  # noqa: ANN401 -- JavaScript's
        """Evaluate until the value is truthy, and return it."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while True:
                result = (await self._call("Runtime.evaluate", expression=expression, returnByValue=True))["result"]
                if result.get("value") and result.get("subtype") != "error":
                    return result["value"]
                await asyncio.sleep(0.05)

    async def click(self, selector: str) -> None:
        """Click the first element that matches, once there is one."""
        await self.until(f"(e => e && (e.click(), true))(document.querySelector({json.dumps(selector)}))")

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 -- DevTools'
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters, **self._session})
        while True:
            message = await self.socket.receive_json(timeout=_TIMEOUT_SECONDS)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, parameters: dict[str, Any]) -> None:
        match event:
            case "Network.requestWillBeSent":
                self.requested.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.complaints.append(parameters["entry"]["text"])


@asynccontextmanager
async def open_page() -> AsyncIterator[Page]:
    """Start Chromium with an empty profile, and return a page of it."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *_FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            url = await _devtools_url(process)
            async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
                yield Page(socket)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _devtools_url(process: asyncio.subprocess.Process) -> str:
    """Return the URL that Chromium prints when it is ready."""
    assert process.stderr is not None
    async with asyncio.timeout(_TIMEOUT_SECONDS):
        async for line in process.stderr:
            if found := re.search(rb"DevTools listening on (ws://\S+)", line):
                return found[1].decode()
    raise AssertionError("Chromium ended before it was ready")
