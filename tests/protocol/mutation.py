"""How a mutant breaks the protocol.

An edit changes one line in the source of the real module. A missing condition is simulated by a store that ignores it.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

import assetuploader.asset_reconciler
import assetuploader.asset_service
import assetuploader.multipart_service
import assetuploader.placeholders
import assetuploader.state_machine
import assetuploader.uploads
import reconciler.upload_scan
from assetuploader.store import CompletedPart, ObjectAttributes
from tests.protocol.code_under_test import Code
from tests.support.in_memory_s3 import InMemoryS3, Stored

MODULES: Final = (
    assetuploader.state_machine,
    assetuploader.placeholders,
    assetuploader.uploads,
    assetuploader.asset_service,
    assetuploader.asset_reconciler,
    assetuploader.multipart_service,
    reconciler.upload_scan,
)
"""Those that a mutant may change, each before the ones that import it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of the source of one of `MODULES`."""

    module: ModuleType
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """The protocol without one of its rules."""

    name: str
    edits: tuple[Edit, ...] = ()
    store: Callable[[], InMemoryS3] = InMemoryS3
    explored_first: str = ""
    """The scenario that is explored before the others."""

    def code(self) -> Code:
        """Return the code without this rule.

        Raises:
            ValueError: The text to change is not in the source, or is there more than once.
        """
        real = {module.__name__: module for module in MODULES}
        try:
            for name, module in real.items():
                sys.modules[name] = self._edited(module)  # the next ones import it
            edited = [sys.modules[name] for name in real]
        finally:
            sys.modules.update(real)
        service, asset_reconciler, multipart, upload_scan = edited[-4:]
        return Code(service, asset_reconciler, multipart, upload_scan, self.store)

    def _edited(self, module: ModuleType) -> ModuleType:
        path = Path(str(module.__file__))
        source = path.read_text()
        for edit in self.edits:
            if edit.module is module:
                if source.count(edit.old) != 1:
                    found = source.count(edit.old)
                    raise ValueError(
                        f"{self.name}: {module.__name__} must have this once, not {found} times: {edit.old}"
                    )
                source = source.replace(edit.old, edit.new)
        edited = ModuleType(module.__name__)
        # dataclasses look up their module by name when they are created
        known = sys.modules[module.__name__]
        sys.modules[module.__name__] = edited
        try:
            exec(compile(source, str(path), "exec"), edited.__dict__)  # noqa: S102 -- our own source, one line changed
        finally:
            sys.modules[module.__name__] = known
        return edited


# --- stores that ignore a condition -----------------------------------------------------------------------------------


class CopyWithoutIfMatch(InMemoryS3):
    """A bucket that ignores the `If-Match` of a copy."""

    __slots__ = ()

    def finish_copy(self, source: Stored, target: str, target_etag: str, attributes: ObjectAttributes) -> str:
        """Write over any version."""
        return self.store("copy_object", target, source.body, attributes, source.sha256) if target_etag else ""


class CopyWithoutSourceIfMatch(InMemoryS3):
    """A bucket that ignores the `CopySourceIfMatch` of a copy."""

    __slots__ = ()

    def read_source(self, source: str, source_etag: str) -> Stored:
        """Read any version."""
        found = self.objects.get(source)
        return InMemoryS3.read_source(self, source, found.etag if found else source_etag)


class CompleteWithoutIfMatch(InMemoryS3):
    """A bucket that ignores the `If-Match` of a completion."""

    __slots__ = ()

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, if_match: str, size: int | None
    ) -> str:
        """Complete over any version."""
        found = self.objects.get(key)
        return await InMemoryS3.complete_multipart_upload(
            self, key, upload_id, parts, if_match=found.etag if found else if_match, size=size
        )


def ignore_condition_of(status: str, *, only_of_replacements: bool = False) -> Callable[[], InMemoryS3]:
    """Return a store class that ignores the condition of a write of this status, or only its `If-Match`."""

    class WriteWithoutCondition(InMemoryS3):
        """A bucket that ignores the condition of a write of this status."""

        __slots__ = ()

        async def put_object(
            self,
            key: str,
            body: bytes,
            attributes: ObjectAttributes,
            *,
            if_match: str | None = None,
            if_none_match: str | None = None,
        ) -> str:
            if attributes.metadata.get("status") == status and not (only_of_replacements and if_match is None):
                found = self.objects.get(key)
                if_match, if_none_match = (found.etag, None) if found else (None, "*")
            return await InMemoryS3.put_object(
                self, key, body, attributes, if_match=if_match, if_none_match=if_none_match
            )

    return WriteWithoutCondition


class MarkByTagging(InMemoryS3):
    """A bucket on which a mark behaves as PutObjectTagging: it has no condition and keeps the bytes."""

    __slots__ = ()

    async def put_object(
        self,
        key: str,
        body: bytes,
        attributes: ObjectAttributes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """Change the state of any version."""
        if attributes.metadata.get("status") != "marked":
            return await InMemoryS3.put_object(
                self, key, body, attributes, if_match=if_match, if_none_match=if_none_match
            )
        found = self.objects[key]
        self.writes.append(("put_object", key))
        self.objects[key] = Stored(
            found.body, found.etag, found.last_modified, attributes.metadata, attributes.tags, found.headers
        )
        return found.etag
