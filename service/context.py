"""What every request needs, made once when the process starts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assetstore.assets import Assets
from service.deadline import Deadline
from service.metrics import Metrics

STORE_SECONDS: Final = 2.5
"""A client hears 503 within three seconds, whatever S3 does."""


@dataclass(slots=True)
class Readiness:
    """Whether traffic should come here, and whether the store has been found fit."""

    is_started: bool = False
    is_draining: bool = False
    is_store_proven: bool = False
    """The probe has passed. Until then nothing is written: an unproven store may ignore conditions."""

    @property
    def is_ready(self) -> bool:
        """Traffic should come here. S3 may go away again afterwards: that takes no pod out of service."""
        return self.is_started and self.is_store_proven and not self.is_draining


@dataclass(frozen=True, slots=True)
class Context:
    """The per-process singletons of the service."""

    assets: Assets
    download_url_seconds: int
    now: Callable[[], datetime]
    metrics: Metrics
    readiness: Readiness
    store_deadline: Deadline = field(default_factory=lambda: Deadline(STORE_SECONDS))
