"""The expected state, as a dictionary: written from docs/design.md, without the product's code."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tests.support.in_memory_s3 import etag_of


class Stage(StrEnum):
    """The stage of an asset's lifecycle."""

    PENDING = "pending"
    MARKED = "marked"
    UPLOADED = "uploaded"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Model:
    """One asset."""

    expires_at: datetime
    stage: Stage = Stage.PENDING
    pin: str | None = None
    temp: bytes | None = None
    """The bytes in `temp/{id}`."""
    final: bytes | None = None
    """The bytes of the final asset."""
    size: int | None = None
    """The declared size."""
    is_multipart: bool = False
    """It is uploaded in parts: here in one, of one byte. An empty object in `temp/` stands for it."""
    part: bytes | None = None
    """The part that S3 has, while the upload is open."""

    def marked(
        self, pin: str | None, now: datetime, grace_seconds: int, at_once_bytes: int | None
    ) -> tuple[int, str | None, "Model"]:
        """Return the status and code of the response to a mark, and the asset after it.

        The longest upload that it finalizes itself has `at_once_bytes`; None: it finalizes none.
        """
        match self.stage:
            case Stage.EXPIRED:
                return 410, "asset_expired", self
            case Stage.UPLOADED if pin is not None and pin == self.pin:
                return 202, None, self
            case Stage.UPLOADED:
                return 409, "already_uploaded", self
            case _ if self.is_multipart:
                return 409, "wrong_upload_method", self
            case _ if self.temp is None and self._is_over(now, grace_seconds):
                return 410, "asset_expired", replace(self, stage=Stage.EXPIRED)
            case _ if self.temp is None and now >= self.expires_at:
                return 409, "upload_mismatch", self
            case _ if (pin is not None or now >= self.expires_at) and not self._is_meant(pin):
                return 409, "upload_mismatch", self
            case _ if pin and self.temp is not None and at_once_bytes is not None and len(self.temp) <= at_once_bytes:
                return 202, None, replace(self, stage=Stage.UPLOADED, pin=pin, final=self.temp)
            case _:
                return 202, None, replace(self, stage=Stage.MARKED, pin=pin)

    def _is_meant(self, pin: str | None) -> bool:
        """Whether these bytes are there, pinned or without a pin, and as declared."""
        if self.temp is None or self.size not in {None, len(self.temp)}:
            return False
        return pin in {None, etag_of(self.temp)}

    def refreshed(self, now: datetime, ttl: timedelta) -> tuple[int, str | None, "Model"]:
        """Return the status and code of the response to a request for another upload URL, and the asset after it."""
        match self.stage:
            case Stage.PENDING if self.is_multipart:
                return 409, "wrong_upload_method", self
            case Stage.PENDING:
                return 200, None, replace(self, expires_at=now + ttl)
            case Stage.MARKED:
                return 409, "asset_not_pending", self
            case Stage.UPLOADED:
                return 409, "already_uploaded", self
            case Stage.EXPIRED:
                return 410, "asset_expired", self

    def presigned(self, now: datetime) -> tuple[int, str | None]:
        """Return the status and code of the response to a request for the URL of its part."""
        match self.stage:
            case Stage.UPLOADED:
                return 409, "already_uploaded"
            case Stage.EXPIRED:
                return 410, "asset_expired"
            case _ if not self.is_multipart:
                return 409, "wrong_upload_method"
            case _:
                return (200, None) if now < self.expires_at else (410, "asset_expired")

    def completed(self, body: bytes) -> tuple[int, str | None, "Model"]:
        """Return the status and code of the response to a completion with this part, and the asset after it."""
        match self.stage:
            case Stage.UPLOADED if self.is_multipart and self.final == body:
                return 200, None, self
            case Stage.UPLOADED:
                return 409, "already_uploaded", self
            case Stage.EXPIRED:
                return 410, "asset_expired", self
            case _ if not self.is_multipart:
                return 409, "wrong_upload_method", self
            case _ if self.part != body:
                return 409, "parts_mismatch", self
            case _:
                return 200, None, replace(self, stage=Stage.UPLOADED, part=None, final=body)

    def deleted(self) -> "Model | None":
        """Return the asset after its deletion; None when nothing is left."""
        return None if self.stage is Stage.UPLOADED else replace(self, stage=Stage.EXPIRED)

    def resolved(self, now: datetime, grace_seconds: int) -> "Model":
        """Return the asset after a GET."""
        if self.stage is Stage.MARKED and self.temp is None and self._is_over(now, grace_seconds):
            return replace(self, stage=Stage.EXPIRED)
        return self

    def _is_over(self, now: datetime, grace_seconds: int) -> bool:
        return now >= self.expires_at + timedelta(seconds=grace_seconds)

    def reconciled(self, now: datetime, grace_seconds: int, expire_after_seconds: int) -> "Model":
        """Return the asset after a complete run."""
        if self.temp is None:
            return self
        is_expired = now >= self.expires_at + timedelta(seconds=expire_after_seconds)
        is_due = now >= self.expires_at + timedelta(seconds=grace_seconds)
        final = replace(self, stage=Stage.UPLOADED, temp=None, final=self.temp)
        expired = replace(self, stage=Stage.EXPIRED, temp=None, part=None)
        match self.stage:
            case Stage.UPLOADED | Stage.EXPIRED:
                return replace(self, temp=None, part=None)
            case Stage.PENDING:
                return expired if is_expired else self
            case Stage.MARKED if self.pin is None and not is_due:
                return self
            case _ if self._is_meant(self.pin):
                return final
            case _:
                return expired if is_expired else self

    def unswept(self, before: "Model") -> "Model":
        """Return the same asset, but with the `temp/{id}` of before, which was not deleted yet."""
        return replace(self, temp=before.temp)

    def unaborted(self, before: "Model") -> "Model":
        """Return the same asset, but with the `temp/{id}` and the part of before: its upload was not aborted yet."""
        return replace(self, temp=before.temp, part=before.part)
