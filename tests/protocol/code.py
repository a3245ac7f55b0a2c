"""The code under test: the real modules, or the real modules with one line changed, and the store they run on."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from assetstore import assets
from tests.memory_s3 import MemoryS3


@dataclass(frozen=True, slots=True)
class Code:
    """What the scripts call."""

    assets: ModuleType
    """`assetstore.assets`, or a mutant of it."""
    store: Callable[[], MemoryS3] = MemoryS3
    """A new bucket: one that keeps its promises, or one that ignores a condition as if it had not been sent."""


REAL = Code(assets)
