"""`assetuploader.store.Presigner` for one bucket. Presigning sends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from assetuploader.s3.endpoint import Endpoint
from assetuploader.s3.signing import SigningKeyProvider
from assetuploader.s3.sigv4 import SigningTarget
from assetuploader.store import NO_HEADERS, SAVE_AS_FILE, PartTarget, PresignedUrl


@dataclass(frozen=True, slots=True)
class S3Presigner:
    """A presigner for one endpoint."""

    endpoint: Endpoint
    signing: SigningKeyProvider

    async def presign_put(self, key: str, expires_in: int, headers: Mapping[str, str] = NO_HEADERS) -> PresignedUrl:
        """See `Presigner.presign_put`."""
        return await self._presign("PUT", key, (), expires_in, headers)

    async def presign_part(self, key: str, expires_in: int, part: PartTarget) -> PresignedUrl:
        """See `Presigner.presign_part`."""
        query = (("partNumber", str(part.number)), ("uploadId", part.upload_id))
        return await self._presign("PUT", key, query, expires_in, {"content-length": str(part.size)})

    async def presign_get(self, key: str, expires_in: int, headers: Mapping[str, str] = SAVE_AS_FILE) -> PresignedUrl:
        """See `Presigner.presign_get`."""
        query = tuple((f"response-{name}", value) for name, value in sorted(headers.items()))
        return await self._presign("GET", key, query, expires_in)

    async def _presign(
        self,
        method: str,
        key: str,
        query: tuple[tuple[str, str], ...],
        expires_in: int,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> PresignedUrl:
        current, signer = await self.signing.get()
        if current.expires_at is not None:  # the URL expires with the credentials, even if X-Amz-Expires is later
            expires_in = max(1, min(expires_in, int(current.expires_at) - signer.signed_at))
        path = self.endpoint.path_of(key)
        signed = signer.presign_query(
            SigningTarget(method, self.endpoint.host, path, query), expires_in, tuple(headers.items())
        )
        expires_at = datetime.fromtimestamp(signer.signed_at + expires_in, UTC)
        return PresignedUrl(f"{self.endpoint.origin}{path}?{signed}", expires_at)
