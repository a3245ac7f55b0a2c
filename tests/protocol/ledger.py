"""The invariants of docs/design.md, held against the bucket after every S3 call, and at the end.

The ledger knows the protocol only by its promises: it reads what is in the bucket and what clients were told, and
shares no code with what it judges.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from tests.memory_s3 import MemoryS3, Stored, etag_of


class ViolationError(Exception):
    """An invariant does not hold."""


@dataclass(slots=True)
class Book:
    """What is known of one asset, from the outside."""

    uploads: list[bytes] = field(default_factory=list)
    """Every upload that landed in `temp/{id}`, in order."""
    current: Stored | None = None
    """`uploaded/{id}` when last looked at."""
    has_promise: bool = False
    """Some mark was answered 202 after some upload had landed."""
    is_latest_promised: bool = False
    """A mark that began after the latest upload had landed, and meant it, was answered 202."""


_STEPS: Final = {
    None: {"pending"},
    "pending": {"marked", "expired"},
    "marked": {"marked", "uploaded", "expired"},
    "uploaded": set[str](),
    "expired": set[str](),
}
"""Which status may follow which, written down from docs/design.md."""


@dataclass(slots=True)
class Ledger:
    """The books of one bucket."""

    s3: MemoryS3
    grace_seconds: int
    unmarked_seconds: int
    books: dict[str, Book] = field(default_factory=dict)
    seen: int = 0
    """How many of the bucket's writes are in the books."""

    def copy(self, s3: MemoryS3) -> "Ledger":
        """The same books, of a copy of the bucket."""
        books = {asset_id: replace(book, uploads=list(book.uploads)) for asset_id, book in self.books.items()}
        return replace(self, s3=s3, books=books)

    def fingerprint(self) -> object:
        """What is in the books."""
        return tuple((*book.uploads, book.has_promise, book.is_latest_promised) for book in self.books.values())

    def book(self, asset_id: str) -> Book:
        """The book of one asset."""
        return self.books.setdefault(asset_id, Book())

    # --- what clients are told ----------------------------------------------------------------------------------------

    def accepted(self, asset_id: str, uploads_before: int, pin: str | None) -> None:
        """A mark was answered 202; it began when so many uploads had landed."""
        book = self.book(asset_id)
        status = book.current.metadata["status"] if book.current else None
        if status not in {"marked", "uploaded"} and not (status == "expired" and pin is not None):
            raise ViolationError(f"I3: a mark was answered 202, and the asset is {status}")
        if not uploads_before:
            return
        book.has_promise = True
        if uploads_before == len(book.uploads) and pin in (None, etag_of(book.uploads[-1])):
            book.is_latest_promised = True
            self._require_kept(asset_id, book)

    def downloaded(self, asset_id: str, body: bytes) -> None:
        """A GET led to these bytes."""
        final = self.s3.objects[f"uploaded/{asset_id}"]
        if body not in self.book(asset_id).uploads or body != final.body or final.metadata["status"] != "uploaded":
            raise ViolationError(f"I4: GET led to {body!r}, which is not the final asset")

    # --- after every call ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Enter what was written since, and hold I1, I2 and I7 against it."""
        writes = self.s3.writes
        while self.seen < len(writes):
            operation, key = writes[self.seen]
            self.seen += 1
            prefix, _, asset_id = key.partition("/")
            if asset_id not in self.books:
                raise ViolationError(f"I7: {operation} of {key}, which is nobody's")
            book = self.books[asset_id]
            match operation, prefix:
                case "put", "temp":
                    book.uploads.append(self.s3.objects[key].body)
                    book.is_latest_promised = False
                case (("put_if" | "copy_if"), "uploaded"):
                    self._turned(book, self.s3.objects[key])
                case "delete_many", "temp":
                    pass
                case _:
                    raise ViolationError(f"I7: {operation} of {key}")
            self._require_kept(asset_id, book)

    def _turned(self, book: Book, new: Stored) -> None:
        before = book.current
        book.current = new
        old_status = before.metadata["status"] if before else None
        status = new.metadata["status"]
        if status not in _STEPS[old_status]:
            name = "I1" if old_status == "uploaded" else "I3"
            raise ViolationError(f"{name}: {old_status} turned into {status}")
        if before and new.metadata["expires-at"] != before.metadata["expires-at"]:
            raise ViolationError("I1: the expiry changed")
        if new.tags != {name: value for name, value in new.metadata.items() if name != "pin"}:
            raise ViolationError("tags and metadata tell different states")
        if status == "uploaded" and before:
            self._finalized(book, before, new)
        if status == "expired":
            self._expired(book, before, new)

    def _finalized(self, book: Book, before: Stored, new: Stored) -> None:
        pin = new.metadata.get("pin")
        if pin != before.metadata.get("pin"):
            raise ViolationError("I2: the final asset's pin is not its placeholder's")
        if pin not in (None, new.etag):
            raise ViolationError("I2: the final asset has other bytes than its pin")
        if new.body not in book.uploads:
            raise ViolationError("I4: the final asset has bytes that nobody uploaded to it")
        if pin is None and self.s3.now < _expiry(new) + timedelta(seconds=self.grace_seconds):
            raise ViolationError("finalized before it was due")

    def _expired(self, book: Book, before: Stored | None, new: Stored) -> None:
        pin = new.metadata.get("pin")
        if book.has_promise and (pin is None or book.is_latest_promised):
            raise ViolationError("I3: a mark was answered 202, and the asset is given up")
        if before and pin != before.metadata.get("pin"):
            raise ViolationError("I3: the pin changed")
        if self.s3.now < _expiry(new) + timedelta(seconds=self.unmarked_seconds):
            raise ViolationError("given up before its time")

    def _require_kept(self, asset_id: str, book: Book) -> None:
        if not book.is_latest_promised:
            return
        promised = book.uploads[-1]
        waiting = self.s3.objects.get(f"temp/{asset_id}")
        if waiting is not None and waiting.body == promised:
            return
        final = self.s3.objects.get(f"uploaded/{asset_id}")
        if final is None or final.metadata["status"] != "uploaded" or final.body != promised:
            raise ViolationError(f"I2: {promised!r} was uploaded, its mark answered 202, and it is gone")

    # --- at the end ---------------------------------------------------------------------------------------------------

    def require_finished(self) -> None:
        """I5, after clean runs: nothing that is due at this time is left undone."""
        for asset_id in self.books:
            placeholder = self.s3.objects.get(f"uploaded/{asset_id}")
            waiting = self.s3.objects.get(f"temp/{asset_id}")
            if placeholder is not None and waiting is not None and self._is_due(placeholder, waiting):
                raise ViolationError(f"I5: {placeholder.metadata['status']}, due, and not done after the clean runs")

    def _is_due(self, placeholder: Stored, waiting: Stored) -> bool:
        expiry = _expiry(placeholder)
        is_given_up = self.s3.now >= expiry + timedelta(seconds=self.unmarked_seconds)
        match placeholder.metadata["status"], placeholder.metadata.get("pin"):
            case "pending", _:
                return is_given_up
            case "marked", None:
                return self.s3.now >= expiry + timedelta(seconds=self.grace_seconds)
            case "marked", pin:
                return pin == waiting.etag or is_given_up
            case _:
                return True

    def require_remembered(self) -> None:
        """I3, long after all deadlines and clean runs: what was promised is final."""
        for asset_id, book in self.books.items():
            if not book.has_promise:
                continue
            final = self.s3.objects.get(f"uploaded/{asset_id}")
            if final is None:
                raise ViolationError("I3: a mark was answered 202, and the asset is gone")
            latest = book.uploads[-1]
            match final.metadata["status"], final.metadata.get("pin"):
                case "uploaded", _:
                    is_kept = final.body == latest or not book.is_latest_promised
                case "marked", pin:  # the client overwrote its own pinned bytes, and marked nothing since
                    is_kept = pin is not None and pin != etag_of(latest)
                case status, _:  # given up: judged when it was
                    is_kept = status == "expired" and not book.is_latest_promised
            if not is_kept:
                raise ViolationError(f"I3: a mark was answered 202, and the asset ended as {final.metadata}")


def _expiry(stored: Stored) -> datetime:
    return datetime.fromisoformat(stored.metadata["expires-at"])
