"""The invariants of docs/design.md, checked against the bucket after every S3 call, and at the end.

The checker knows only the promises of the protocol: it reads the bucket and the results of clients, and shares no code
with the product.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from tests.support.in_memory_s3 import InMemoryS3, Stored, etag_of


class ViolationError(Exception):
    """An invariant does not hold."""


@dataclass(slots=True)
class AssetRecord:
    """What is known of one asset from the outside."""

    uploads: list[bytes] = field(default_factory=list)
    """Every upload that arrived in `temp/{id}`, in order."""
    current: Stored | None = None
    """`uploaded/{id}` when it was last checked."""
    has_promise: bool = False
    """A mark succeeded after an upload had arrived."""
    is_latest_promised: bool = False
    """A mark succeeded that began after the latest upload had arrived, and that meant it."""
    is_created: bool = False
    has_upload_in_time: bool = False
    """An upload arrived before its grace was over."""
    placeholders: set[bytes] = field(default_factory=set)
    """Every body that a placeholder had. Nobody is promised an asset with such bytes."""
    is_delete_requested: bool = False
    """Somebody asked to delete the asset, marked or final as it may be. From then on it may be gone."""
    is_delete_acknowledged: bool = False
    """A deletion succeeded. From then on it is gone."""
    may_be_cancelled: bool = False
    """Somebody asked to delete the asset while it is pending."""
    is_removed: bool = False
    """`uploaded/{id}` was deleted."""
    is_multipart: bool = False
    """Its first placeholder says that it is uploaded in parts."""
    completions: set[bytes] = field(default_factory=set)
    """The bytes of every completion that a client asked for."""
    late_uploads: set[str] = field(default_factory=set)
    """The multipart uploads that appeared, or appeared again, when the asset was final, expired or removed already."""
    is_seen_by_clean_runs: bool = False
    """`temp/{id}` existed when the faults stopped."""


_NEXT_STATUSES: Final = {
    None: {"pending"},
    "pending": {"pending", "marked", "uploaded", "expired"},
    "marked": {"marked", "uploaded", "expired"},
    "uploaded": set[str](),
    "expired": set[str](),
}
"""The statuses that may follow each status, from docs/design.md."""


@dataclass(slots=True)
class InvariantChecker:
    """Checks one bucket, and keeps a record of each of its assets."""

    s3: InMemoryS3
    grace_seconds: int
    expire_after_seconds: int
    declared_size: int | None = None
    """The size that the client declared."""
    records: dict[str, AssetRecord] = field(default_factory=dict)
    checked_writes: int = 0
    """How many of the bucket's writes were checked."""
    open_uploads: frozenset[str] = frozenset()
    """The ids of the multipart uploads that were open at the last check."""

    def copy(self, s3: InMemoryS3) -> "InvariantChecker":
        """Return an independent checker for a copy of the bucket."""
        records = {
            asset_id: replace(
                record,
                uploads=list(record.uploads),
                placeholders=set(record.placeholders),
                completions=set(record.completions),
                late_uploads=set(record.late_uploads),
            )
            for asset_id, record in self.records.items()
        }
        return replace(self, s3=s3, records=records)

    def fingerprint(self) -> object:
        """Return the records as one comparable value."""
        return tuple(
            (
                *record.uploads,
                record.is_created,
                record.has_upload_in_time,
                record.has_promise,
                record.is_latest_promised,
                record.is_delete_requested,
                record.is_delete_acknowledged,
                record.may_be_cancelled,
                record.is_removed,
                *sorted(record.completions),
                *sorted(record.late_uploads),
            )
            for record in self.records.values()
        )

    def record(self, asset_id: str) -> AssetRecord:
        """Return the record of one asset."""
        return self.records.setdefault(asset_id, AssetRecord())

    # --- results that clients got -------------------------------------------------------------------------------------

    def record_created(self, asset_id: str) -> None:
        """Record that a client got this id as a new one."""
        record = self.record(asset_id)
        if record.is_created:
            raise ViolationError("I7: two clients created the same asset")
        record.is_created = True

    def record_accepted_mark(self, asset_id: str, uploads_before: int, pin: str | None, began_at: datetime) -> None:
        """Record that a mark succeeded, which began at this time, after this many uploads had arrived."""
        record = self.record(asset_id)
        status = record.current.metadata["status"] if record.current else None
        if record.is_multipart:
            raise ViolationError("I3: a mark of an asset that is uploaded in parts succeeded")
        if record.is_delete_requested and status in {None, "expired"}:  # it was deleted after it was marked
            return
        if status not in {"marked", "uploaded"} and not (status == "expired" and pin is not None):
            raise ViolationError(f"I3: a mark succeeded, and the asset is {status}")
        if not record.uploads and record.current and began_at >= _expiry_of(record.current):
            raise ViolationError("a mark succeeded after the upload URL expired, and nothing is uploaded")
        if not uploads_before or not self.may_become_final(record, record.uploads[-1]):
            return
        record.has_promise = True
        if uploads_before == len(record.uploads) and pin in (None, etag_of(record.uploads[-1])):
            record.is_latest_promised = True
            self._require_kept(asset_id, record)

    def record_completed(self, asset_id: str, body: bytes) -> None:
        """Record that a client was told that the asset is final with these bytes. I1 keeps them from then on."""
        current = self.record(asset_id).current
        status = current.metadata["status"] if current else None
        if current is None or status != "uploaded" or current.body != body:
            raise ViolationError(
                f"I3: a completion with {body!r} succeeded, and the asset is {status} with other bytes"
            )

    def record_deleted(self, asset_id: str) -> None:
        """Record that a client was told that the asset is deleted."""
        record = self.record(asset_id)
        status = record.current.metadata["status"] if record.current else None
        if status not in {None, "expired"}:
            raise ViolationError(f"I1: a deletion succeeded, and the asset is {status}")
        record.is_delete_acknowledged = True

    def may_become_final(self, record: AssetRecord, body: bytes) -> bool:
        """Check that these bytes are no copy of a placeholder's body, and as declared."""
        return body not in record.placeholders and self.is_declared(body)

    def is_declared(self, body: bytes) -> bool:
        """Whether an asset of these tests may have these bytes: declarations are of one byte."""
        return self.declared_size in {None, len(body)}

    def check_download(self, asset_id: str, body: bytes | None) -> None:
        """Check the bytes that a download URL returned; None when there was no object."""
        if body is None:
            if not self.record(asset_id).is_delete_requested:
                raise ViolationError("I1: the final asset disappeared")
            return
        final = self.s3.objects.get(f"uploaded/{asset_id}")
        if final is None and self.record(asset_id).is_delete_requested:
            return
        if final is None:
            raise ViolationError("I1: the final asset disappeared")
        record = self.record(asset_id)
        is_own = body in record.uploads or body in record.completions
        if not is_own or body != final.body or final.metadata["status"] != "uploaded":
            raise ViolationError(f"I4: the download returned {body!r}, which is not the final asset")

    # --- after every call ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Record the writes since the last check, and check I1, I2 and I7 on them."""
        writes = self.s3.writes
        while self.checked_writes < len(writes):
            operation, key = writes[self.checked_writes]
            self.checked_writes += 1
            prefix, _, asset_id = key.partition("/")
            if asset_id not in self.records:
                raise ViolationError(f"I7: {operation} of {key}, which belongs to no asset")
            record = self.records[asset_id]
            match operation, prefix:
                case "put", "temp":
                    record.uploads.append(self.s3.objects[key].body)
                    record.is_latest_promised = False
                    if record.current and self.s3.now < _expiry_of(record.current) + timedelta(
                        seconds=self.grace_seconds
                    ):
                        record.has_upload_in_time = True
                case (("put_object" | "copy_object" | "complete_multipart_upload"), "uploaded"):
                    self._check_change(record, self.s3.objects[key], operation)
                case "put_object", "temp" if record.is_multipart and not self.s3.objects[key].body:
                    pass
                case "part", "uploaded":
                    pass
                case "abort_multipart_upload", "uploaded":
                    self._check_abort(record)
                case "delete_objects", "temp":
                    pass
                case "delete_object", "uploaded":
                    self._check_delete(record)
                case _:
                    raise ViolationError(f"I7: {operation} of {key}")
            self._require_kept(asset_id, record)
        if self.s3.uploads.keys() != self.open_uploads:
            self._check_uploads()

    def _check_uploads(self) -> None:
        for upload_id in self.s3.uploads.keys() - self.open_uploads:
            key = self.s3.uploads[upload_id].key
            record = self.records.get(key.removeprefix("uploaded/"))
            if record is None:
                raise ViolationError(f"I7: an upload of {key}, which belongs to no asset")
            status = record.current.metadata["status"] if record.current else None
            if status in {"uploaded", "expired"} or record.is_removed:
                record.late_uploads.add(upload_id)
        self.open_uploads = frozenset(self.s3.uploads)

    @staticmethod
    def _check_abort(record: AssetRecord) -> None:
        status = record.current.metadata["status"] if record.current else None
        if status == "pending":
            raise ViolationError("I3: the parts of a pending asset were aborted, and a completion may still come")

    def _check_change(self, record: AssetRecord, new: Stored, operation: str) -> None:
        if record.is_removed:
            raise ViolationError("I1: the asset was deleted, and is there again")
        before = record.current
        record.current = new
        old_status = before.metadata["status"] if before else None
        status = new.metadata["status"]
        if status != "uploaded":
            record.placeholders.add(new.body)
        if status not in _NEXT_STATUSES[old_status]:
            name = "I1" if old_status == "uploaded" else "I3"
            raise ViolationError(f"{name}: {old_status} became {status}")
        if before and not self._is_expiry_kept(before, new):
            raise ViolationError("I1: the expiry changed")
        if new.tags != {name: new.metadata[name] for name in ("status", "expires-at")}:
            raise ViolationError("tags and metadata hold different states")
        if self.declared_size is not None and new.metadata.get("size") != str(self.declared_size):
            raise ViolationError("the declaration was lost")
        is_multipart = new.metadata.get("upload") == "multipart"
        if before is None:
            record.is_multipart = is_multipart
        if is_multipart is not record.is_multipart:
            raise ViolationError("the upload method changed")
        if operation == "complete_multipart_upload":
            self._check_completion(record, new)
        elif status == "uploaded" and before:
            self._check_finalize(record, before, new)
        if status == "expired":
            self._check_expire(record, before, new)

    def _check_completion(self, record: AssetRecord, new: Stored) -> None:
        if not record.is_multipart:
            raise ViolationError("an asset that is uploaded with one PUT was completed")
        if new.metadata["status"] != "uploaded":
            raise ViolationError(f"I4: the parts became an object whose status is {new.metadata['status']}")
        if new.body not in record.completions:
            raise ViolationError(f"I4: the asset is final with {new.body!r}, and nobody asked for that")
        if not self.is_declared(new.body):
            raise ViolationError("the final asset has other bytes than those declared")

    def _check_finalize(self, record: AssetRecord, before: Stored, new: Stored) -> None:
        if record.is_multipart:
            raise ViolationError("I4: an asset that is uploaded in parts is final without a completion")
        pin = new.metadata.get("pin")
        if pin is None and (before.metadata.get("pin") is not None or before.metadata["status"] == "pending"):
            raise ViolationError("I2: the final asset has no pin, and its placeholder had one or was not marked")
        if not self.is_declared(new.body):
            raise ViolationError("the final asset has other bytes than those declared")
        if pin not in (None, new.etag):
            raise ViolationError("I2: the final asset has other bytes than its pin")
        if new.body not in record.uploads:
            raise ViolationError("I4: the final asset has bytes that were not uploaded to it")
        if pin is None and self.s3.now < _expiry_of(new) + timedelta(seconds=self.grace_seconds):
            raise ViolationError("finalized before it was due")

    @staticmethod
    def _is_expiry_kept(before: Stored, new: Stored) -> bool:
        """Whether the expiry is the same, or was moved on for a new upload URL of a pending asset."""
        if before.metadata["status"] == new.metadata["status"] == "pending":
            return _expiry_of(new) >= _expiry_of(before)
        return new.metadata["expires-at"] == before.metadata["expires-at"]

    @staticmethod
    def _check_delete(record: AssetRecord) -> None:
        before, record.current, record.is_removed = record.current, None, True
        if not record.is_delete_requested:
            raise ViolationError("I1: the asset was deleted, and nobody asked for it")
        if before and before.metadata["status"] != "uploaded":
            raise ViolationError(f"I3: the asset was {before.metadata['status']}, and its placeholder was deleted")

    def _check_expire(self, record: AssetRecord, before: Stored | None, new: Stored) -> None:
        pin = new.metadata.get("pin")
        if record.is_delete_requested or (
            before and before.metadata["status"] == "pending" and record.may_be_cancelled
        ):
            return
        if record.has_promise and (pin is None or record.is_latest_promised):
            raise ViolationError("I3: a mark succeeded, and the asset expired")
        if before and pin != before.metadata.get("pin"):
            raise ViolationError("I3: the pin changed")
        has_time = record.is_multipart or record.has_upload_in_time
        wait_seconds = self.expire_after_seconds if has_time else self.grace_seconds
        if self.s3.now < _expiry_of(new) + timedelta(seconds=wait_seconds):
            raise ViolationError("expired before its time")

    def _require_kept(self, asset_id: str, record: AssetRecord) -> None:
        if not record.is_latest_promised or record.is_delete_requested:
            return
        promised = record.uploads[-1]
        upload = self.s3.objects.get(f"temp/{asset_id}")
        if upload is not None and upload.body == promised:
            return
        final = self.s3.objects.get(f"uploaded/{asset_id}")
        if final is None or final.metadata["status"] != "uploaded" or final.body != promised:
            raise ViolationError(f"I2: {promised!r} was uploaded, its mark succeeded, and it is lost")

    # --- at the end ---------------------------------------------------------------------------------------------------

    def begin_clean_runs(self) -> None:
        """Record which assets the clean runs see."""
        for asset_id, record in self.records.items():
            record.is_seen_by_clean_runs = f"temp/{asset_id}" in self.s3.objects

    def require_no_open_upload_in_sight(self) -> None:
        """Check I5 long after: runs over `temp/` have aborted what they can see of assets that have ended.

        Left to the slow scan of all uploads are a part or an initiation that arrives after the last run over its asset,
        and what was open when somebody began to delete a final asset.
        """
        for upload_id, upload in self.s3.uploads.items():
            record = self.records[upload.key.removeprefix("uploaded/")]
            is_late = upload_id in record.late_uploads and not record.is_seen_by_clean_runs
            is_expired = record.current is not None and record.current.metadata["status"] == "expired"
            is_deleted = record.is_delete_requested and not is_expired
            if not is_late and not is_deleted:
                raise ViolationError(f"I5: {upload_id} remains open")

    def require_no_open_uploads(self) -> None:
        """Check I5 after the slow scan: nobody pays for parts of an asset that has ended."""
        if self.s3.uploads:
            raise ViolationError(f"I5: {sorted(self.s3.uploads)} remain open after the scan of all uploads")

    def require_finished(self) -> None:
        """Check I5 after clean runs: all work that is due is done."""
        for asset_id, record in self.records.items():
            placeholder = self.s3.objects.get(f"uploaded/{asset_id}")
            upload = self.s3.objects.get(f"temp/{asset_id}")
            if placeholder is not None and upload is not None and self._is_due(placeholder, upload, record):
                raise ViolationError(
                    f"I5: {placeholder.metadata['status']}, due, and not finished after the clean runs"
                )

    def _is_due(self, placeholder: Stored, upload: Stored, record: AssetRecord) -> bool:
        expiry = _expiry_of(placeholder)
        is_expired = self.s3.now >= expiry + timedelta(seconds=self.expire_after_seconds)
        match placeholder.metadata["status"], placeholder.metadata.get("pin"):
            case "pending", _:
                return is_expired
            case "marked", _ if not self.may_become_final(record, upload.body):
                return is_expired
            case "marked", None:
                return self.s3.now >= expiry + timedelta(seconds=self.grace_seconds)
            case "marked", pin:
                return pin == upload.etag or is_expired
            case _:
                return True

    def require_promises_kept(self) -> None:
        """Check I3 long after all deadlines and clean runs: what was promised is final."""
        for asset_id, record in self.records.items():
            if not record.has_promise or record.is_delete_requested:
                self._require_end(asset_id)
                continue
            final = self.s3.objects.get(f"uploaded/{asset_id}")
            if final is None:
                raise ViolationError("I3: a mark succeeded, and the asset is lost")
            latest = record.uploads[-1]
            match final.metadata["status"], final.metadata.get("pin"):
                case "uploaded", _:
                    is_kept = final.body == latest or not record.is_latest_promised
                case "marked", pin:  # the client overwrote its pinned bytes, and did not mark again
                    is_kept = pin is not None and pin != etag_of(latest)
                case status, _:  # expired: checked when it happened
                    is_kept = status == "expired" and not record.is_latest_promised
            if not is_kept:
                raise ViolationError(f"I3: a mark succeeded, and the asset ended as {final.metadata}")

    def _require_end(self, asset_id: str) -> None:
        """Check that nobody waits for an upload that never came. A GET has happened since."""
        found = self.s3.objects.get(f"uploaded/{asset_id}")
        if found and found.metadata["status"] == "marked" and f"temp/{asset_id}" not in self.s3.objects:
            raise ViolationError("I5: marked, nothing is uploaded, and it never ends")


def _expiry_of(stored: Stored) -> datetime:
    return datetime.fromisoformat(stored.metadata["expires-at"])
