"""The expected state, as a dictionary: written from docs/design.md, without the product's code."""

from dataclasses import dataclass
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
            case _ if self.temp is None and self._is_over(now, grace_seconds):
                return 410, "asset_expired", Model(self.expires_at, Stage.EXPIRED, self.pin)
            case _ if self.temp is None and now >= self.expires_at:
                return 409, "upload_mismatch", self
            case _ if pin is not None and (self.temp is None or etag_of(self.temp) != pin):
                return 409, "upload_mismatch", self
            case _ if pin and self.temp is not None and at_once_bytes is not None and len(self.temp) <= at_once_bytes:
                return 202, None, Model(self.expires_at, Stage.UPLOADED, pin, self.temp, self.temp)
            case _:
                return 202, None, Model(self.expires_at, Stage.MARKED, pin, self.temp)

    def resolved(self, now: datetime, grace_seconds: int) -> "Model":
        """Return the asset after a GET."""
        if self.stage is Stage.MARKED and self.temp is None and self._is_over(now, grace_seconds):
            return Model(self.expires_at, Stage.EXPIRED, self.pin)
        return self

    def _is_over(self, now: datetime, grace_seconds: int) -> bool:
        return now >= self.expires_at + timedelta(seconds=grace_seconds)

    def reconciled(self, now: datetime, grace_seconds: int, expire_after_seconds: int) -> "Model":
        """Return the asset after a complete run."""
        if self.temp is None:
            return self
        is_expired = now >= self.expires_at + timedelta(seconds=expire_after_seconds)
        is_due = now >= self.expires_at + timedelta(seconds=grace_seconds)
        final = Model(self.expires_at, Stage.UPLOADED, self.pin, None, self.temp)
        expired = Model(self.expires_at, Stage.EXPIRED, self.pin)
        match self.stage:
            case Stage.UPLOADED | Stage.EXPIRED:
                return Model(self.expires_at, self.stage, self.pin, None, self.final)
            case Stage.PENDING:
                return expired if is_expired else self
            case Stage.MARKED if self.pin is None:
                return final if is_due else self
            case _ if etag_of(self.temp) == self.pin:
                return final
            case _:
                return expired if is_expired else self

    def unswept(self, before: "Model") -> "Model":
        """Return the same asset, but with the `temp/{id}` of before, which was not deleted yet."""
        return Model(self.expires_at, self.stage, self.pin, before.temp, self.final)
