"""How the protocol is broken on purpose.

An edit changes the source of the real module and nothing else. A condition is dropped at the store, which then does as
if it had not been sent.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import assetstore.assets
import assetstore.protocol
from assetstore.door import Said
from tests.memory_s3 import MemoryS3, Stored
from tests.protocol.code import Code


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of the source of `assetstore.assets` or `assetstore.protocol`."""

    module: ModuleType
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule dropped."""

    name: str
    edits: tuple[Edit, ...] = ()
    store: Callable[[], MemoryS3] = MemoryS3
    best_seen_in: str = ""
    """The scenario in which the explorer looks first."""

    def code(self) -> Code:
        """The code with this rule dropped.

        Raises:
            ValueError: the source does not have what is to be changed, or has it twice.
        """
        protocol = self._edited(assetstore.protocol)
        real = sys.modules[protocol.__name__]
        sys.modules[protocol.__name__] = protocol
        try:
            return Code(self._edited(assetstore.assets), self.store)
        finally:
            sys.modules[protocol.__name__] = real

    def _edited(self, module: ModuleType) -> ModuleType:
        path = Path(str(module.__file__))
        source = path.read_text()
        for edit in self.edits:
            if edit.module is module:
                if source.count(edit.old) != 1:
                    raise ValueError(f"{self.name}: {module.__name__} has {source.count(edit.old)} times: {edit.old}")
                source = source.replace(edit.old, edit.new)
        edited = ModuleType(module.__name__)
        # dataclasses look their module up by name while they are made
        known = sys.modules[module.__name__]
        sys.modules[module.__name__] = edited
        try:
            exec(compile(source, str(path), "exec"), edited.__dict__)  # noqa: S102 -- our own source, one line changed
        finally:
            sys.modules[module.__name__] = known
        return edited


# --- stores that do as if a condition had not been sent ---------------------------------------------------------------


class CopiesOntoAnything(MemoryS3):
    """A copy without `If-Match` on its destination."""

    __slots__ = ()

    def finish_copy(self, body: bytes, target: str, target_etag: str, said: Said) -> str:
        """Write whatever is there."""
        return self.store("copy_if", target, body, said) if target_etag else ""


class CopiesAnything(MemoryS3):
    """A copy without `CopySourceIfMatch`."""

    __slots__ = ()

    def read_source(self, source: str, source_etag: str) -> bytes:
        """Read whatever is there."""
        found = self.objects.get(source)
        return MemoryS3.read_source(self, source, found.etag if found else source_etag)


def ignoring(status: str) -> Callable[[], MemoryS3]:
    """A store for which a write of this status has no condition."""

    class Ignoring(MemoryS3):
        """A write of this status without its condition."""

        __slots__ = ()

        async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
            if said.metadata["status"] == status:
                found = self.objects.get(key)
                etag = found.etag if found else None
            return await MemoryS3.put_if(self, key, body, said, etag=etag)

    return Ignoring


class MarksByTagging(MemoryS3):
    """A mark by PutObjectTagging: it takes no condition and leaves the bytes."""

    __slots__ = ()

    async def put_if(self, key: str, body: bytes, said: Said, *, etag: str | None) -> str:
        """Turn the state, whatever it is."""
        if said.metadata["status"] != "marked":
            return await MemoryS3.put_if(self, key, body, said, etag=etag)
        found = self.objects[key]
        self.writes.append(("put_if", key))
        self.objects[key] = Stored(found.body, found.etag, found.last_modified, said.metadata, said.tags, found.headers)
        return found.etag
