"""The ledger of uploads in parts: files of 1 to 64 MiB, with faults, outages of S3, and kills of the service."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from assetuploader.keys import UPLOADED_PREFIX, is_asset_id, uploaded_key
from service.context import COMPLETION_TIMEOUT_SECONDS
from tests.faults.ledger import Entry, Load
from tests.faults.lifecycles import opened_bucket
from tests.support.fleet import Product
from tests.support.load_client import Connection, NoResponseError, request_url

CLIENTS: Final = 6
MAX_MEGABYTES: Final = 64
MIB: Final = 1024**2
_SEND_ATTEMPTS: Final = 100


@dataclass(slots=True)
class PartsLoad(Load):
    """One run of the check. Its services are killed, so a client may get no response, and repeats its request."""

    clients: int = CLIENTS
    max_seconds: float = COMPLETION_TIMEOUT_SECONDS + 1
    block: bytes = field(default_factory=lambda: os.urandom(MAX_MEGABYTES * MIB), repr=False)
    kills: int = 0
    restarted_uploads: int = 0
    """Uploads that S3 had lost, which their clients began again with a new asset."""
    still_open: int = 0
    """Open uploads at the end whose asset is final: S3 would charge for their parts for ever."""

    async def _wait_until_due(self) -> None:
        """Nothing becomes due: an asset is final with its completion."""

    def _note_no_response(self, error: NoResponseError) -> None:
        """Not a violation: the service was killed."""

    async def _restart_forever(self, product: Product, port: int) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(8, 15))
            self.kills += 1
            service = product.services[-1]
            service.kill()
            await service.wait()
            await product.serve(port)

    async def _asset(self, connection: Connection, number: int) -> None:
        size = (1 + number % MAX_MEGABYTES) * MIB - number % 3  # some end in the middle of a block
        body = number.to_bytes(16) + self.block[16:size]
        digest = hashlib.sha256(body).hexdigest()
        while True:
            created = (
                await self._request_until(
                    connection, "POST", "/v1/assets", {201}, f'{{"multipart":true,"size":{size}}}'
                )
            ).document
            path, upload = f"/v1/assets/{created['id']}", created["upload"]
            numbers = list(range(1, upload["part_count"] + 1))
            wanted = f'{{"upload_id":"{upload["upload_id"]}","part_numbers":{numbers}}}'
            urls = (await self._request_until(connection, "POST", f"{path}/parts", {200}, wanted)).document["parts"]
            parts = [
                {"number": part["number"], "etag": await self._send(part, body, upload["part_size"])} for part in urls
            ]
            if await self._complete(connection, path, upload["upload_id"], parts):
                self.entries.append(Entry(created["id"], digest, is_pinned=True))
                return
            self.restarted_uploads += 1

    async def _complete(
        self, connection: Connection, path: str, upload_id: str, parts: Sequence[dict[str, Any]]
    ) -> bool:
        """Complete, and return whether the asset is final; otherwise S3 has lost the upload."""
        members = f'{{"upload_id":"{upload_id}","parts":{str(list(parts)).replace(chr(39), chr(34))}}}'
        response = await self._request_until(connection, "POST", f"{path}/complete", {200, 409}, members)
        if response.status == 200:
            return True
        if response.document["code"] != "upload_lost":
            self.violations.append(f"{path}: {response.status} {response.document['code']}")
        return False

    async def _send(self, part: dict[str, Any], body: bytes, part_size: int) -> str:
        first = (part["number"] - 1) * part_size
        for _ in range(_SEND_ATTEMPTS):
            try:
                response = await request_url(part["url"], "PUT", body[first : first + part_size])
                if response.status == 200:
                    return response.headers["etag"].strip('"')
            except NoResponseError:
                pass
            await asyncio.sleep(0.2)
        raise NoResponseError(f"part {part['number']} never went through")

    async def finish(self, product: Product) -> None:
        """Make two clean runs, and look for uploads that they should have aborted."""
        await Load.finish(self, product)
        async with opened_bucket(self.s3, self.s3.endpoint_url) as bucket:
            page = await bucket.multipart.list_multipart_uploads(UPLOADED_PREFIX)
            for upload in page.uploads:
                asset_id = upload.key.removeprefix(UPLOADED_PREFIX)
                head = await bucket.store.head_object(uploaded_key(asset_id)) if is_asset_id(asset_id) else None
                if head is not None and head.metadata["status"] != "pending":
                    self.still_open += 1
                    self.violations.append(f"an upload of a final asset is open: {upload}")
