"""`assetstore.door.Signer` on one bucket: presigned URLs, made without asking anybody."""

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from assetstore.door import SignedUrl
from assetstore.s3.endpoint import Endpoint
from assetstore.s3.pen import Pen
from assetstore.s3.sigv4 import Target, sign_query

_SAVE_AS_FILE: Final = (("response-content-disposition", "attachment"),)
"""The client chose the content type of what it uploaded: no browser shall show it as a page of the store's."""


@dataclass(frozen=True, slots=True)
class S3Signer:
    """Signs for the endpoint that clients reach."""

    endpoint: Endpoint
    pen: Pen

    def sign_upload(self, key: str, seconds: int) -> Coroutine[Any, Any, SignedUrl]:
        """See `Signer.sign_upload`."""
        return self._sign("PUT", key, (), seconds)

    def sign_download(self, key: str, seconds: int) -> Coroutine[Any, Any, SignedUrl]:
        """See `Signer.sign_download`."""
        return self._sign("GET", key, _SAVE_AS_FILE, seconds)

    async def _sign(self, method: str, key: str, query: tuple[tuple[str, str], ...], seconds: int) -> SignedUrl:
        timed, by = self.pen.at_hand() or await self.pen.take()
        now = by.at_seconds
        if timed.ends_at is not None:  # the URL dies with the keys that signed it, whatever it says
            seconds = max(1, min(seconds, int(timed.ends_at) - now))
        path = self.endpoint.path_of(key)
        signed = sign_query(Target(method, self.endpoint.host, path, query), seconds, by)
        return SignedUrl(f"{self.endpoint.origin}{path}?{signed}", datetime.fromtimestamp(now + seconds, UTC))
