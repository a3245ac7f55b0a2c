"""The code under test: the real modules, or one with one line changed, and the store that they run on."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from assetuploader import asset_reconciler, asset_service, multipart_service
from reconciler import upload_scan
from tests.support.in_memory_s3 import InMemoryS3


@dataclass(frozen=True, slots=True)
class Code:
    """The modules and the bucket that the scripts of a scenario use."""

    service: ModuleType
    """`assetuploader.asset_service`, or a mutant of it."""
    reconciler: ModuleType
    """`assetuploader.asset_reconciler`, or a mutant of it."""
    multipart: ModuleType
    """`assetuploader.multipart_service`, or a mutant of it."""
    upload_scan: ModuleType
    """`reconciler.upload_scan`, or a mutant of it."""
    store: Callable[[], InMemoryS3] = InMemoryS3
    """Create an empty bucket, which honours all conditions, or ignores one as if it had not been sent."""


REAL = Code(asset_service, asset_reconciler, multipart_service, upload_scan)
