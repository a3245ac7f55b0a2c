"""The in-memory S3 held against a real server: the same calls to both, and the same answers.

Every write says its content type: of what has none a server makes a guess of its own.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from assetstore.door import Door, Head, Page, Said, Signer
from assetstore.errors import PreconditionFailedError
from tests.faults.client import follow
from tests.memory_s3 import MemoryS3, RefusedError

KEYS: Final = ("temp/a", "temp/b", "uploaded/a", "uploaded/b", "uploaded/\u00fc b")
BODIES: Final = (b"", b"A", b"B" * 5000)
_HEADERS: Final[tuple[dict[str, str], ...]] = (
    {"content-type": "text/x-test"},
    {"content-type": "text/plain", "cache-control": "no-cache", "content-language": "de"},
    {"content-type": "text/plain", "content-disposition": 'attachment; filename="a b.txt"'},
    {"content-type": "text/plain", "content-encoding": "gzip", "expires": "Thu, 01 Jan 2026 12:00:00 GMT"},
)

Act = Callable[[Door, Signer], Awaitable[object]]


@dataclass(slots=True)
class Reference:
    """The whole trial."""

    door: Door
    signer: Signer
    calls: int = 0
    violations: list[str] = field(default_factory=list)
    memory: MemoryS3 = field(default_factory=MemoryS3)
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 -- calls, not secrets

    async def run(self, number: int) -> None:
        """So many calls."""
        etags: list[str] = ["0" * 32]
        for _ in range(number):
            name, act = self._draw(etags)
            real = await _told(act, self.door, self.signer)
            expected = await _told(act, self.memory, self.memory)
            self.calls += 1
            if real != expected:
                self.violations.append(f"{name}: the server {real}, the reference {expected}")
            if isinstance(real, str) and real not in etags:
                etags.append(real)

    def _draw(self, etags: list[str]) -> tuple[str, Act]:
        draw = self.chance
        key, other = draw.choice(KEYS), draw.choice(KEYS)
        body = draw.choice((*BODIES, draw.randbytes(8)))
        status = draw.choice(("pending", "marked", "uploaded"))
        said = Said({"status": status, "expires-at": "2026-01-01T12:15:00Z"}, {"status": status}, draw.choice(_HEADERS))
        # Right about half of the time.
        now = {name: found.etag for name, found in self.memory.objects.items()}
        etag = now.get(key) if draw.random() < 0.6 else draw.choice([None, *etags])
        known = now.get(key, "0" * 32) if draw.random() < 0.7 else draw.choice(etags)
        source = now.get(other, "0" * 32) if draw.random() < 0.7 else draw.choice(etags)
        url_headers = {"content-type": "text/x-test"}
        match draw.choice(("head", "head", "put", "put", "copy", "copy", "list", "delete", "upload", "download")):
            case "head":
                return f"head {key}", lambda door, _: _seen(door, key)
            case "put":
                return f"put {key} if {etag}", lambda door, _: door.put_if(key, body, said, etag=etag)
            case "copy":
                name = f"copy {other} if {source} to {key} if {known}"
                return name, lambda door, _: door.copy_if(other, source, key, known, said)
            case "list":
                return f"list after {key}", lambda door, _: _listed(door, key.partition("/")[0] + "/", key)
            case "delete":
                keys = [key, other, "temp/never"]
                return f"delete {keys}", lambda door, _: door.delete_many(keys)
            case "upload":
                return f"upload {key}", lambda door, signer: self._upload(door, signer, key, body, url_headers)
            case _:
                return f"download {key}", lambda door, signer: self._download(door, signer, key)

    async def _upload(self, door: Door, signer: Signer, key: str, body: bytes, headers: dict[str, str]) -> object:
        signed = await signer.sign_upload(key, 60)
        if isinstance(door, MemoryS3):
            return door.put(signed.url, body, headers)
        answer = await follow(signed.url, "PUT", body, **headers)
        return answer.headers["etag"].strip('"')

    async def _download(self, door: Door, signer: Signer, key: str) -> object:
        signed = await signer.sign_download(key, 60)
        if isinstance(door, MemoryS3):
            found = door.objects.get(key)
            return (404, None) if found is None else (200, found.body)
        answer = await follow(signed.url, "GET")
        return answer.status, answer.body if answer.status == 200 else None


async def _seen(door: Door, key: str) -> object:
    found: Head | None = await door.head(key)
    if found is None:
        return None
    return found.etag, found.size, dict(found.metadata), dict(found.headers)


async def _listed(door: Door, prefix: str, start_after: str) -> object:
    page: Page = await door.list_page(prefix, start_after)
    assert page.listed_at.microsecond == 0
    assert all(abs(page.listed_at - found.last_modified) < timedelta(days=1) for found in page.objects)
    return [found.key for found in page.objects], page.is_last


async def _told(act: Act, door: Door, signer: Signer) -> object:
    try:
        return await act(door, signer)
    except PreconditionFailedError:
        return PreconditionFailedError
    except RefusedError:
        return RefusedError
