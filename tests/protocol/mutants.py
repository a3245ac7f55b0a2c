"""The protocol broken on purpose, one rule at a time: each must be found by the explorer."""

from typing import Final

import assetstore.assets
import assetstore.protocol
from tests.protocol.mutation import CopiesAnything, CopiesOntoAnything, Edit, MarksByTagging, Mutant, ignoring


def _assets(old: str, new: str) -> Edit:
    return Edit(assetstore.assets, old, new)


def _protocol(old: str, new: str) -> Edit:
    return Edit(assetstore.protocol, old, new)


_MARK_LOST: Final = """        except PreconditionFailedError:
            continue
        return
"""
_ADVANCE_LOST: Final = """        except PreconditionFailedError:
            continue
        except StoreError"""
_MARK_READS: Final = """        placeholder = await read_placeholder(assets.door, asset_id)
        if placeholder is None:
            raise AssetNotFoundError
"""
_RECONCILE_READS: Final = """        placeholder = await read_placeholder(assets.door, asset_id)
        if placeholder is None:
            return Reconciled"""
_LOOKS: Final = """            upload = await assets.door.head(temp_key(asset_id))
        case _:"""
_COPIES: Final = "        await assets.door.copy_if("
_WRITES: Final = """    said = Said(to_metadata(state), to_tags(state))
    await"""
_RESOLVES: Final = """        case Status.UPLOADED:
            return await assets.signer"""
_SWEEPS: Final = """        case Status.UPLOADED | Status.EXPIRED:
            return Glance.SWEEP"""
_FINAL: Final = "return Mark.ACCEPTED if pin is not None and pin == state.pin else Mark.ALREADY_UPLOADED"
_COMPARES: Final = "        case Status.PENDING | Status.MARKED if pin is not None:"
_PLAIN_MARK: Final = """        case Status.PENDING | Status.MARKED:
            return Mark.WRITE"""
_MARKED_ALREADY: Final = """        case Status.MARKED:
            return Mark.ACCEPTED
"""
_FINALIZES: Final = "if state.status is Status.MARKED and state.pin in (None, upload_etag):"
_LOST: Final = 'raise StoreUnavailableError("lost") from None'

MUTANTS: Final = (
    Mutant("the copy names no destination version", store=CopiesOntoAnything),
    Mutant("the copy names no source version", store=CopiesAnything),
    Mutant("a mark is written unconditionally", store=ignoring("marked")),
    Mutant("expire is written unconditionally", store=ignoring("expired")),
    Mutant("create is written unconditionally", store=ignoring("pending")),
    Mutant("a mark is a PutObjectTagging", store=MarksByTagging),
    Mutant("the nonce is constant", (_assets("assets.make_nonce()", 'b""'),)),
    Mutant(
        "temp/ is deleted before the copy",
        (_assets(_COPIES, f"        await assets.door.delete_many([temp_key(asset_id)])\n{_COPIES}"),),
    ),
    Mutant("a mark takes a 412 for failure", (_assets(_MARK_LOST, _MARK_LOST.replace("continue", _LOST)),)),
    Mutant("a mark takes a 412 for success", (_assets(_MARK_LOST, _MARK_LOST.replace("continue", "return")),)),
    Mutant(
        "the reconciler takes a 412 for failure",
        (_assets(_ADVANCE_LOST, _ADVANCE_LOST.replace("continue", _LOST)),),
    ),
    Mutant(
        "temp/ is deleted though the copy or the expire lost",
        (_assets(_ADVANCE_LOST, _ADVANCE_LOST.replace("continue", "return Reconciled(Outcome.SWEPT, True)")),),
    ),
    Mutant(
        "create takes a 412 for failure",
        (_assets("placeholder is None or placeholder.state != state:", "placeholder or not placeholder:"),),
    ),
    Mutant(
        "a marked asset is swept",
        (_protocol(_SWEEPS, _SWEEPS.replace("Status.EXPIRED", "Status.EXPIRED | Status.MARKED")),),
    ),
    Mutant("an unpinned asset is due while its URL lives", (_protocol("is_due = now >= ", "is_due = now or now >= "),)),
    Mutant(
        "grace is not waited for",
        (_protocol("is_due = now >= state.expires_at + ", "is_due = now >= state.expires_at + 0 * "),),
    ),
    Mutant(
        "an unmarked asset is given up at its expiry",
        (_protocol("return now >= state.expires_at + ", "return now >= state.expires_at + 0 * "),),
    ),
    Mutant(
        "a marked asset that is due is given up",
        (_protocol(_FINALIZES, _FINALIZES.replace("in (None, upload_etag)", "== upload_etag")),),
    ),
    Mutant(
        "a pin does not matter to finalize",
        (_protocol(_FINALIZES, _FINALIZES.replace(" and state.pin in (None, upload_etag)", "")),),
    ),
    Mutant(
        "finalize forgets the pin",
        (_assets("_replace(status=Status.UPLOADED)", "_replace(status=Status.UPLOADED, pin=None)"),),
    ),
    Mutant("the tags keep the old state", (_assets(_WRITES, _WRITES.replace("to_tags(state)", '{"status": ""}')),)),
    Mutant(
        "GET answers for a marked asset",
        (_assets(_RESOLVES, _RESOLVES.replace("Status.UPLOADED", "Status.UPLOADED | Status.MARKED")),),
    ),
    Mutant("a final asset is marked again", (_protocol(_FINAL, "return Mark.WRITE"),)),
    Mutant("a retry with the pin of a final asset is refused", (_protocol(_FINAL, "return Mark.ALREADY_UPLOADED"),)),
    Mutant(
        "an unpinned mark over an unpinned one writes nothing",
        (_protocol(_PLAIN_MARK, _MARKED_ALREADY.replace(":", " if state.pin is None:") + _PLAIN_MARK),),
        best_seen_in="late upload and a mark",
    ),
    Mutant("pin: an unpinned mark leaves the pin", (_protocol(_PLAIN_MARK, _MARKED_ALREADY + _PLAIN_MARK),)),
    Mutant(
        "pin: temp/ is read before the placeholder",
        (
            _assets(_MARK_READS, f"        early = await _is_in_temp(assets, asset_id, pin)\n{_MARK_READS}"),
            _assets("if not await _is_in_temp(assets, asset_id, pin):", "if not early:"),
        ),
    ),
    Mutant(
        "pin: the same pin is not written again",
        (_protocol(_COMPARES, _MARKED_ALREADY.replace(":", " if pin and pin == state.pin:") + _COMPARES),),
        best_seen_in="A, B, A",
    ),
    Mutant(
        "pin: 409 without a second look at the placeholder",
        (_assets("if await read_placeholder(assets.door, asset_id) == placeholder:", "if placeholder:"),),
    ),
    Mutant(
        "pin: expire judges by what lay in temp/ before the placeholder was read",
        (
            _assets(
                _RECONCILE_READS, f"        listed = await assets.door.head(temp_key(asset_id))\n{_RECONCILE_READS}"
            ),
            _assets(
                "_advance(assets, asset_id, placeholder, now,", "_advance(assets, asset_id, placeholder, now, listed,"
            ),
            _assets(
                "now: datetime, *, dry_run: bool) -> Outcome", "now: datetime, listed, *, dry_run: bool) -> Outcome"
            ),
            _assets(_LOOKS, _LOOKS.replace("await assets.door.head(temp_key(asset_id))", "listed")),
        ),
        best_seen_in="pinned anew while it is given up",
    ),
)


def mutant_by_name(name: str) -> Mutant:
    """The mutant of that name.

    Raises:
        KeyError: there is none.
    """
    return {mutant.name: mutant for mutant in MUTANTS}[name]
