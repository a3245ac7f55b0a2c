"""The code under test: the real asset service, or one with one line changed, and the store that it runs on."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from assetuploader import asset_service
from tests.support.in_memory_s3 import InMemoryS3


@dataclass(frozen=True, slots=True)
class Code:
    """What the scripts call."""

    module: ModuleType
    """`assetuploader.asset_service`, or a mutant of it."""
    store: Callable[[], InMemoryS3] = InMemoryS3
    """Makes a new bucket: one that honours conditions, or one that ignores a condition as if it had not been sent."""


REAL = Code(asset_service)
