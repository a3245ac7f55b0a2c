"""The mutants of uploads in parts: one for each rule. The explorer must find a violation with each."""

from functools import partial
from typing import Final

import assetuploader.asset_reconciler
import assetuploader.asset_service
import assetuploader.multipart_service
import assetuploader.state_machine
import reconciler.upload_scan
from tests.protocol.mutation import CompleteWithoutIfMatch, Edit, Mutant

_service = partial(Edit, assetuploader.asset_service)
_reconciler = partial(Edit, assetuploader.asset_reconciler)
_multipart = partial(Edit, assetuploader.multipart_service)
_machine = partial(Edit, assetuploader.state_machine)
_scan = partial(Edit, reconciler.upload_scan)

_REFUSES_REFRESH: Final = "case Status.PENDING if state.is_multipart:"
_PLACEHOLDER: Final = "await create_placeholder(self.store, asset_id, state, placeholder_body(self.make_nonce()))"
_MARKER: Final = "await self._put_marker(temp_key(asset_id))"
_UPLOAD: Final = (
    "upload_id = await self.multipart.create_multipart_upload(uploaded_key(asset_id), _final_attributes(state))"
)
_MARKER_LOST: Final = "if await self.store.head_object(key) is None:"
_IS_OVER: Final = """if placeholder.state.status is not Status.PENDING:
                return _require_completed(asset_id, placeholder, parts, None)"""
_COMPLETED: Final = "error = UploadLostError()  # if the asset is still pending, the response was wrong"
_TRUSTED: Final = """final = replace(placeholder.state, status=Status.UPLOADED)
                return Asset(asset_id, replace(placeholder, etag=etag, state=final))"""
_CONDITION_FAILED: Final = """            except PreconditionFailedError:
                pass
"""
_LOST: Final = """            except MultipartUploadLostError:
                error = UploadLostError()"""
_ONE_PUT: Final = "if state.part_bytes is None:"
_LISTS_LOST: Final = "await self._read_pending(asset_id)  # it may be final or expired meanwhile"
_SAME_PARTS: Final = "if is_implied or (placeholder.has_opaque_etag and placeholder.etag == completed_etag):"
_FINAL_STATE: Final = "to_attributes(replace(state, status=Status.UPLOADED))"
_APPLIES: Final = "                outcome = await self._apply("
_ABORTS_BEFORE: Final = """                if decide(placeholder.state, NOT_READ, now, self.policy) is Action.EXPIRE:
                    await abort_uploads(self.multipart, uploaded_key(asset_id))
"""
_ENDED: Final = "if outcome in CHANGES and placeholder is not None and"
_ABORTS: Final = "                await abort_uploads(self.multipart, uploaded_key(asset_id))"
_MARK_REFUSED: Final = "        case Status.PENDING | Status.MARKED if state.is_multipart:"
_NO_BYTES: Final = "    if state.is_multipart:  # `temp/` holds no bytes"
_IS_ENDED: Final = "if result.outcome not in CHANGES and not is_missing:"
_IS_MISSING: Final = (
    "is_missing = result.outcome is Outcome.ORPHANED and not await has_object(self.reconciler.store, asset_id)"
)
_FINALIZES: Final = "if state.status is Status.MARKED and is_meant(upload_etag, state.pin):"

MULTIPART_MUTANTS: Final = (
    Mutant(
        "in parts: a refresh rewrites the placeholder",
        (_service(_REFUSES_REFRESH, _REFUSES_REFRESH.replace("state.is_multipart", "False")),),
        explored_first="marked and refreshed while it is completed",
    ),
    Mutant(
        "in parts: the upload is initiated before the placeholder is written",
        (_multipart(_UPLOAD, "pass"), _multipart(_PLACEHOLDER, f"{_UPLOAD}\n        {_PLACEHOLDER}")),
        explored_first="lifecycle in parts",
    ),
    Mutant(
        "in parts: the upload is initiated before temp/ says so",
        (_multipart(_MARKER, "pass"), _multipart(_UPLOAD, f"{_UPLOAD}\n        {_MARKER}")),
        explored_first="lifecycle in parts",
    ),
    Mutant(
        "in parts: create takes a 412 for failure",
        (_multipart(_MARKER_LOST, "if True:"),),
        explored_first="lifecycle in parts",
    ),
    Mutant(
        "in parts: an asset is completed whatever its status",
        (_multipart(_IS_OVER, _IS_OVER.replace("placeholder.state.status is not Status.PENDING", "False")),),
        explored_first="a late part after the completion",
    ),
    Mutant(
        "in parts: a completion is sent unconditionally",
        store=CompleteWithoutIfMatch,
        explored_first="completed while it expires, plain store",
    ),
    Mutant(
        "in parts: the response to a completion is trusted",
        (_multipart(_COMPLETED, _TRUSTED),),
        explored_first="another upload id",
    ),
    Mutant(
        "in parts: a completion takes a 412 for success",
        (
            _multipart(
                _CONDITION_FAILED,
                _CONDITION_FAILED.replace("pass", f'etag = ""\n                {_TRUSTED}'),
            ),
        ),
        explored_first="completed while it expires",
    ),
    Mutant(
        "in parts: a completion takes a 412 for failure",
        (_multipart(_CONDITION_FAILED, _CONDITION_FAILED.replace("pass", "raise UploadLostError from None")),),
        explored_first="two completions, same parts",
    ),
    Mutant(
        "in parts: a completion takes a missing upload for failure",
        (_multipart(_LOST, _LOST.replace("error = UploadLostError()", "raise UploadLostError from None")),),
        explored_first="two completions, same parts, plain store",
    ),
    Mutant(
        "in parts: a completion takes a missing upload for success",
        (_multipart(_LOST, _LOST.replace("error = UploadLostError()", f'etag = ""\n                {_TRUSTED}')),),
        explored_first="another upload id, plain store",
    ),
    Mutant(
        "in parts: a list takes a missing upload for failure",
        (_multipart(_LISTS_LOST, "pass"),),
        explored_first="parts are sent and listed while it is completed",
    ),
    Mutant(
        "in parts: a completion with other parts of a final asset succeeds",
        (_multipart(_SAME_PARTS, "if True:"),),
        explored_first="two completions, different parts",
    ),
    Mutant(
        "in parts: the ETag in the response to a completion is trusted",
        (_multipart(_SAME_PARTS, "if is_implied or placeholder.etag == completed_etag:"),),
        explored_first="two completions, different parts, repeating store",
    ),
    Mutant(
        "in parts: a repeated completion is rejected",
        (_multipart(_SAME_PARTS, "if placeholder.etag == completed_etag:"),),
        explored_first="two completions, same parts",
    ),
    Mutant(
        "in parts: the object has the state of the placeholder",
        (_multipart(_FINAL_STATE, "to_attributes(state)"),),
        explored_first="lifecycle in parts",
    ),
    Mutant(
        "in parts: an upload is aborted before its asset is expired",
        (_reconciler(_APPLIES, _ABORTS_BEFORE + _APPLIES),),
        explored_first="completed while it expires",
    ),
    Mutant(
        "in parts: an expired asset is swept without an abort",
        (_reconciler(_ENDED, _ENDED.replace("in CHANGES", "is Outcome.SWEPT")),),
        explored_first="completed while it expires",
    ),
    Mutant(
        "in parts: a final asset is swept without an abort",
        (_reconciler(_ENDED, _ENDED.replace("in CHANGES", "is Outcome.EXPIRED")),),
        explored_first="completed, and another upload is open",
    ),
    Mutant(
        "in parts: temp/ is deleted before the abort",
        (_reconciler(_ABORTS, f"                await self.store.delete_objects([f'temp/{{asset_id}}'])\n{_ABORTS}"),),
        explored_first="completed, and another upload is open",
    ),
    Mutant(
        "in parts: the scan of all uploads aborts those of pending assets",
        (_scan(_IS_ENDED, "if False:"),),
        explored_first="all uploads are scanned while it is completed",
    ),
    Mutant(
        "in parts: the scan of all uploads leaves those without an asset",
        (_scan(_IS_MISSING, "is_missing = False"),),
        explored_first="all uploads are scanned while a final asset is deleted",
    ),
    Mutant(
        "in parts: an asset of one PUT is completed",
        (_multipart(_ONE_PUT, "if False:"),),
        explored_first="an asset of one PUT is completed",
    ),
    Mutant(
        "in parts: an asset is marked",
        (_machine(_MARK_REFUSED, _MARK_REFUSED.replace("state.is_multipart", "False")),),
        explored_first="marked and refreshed while it is completed",
    ),
    Mutant(
        "in parts: the empty object in temp/ is finalized",
        (
            _machine(_NO_BYTES, _NO_BYTES.replace("state.is_multipart", "False")),
            _machine(_FINALIZES, _FINALIZES.replace("MARKED and", "MARKED or state.is_multipart and")),
        ),
        explored_first="completed while it expires",
    ),
)
