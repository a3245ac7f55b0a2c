"""The protocol mutants: one for each rule. The explorer must find a violation with each."""

from typing import Final

import assetuploader.asset_reconciler
import assetuploader.asset_service
import assetuploader.placeholders
import assetuploader.state_machine
import assetuploader.uploads
from tests.protocol.multipart_mutants import MULTIPART_MUTANTS
from tests.protocol.mutation import (
    CopyWithoutIfMatch,
    CopyWithoutSourceIfMatch,
    Edit,
    MarkByTagging,
    Mutant,
    ignore_condition_of,
)


def _reconciler(old: str, new: str) -> Edit:
    return Edit(assetuploader.asset_reconciler, old, new)


def _uploads(old: str, new: str) -> Edit:
    return Edit(assetuploader.uploads, old, new)


def _service(old: str, new: str) -> Edit:
    return Edit(assetuploader.asset_service, old, new)


def _placeholders(old: str, new: str) -> Edit:
    return Edit(assetuploader.placeholders, old, new)


def _machine(old: str, new: str) -> Edit:
    return Edit(assetuploader.state_machine, old, new)


_MARK_LOST: Final = """            except PreconditionFailedError:
                copies_left -= 1
"""
_APPLY_LOST: Final = "outcome = Outcome.SWEPT if is_done else Outcome.WAITING"
_MARK_READS: Final = """        placeholder = await self._read(asset_id)
        state = placeholder.state
        action"""
_RECONCILE_READS: Final = """            placeholder = await read_placeholder(self.store, asset_id)
            if placeholder is None:
                return ReconcileResult"""
_READS_UPLOAD: Final = "await inspect_upload(self.store, asset_id, state.declaration)"
_INSPECTS_EARLY: Final = "await inspect_upload(self.store, asset_id, NOTHING_DECLARED)"
_REPLACES: Final = "body, to_attributes(state), if_match=if_match"
_INSPECTS: Final = """upload = await inspect_upload(self.store, asset_id, state.declaration)
        if upload is None:"""
_COPIES: Final = "    etag = await store.copy_object("
_WRITES: Final = "return ObjectAttributes(to_metadata(state), to_tags(state))"
_IS_FINAL: Final = "return self.placeholder.state.status is Status.UPLOADED"
_SWEEPS: Final = """        case Status.UPLOADED | Status.EXPIRED:
            return Action.SWEEP"""
_FINAL: Final = "return MarkAction.ACCEPT if pin is not None and pin == state.pin else MarkAction.ALREADY_UPLOADED"
_MARK: Final = """        case Status.PENDING | Status.MARKED:
            return MarkAction.WRITE if"""
_COMPARES: Final = """upload = await inspect_upload(self.store, asset_id, state.declaration)
                if upload is None and"""
_OVER: Final = "return now >= _grace_ends_at(state, policy)"
_MARKED_ALREADY: Final = """        case Status.MARKED if CONDITION:
            return MarkAction.ACCEPT
"""
_NOT_DUE: Final = "case Status.MARKED if state.pin is None and now < _grace_ends_at(state, policy):"
_GRACE: Final = "return state.upload_expires_at + timedelta(seconds=policy.grace_seconds)"
_MEANT: Final = "return isinstance(upload_etag, str) and pin in (None, upload_etag)"
_CREATED: Final = "if await store.get_object(key, len(body)) != body:"
_IS_COPIED: Final = "if body is not None and is_placeholder_body(body):"
_RENEWS: Final = """if upload.etag == placeholder.etag:
            from assetuploader.placeholders import replace_placeholder
            body = placeholder_body(self.make_nonce())
            await replace_placeholder(self.store, asset_id, state, body, placeholder.etag)
            raise PreconditionFailedError
        match decide(state, upload.etag,"""
_IN_DOUBT: Final = """            case _:
                assert_never(action)
        marked = """
_AT_ONCE: Final = "return pin is not None and upload_bytes <= policy.finalize_at_once_bytes"
_AT_ONCE_STATE: Final = "final = replace(state, status=Status.UPLOADED, pin=pin)"
_NOT_PENDING: Final = """                case Status.MARKED:
                    raise AssetNotPendingError"""
_DELETE_LOST: Final = """            except PreconditionFailedError:  # it was marked, finalized or deleted meanwhile
                continue"""
_REFRESH_LOST: Final = """            except PreconditionFailedError:
                continue
            return PendingAsset"""
_CANCELS: Final = """        case Status.PENDING | Status.MARKED:
            return DeleteAction.CANCEL"""
_LOST: Final = 'raise StoreError("lost") from None'

MUTANTS: Final = (
    Mutant("the copy names no destination version", store=CopyWithoutIfMatch),
    Mutant(
        "the copy names no source version", store=CopyWithoutSourceIfMatch, explored_first="pinned while it expires"
    ),
    Mutant("a mark is written unconditionally", store=ignore_condition_of("marked")),
    Mutant(
        "expire is written unconditionally",
        store=ignore_condition_of("expired"),
        explored_first="marked while it expires",
    ),
    Mutant("create is written unconditionally", store=ignore_condition_of("pending")),
    Mutant("a mark is a PutObjectTagging", store=MarkByTagging),
    Mutant(
        "the nonce is constant",
        (
            _placeholders(
                "body, to_attributes(state), if_match=if_match", 'b"", to_attributes(state), if_match=if_match'
            ),
        ),
    ),
    Mutant(
        "temp/ is deleted before the copy",
        (_uploads(_COPIES, f"    await store.delete_objects([temp_key(asset_id)])\n{_COPIES}"),),
    ),
    Mutant("a mark takes a 412 for failure", (_service(_MARK_LOST, _MARK_LOST.replace("copies_left -= 1", _LOST)),)),
    Mutant(
        "a mark takes a 412 for success",
        (_service(_MARK_LOST, _MARK_LOST.replace("copies_left -= 1", "return await self.get(asset_id, now)")),),
    ),
    Mutant(
        "the reconciler takes a 412 for failure",
        (_reconciler(_APPLY_LOST, _LOST),),
    ),
    Mutant(
        "temp/ is deleted though the copy or the expire lost",
        (_reconciler(_APPLY_LOST, "outcome = Outcome.SWEPT"),),
    ),
    Mutant(
        "create takes a 412 for failure",
        (_placeholders(_CREATED, "if True:"),),
    ),
    Mutant(
        "create takes any 412 for its own success",
        (_placeholders(_CREATED, "if False:"),),
    ),
    Mutant(
        "create takes an equal state for its own success",
        (
            _placeholders(
                _CREATED,
                "found = await read_placeholder(store, asset_id)\n        if found is None or found.state != state:",
            ),
        ),
    ),
    Mutant(
        "a marked asset is swept",
        (_machine(_SWEEPS, _SWEEPS.replace("Status.EXPIRED", "Status.EXPIRED | Status.MARKED")),),
    ),
    Mutant(
        "an unpinned asset is due while its upload URL is valid",
        (_machine(_NOT_DUE, _NOT_DUE.replace("now <", "False and now <")),),
    ),
    Mutant(
        "grace is not waited for",
        (_machine(_GRACE, _GRACE.replace("+ ", "+ 0 * ")),),
    ),
    Mutant(
        "an unmarked asset expires with its upload URL",
        (_machine("return now >= state.upload_expires_at + ", "return now >= state.upload_expires_at + 0 * "),),
    ),
    Mutant(
        "a marked asset that is due expires",
        (_machine(_MEANT, _MEANT.replace("in (None, upload_etag)", "== upload_etag")),),
    ),
    Mutant(
        "a pin does not matter to finalize",
        (_machine(_MEANT, _MEANT.replace(" and pin in (None, upload_etag)", "")),),
    ),
    Mutant(
        "finalize forgets the pin",
        (
            _reconciler(
                "replace(state, status=Status.UPLOADED), upload)",
                "replace(state, status=Status.UPLOADED, pin=None), upload)",
            ),
        ),
    ),
    Mutant(
        "the tags keep the old state", (_placeholders(_WRITES, _WRITES.replace("to_tags(state)", '{"status": ""}')),)
    ),
    Mutant(
        "GET returns a URL for a marked asset",
        (_service(_IS_FINAL, _IS_FINAL.replace("is Status.UPLOADED", "in {Status.UPLOADED, Status.MARKED}")),),
    ),
    Mutant("a final asset is marked again", (_machine(_FINAL, "return MarkAction.WRITE"),)),
    Mutant(
        "a retry with the pin of a final asset is rejected", (_machine(_FINAL, "return MarkAction.ALREADY_UPLOADED"),)
    ),
    Mutant(
        "an unpinned mark over an unpinned one writes nothing",
        (_machine(_MARK, _MARKED_ALREADY.replace("CONDITION", "pin is None and state.pin is None") + _MARK),),
        explored_first="late upload and a mark",
    ),
    Mutant(
        "pin: an unpinned mark leaves the pin",
        (_machine(_MARK, _MARKED_ALREADY.replace("CONDITION", "pin is None") + _MARK),),
    ),
    Mutant(
        "pin: temp/ is read before the placeholder",
        (
            _service(
                _MARK_READS,
                f"        early = await inspect_upload(self.store, asset_id, NOTHING_DECLARED)\n{_MARK_READS}",
            ),
            _service(_COMPARES, _COMPARES.replace(_READS_UPLOAD, "early")),
        ),
    ),
    Mutant(
        "pin: the same pin is not written again",
        (_machine(_MARK, _MARKED_ALREADY.replace("CONDITION", "pin and pin == state.pin") + _MARK),),
        explored_first="A, B, A",
    ),
    Mutant(
        "pin: 409 without a second read of the placeholder",
        (_service("if await self._read(asset_id) == placeholder:", "if placeholder:"),),
    ),
    Mutant(
        "pin: expire decides by the upload that was read before the placeholder",
        (
            _reconciler(
                _RECONCILE_READS,
                f"            from assetuploader.state_machine import NOTHING_DECLARED\n"
                f"            listed = {_INSPECTS_EARLY}\n{_RECONCILE_READS}",
            ),
            _reconciler("_apply(asset_id, placeholder, now,", "_apply(asset_id, placeholder, now, listed,"),
            _reconciler(
                "placeholder: Placeholder, now: datetime, *, max",
                "placeholder: Placeholder, now: datetime, listed, *, max",
            ),
            _reconciler(_INSPECTS, _INSPECTS.replace(_READS_UPLOAD, "listed")),
        ),
        explored_first="pinned again while it expires",
    ),
    Mutant("an asset that was marked and never uploaded has no end", (_machine(_OVER, "return False"),)),
    Mutant("a marked asset expires before its upload", (_machine(_OVER, "return True"),)),
    Mutant(
        "GET expires a marked asset whose upload is there",
        (_service("if await inspect_upload(self.store, asset_id, state.declaration) is None:", "if True:"),),
    ),
    Mutant(
        "GET takes a 412 for expired",
        (
            _service(
                "except PreconditionFailedError:  # a run finalized it",
                "except PreconditionFailedError:\n                    raise AssetExpiredError\n"
                "                    # a run finalized it",
            ),
        ),
        explored_first="marked and never uploaded",
    ),
    Mutant(
        "a mark is written without an upload that can still come",
        (_machine("pin is None and now < state.upload_expires_at else", "pin is None else"),),
    ),
    Mutant(
        "the body of a placeholder is finalized",
        (_uploads(_IS_COPIED, "if False:"),),
        explored_first="the upload is the placeholder's body",
    ),
    Mutant(
        "the body of a placeholder is finalized once the placeholder is renewed",
        (_reconciler("match decide(state, upload.etag,", _RENEWS), _uploads(_IS_COPIED, "if False:")),
        explored_first="the upload is the placeholder's body",
    ),
    Mutant(
        "at once: a copy in doubt counts as done",
        (
            _service(
                _IN_DOUBT,
                _IN_DOUBT.replace(
                    "marked = ",
                    "if action is MarkAction.COMPARE and may_copy and pin:\n"
                    "            return Asset(asset_id, placeholder)\n        marked = ",
                ),
            ),
        ),
        explored_first="pinned lifecycle, at once",
    ),
    Mutant(
        "at once: a mark without a pin copies",
        (_machine(_AT_ONCE, _AT_ONCE.replace("pin is not None and ", "")),),
        explored_first="marked when the upload URL has expired, at once",
    ),
    Mutant(
        "at once: the pin is not stored",
        (_service(_AT_ONCE_STATE, _AT_ONCE_STATE.replace(", pin=pin", "")),),
        explored_first="pinned lifecycle, at once",
    ),
    Mutant(
        "refresh is written unconditionally",
        store=ignore_condition_of("pending", only_of_replacements=True),
        explored_first="refreshed while it is uploaded and marked",
    ),
    Mutant(
        "refresh takes a 412 for success",
        (_service(_REFRESH_LOST, _REFRESH_LOST.replace("continue", "pass")),),
        explored_first="refreshed while it is uploaded and marked",
    ),
    Mutant(
        "refresh makes a marked asset pending",
        (
            _service(
                _NOT_PENDING,
                _NOT_PENDING.replace("raise AssetNotPendingError", "state = replace(state, status=Status.PENDING)"),
            ),
        ),
        explored_first="refreshed while it is uploaded and marked",
    ),
    Mutant(
        "refresh moves the expiry back",
        (_service("max(state.upload_expires_at, upload.expires_at)", "upload.expires_at"),),
        explored_first="refreshed by a service whose clock is behind",
    ),
    Mutant(
        "delete takes a 412 for success",
        (_service(_DELETE_LOST, _DELETE_LOST.replace("continue", "return")),),
        explored_first="deleted while it is marked",
    ),
    Mutant(
        "delete removes a placeholder",
        (_machine(_CANCELS, _CANCELS.replace("CANCEL", "REMOVE")),),
        explored_first="deleted while it is marked",
    ),
    Mutant(
        "a promised asset is deleted although deletes are off",
        (_machine("return status in {Status.MARKED, Status.UPLOADED}", "return False"),),
        explored_first="a final asset, deletes off",
    ),
    Mutant(
        "any state is kept in memory",
        (_service("self.cache.put(asset_id, placeholder)", "self.cache._placeholders[asset_id] = placeholder"),),
        explored_first="read from memory while it is marked and finalized",
    ),
    Mutant(
        "bytes that are not declared are finalized",
        (_uploads("if not declaration.allows(", "if False and not declaration.allows("),),
        explored_first="bytes that are not declared, no pin",
    ),
    Mutant(
        "a transition forgets the declaration",
        (
            _machine(
                "**declaration_to_metadata(state.declaration),",
                "**declaration_to_metadata(state.declaration if state.pin is None else NOTHING_DECLARED),",
            ),
        ),
        explored_first="bytes that are not declared",
    ),
    *MULTIPART_MUTANTS,
)


def mutant_by_name(name: str) -> Mutant:
    """Return the mutant of this name.

    Raises:
        KeyError: No mutant has this name.
    """
    return {mutant.name: mutant for mutant in MUTANTS}[name]
