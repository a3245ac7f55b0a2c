"""The singletons that every request needs, created once when the process starts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assetuploader.asset_service import AssetService
from service.mark_queue import MarkQueue
from service.metrics import Metrics
from service.readiness import Readiness

STORE_TIMEOUT_SECONDS: Final = 2.5
"""How long a request waits for S3. A client gets its 503 within three seconds, whatever S3 does."""


@dataclass(frozen=True, slots=True)
class Context:
    """The singletons of one process."""

    assets: AssetService
    download_url_ttl_seconds: int
    now: Callable[[], datetime]
    metrics: Metrics
    readiness: Readiness
    may_delete_promised: bool = False
    """Whether clients may delete marked and final assets."""
    marks: MarkQueue = field(default_factory=MarkQueue)
