"""The singletons that every request needs, created once when the process starts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assetuploader.asset_service import AssetService
from assetuploader.multipart_service import MultipartService
from service.mark_queue import MarkQueue
from service.metrics import Metrics
from service.readiness import Readiness

STORE_TIMEOUT_SECONDS: Final = 2.5
"""How long a request waits for S3. A client gets its 503 within three seconds, whatever S3 does."""
PART_LIST_TIMEOUT_SECONDS: Final = 10.0
"""How long a list of parts waits: 10,000 parts are ten requests in turn."""
COMPLETION_TIMEOUT_SECONDS: Final = 30.0
"""How long the completion of an upload in parts waits: Amazon takes up to minutes for thousands of parts, and ingress
controllers wait a minute. A client that gets a 503 repeats its completion, while S3 goes on with the first one."""


@dataclass(frozen=True, slots=True)
class Context:
    """The singletons of one process."""

    assets: AssetService
    multipart: MultipartService
    download_url_ttl_seconds: int
    now: Callable[[], datetime]
    metrics: Metrics
    readiness: Readiness
    multipart_bytes: int = 100 * 1024**2
    """Above which declared size an asset is uploaded in parts."""
    may_delete_promised: bool = False
    """Whether clients may delete marked and final assets."""
    marks: MarkQueue = field(default_factory=MarkQueue)
