"""A bucket with any number of assets, none of which is kept in memory: a page is made up when it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from assetstore.door import Head, Listed, Page, Said, SignedUrl
from assetstore.protocol import TEMP_PREFIX, State, Status, to_metadata
from tests.memory_s3 import PAGE_SIZE, START, etag_of

_DUE: Final = to_metadata(State(Status.MARKED, START - timedelta(days=1)))
_WAITING: Final = to_metadata(State(Status.MARKED, START + timedelta(days=1)))
_PENDING: Final = to_metadata(State(Status.PENDING, START + timedelta(minutes=5)))
_ETAG: Final = etag_of(b"bytes")


@dataclass(slots=True)
class EndlessS3:
    """`Door` and `Signer`: of three assets one is due, one waits for its expiry and one is not marked."""

    count: int
    deleted: int = 0

    def _key(self, number: int) -> str:
        return f"{TEMP_PREFIX}{number * (1 << 32) // self.count:08x}-0000-4000-8000-{number:012x}"

    async def head(self, key: str) -> Head | None:
        """See `Door.head`."""
        metadata: Mapping[str, str] = {}
        if not key.startswith(TEMP_PREFIX):
            metadata = (_DUE, _WAITING, _PENDING)[int(key[-12:], 16) % 3]
        return Head(_ETAG, 5, START, metadata, {"content-type": "text/plain"})

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """See `Door.put_if`: nothing here needs it."""
        raise NotImplementedError

    async def copy_if(
        self,
        source: str,  # noqa: ARG002 -- the Protocol's, as all below
        source_etag: str,  # noqa: ARG002
        target: str,  # noqa: ARG002
        target_etag: str,  # noqa: ARG002
        said: Said,  # noqa: ARG002
    ) -> str:
        """See `Door.copy_if`."""
        return _ETAG

    async def list_page(self, prefix: str, start_after: str) -> Page:  # noqa: ARG002
        """See `Door.list_page`."""
        after = start_after.rpartition("-")
        first = int(after[2], 16) + 1 if after[1] else 0
        last = min(first + PAGE_SIZE, self.count)
        return Page(
            [Listed(self._key(number), START) for number in range(first, last)],
            is_last=last == self.count,
            listed_at=START,
        )

    async def delete_many(self, keys: Sequence[str]) -> Mapping[str, str]:
        """See `Door.delete_many`."""
        self.deleted += len(keys)
        return {}

    async def sign_upload(self, key: str, seconds: int) -> SignedUrl:
        """See `Signer.sign_upload`: nothing here needs it."""
        raise NotImplementedError

    async def sign_download(self, key: str, seconds: int) -> SignedUrl:
        """See `Signer.sign_download`: nothing here needs it."""
        raise NotImplementedError
