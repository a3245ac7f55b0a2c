"""The scenarios in which the protocol could fail, with three or four processes in each."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from assetuploader.declaration import Declaration
from tests.protocol.multipart_scenarios import MULTIPART_SCENARIOS
from tests.protocol.schedule import Scenario
from tests.protocol.system import (
    AT_ONCE,
    InitialState,
    clock,
    creates_with_the_same_id,
    deletes,
    full_lifecycle,
    gets,
    gets_from_memory,
    marks,
    marks_with_the_etag_of_its_upload,
    reconciles,
    refreshes,
    uploads,
    uploads_and_marks,
    uploads_late_and_marks,
)

A: Final = b"A"
B: Final = b"B"
_URL_EXPIRED: Final = timedelta(seconds=901)
_GRACE: Final = timedelta(seconds=60)
_DUE: Final = _URL_EXPIRED + _GRACE
_EXPIRED_ASSET: Final = timedelta(seconds=900 + 86_400)

_FRESH = InitialState("nothing yet", is_created=False)
_AHEAD = InitialState("nothing yet, the service's clock ahead", is_created=False, signer_is_ahead=timedelta(minutes=15))
_BEHIND = InitialState(
    "nothing yet, the service's clock behind", is_created=False, signer_is_ahead=timedelta(minutes=-15)
)
_UPLOADED = InitialState("A uploaded", (A,))
_MARKED = InitialState("A uploaded and marked", (A,), (None,))
_DUE_NOW = InitialState("A marked and due", (A,), (None,), _DUE)
_PINNED = InitialState("A pinned", (A,), (A,))
_UNMARKED = InitialState("A never marked, about to expire", (A,), (), _EXPIRED_ASSET)
_COPIED = InitialState("the placeholder's body uploaded", uploads_placeholder=True)
_CREATED = InitialState("nothing uploaded")
_FINAL = InitialState("A final", (A,), (A,), policy=AT_ONCE)
_DECLARED = InitialState("A uploaded, one byte declared", (A,), declaration=Declaration(size=1))

_COMMON: Final = (
    Scenario(
        "lifecycle",
        _FRESH,
        (
            ("client", full_lifecycle(A, pinned=False)),
            ("clock", clock(_URL_EXPIRED, _GRACE)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "lifecycle, the service's clock ahead",
        _AHEAD,
        (
            ("client", full_lifecycle(A, pinned=False)),
            ("clock", clock(_DUE, timedelta(minutes=15))),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "lifecycle, the service's clock behind",
        _BEHIND,
        (
            ("client", full_lifecycle(A, pinned=False)),
            ("clock", clock(_GRACE)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "pinned lifecycle",
        _FRESH,
        (
            ("client", full_lifecycle(A, pinned=True)),
            ("reconciler", reconciles()),
            ("getter", gets()),
        ),
    ),
    Scenario(
        "two creators, same id",
        _FRESH,
        (
            ("creator 1", creates_with_the_same_id()),
            ("creator 2", creates_with_the_same_id()),
            ("creator 3", creates_with_the_same_id()),
        ),
    ),
    Scenario(
        "an id that is taken",
        _UPLOADED,
        (
            ("creator", creates_with_the_same_id()),
            ("marker", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "two markers, same pin",
        _UPLOADED,
        (
            ("marker 1", marks(A)),
            ("marker 2", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "two markers, different pins",
        _UPLOADED,
        (
            ("marker A", marks(A)),
            ("client B", uploads_and_marks((B, True))),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "two markers, one pin",
        _UPLOADED,
        (
            ("marker", marks(None)),
            ("client B", uploads_and_marks((B, True))),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "two markers, no pin",
        _UPLOADED,
        (
            ("marker 1", marks(None)),
            ("marker 2", marks(None)),
            ("clock", clock(_DUE)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "unpinned over pinned",
        _PINNED,
        (
            ("client B", uploads_and_marks((B, False))),
            ("marker A", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "A, B, A",
        _PINNED,
        (
            ("client", uploads_and_marks((B, True), (A, True))),
            ("marker A", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "A, B unpinned, A",
        _PINNED,
        (
            ("client", uploads_and_marks((B, False), (A, True))),
            ("marker A", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "two reconcilers",
        _DUE_NOW,
        (
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
            ("late client", uploads(B, is_late=True)),
            ("getter", gets()),
        ),
    ),
    Scenario(
        "two reconcilers, pinned",
        _PINNED,
        (
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
            ("client", uploads_and_marks((B, True))),
        ),
    ),
    Scenario(
        "late upload and a mark",
        _DUE_NOW,
        (
            ("reconciler", reconciles()),
            ("late client", uploads(B, is_late=True)),
            ("marker", marks(None)),
        ),
    ),
    Scenario(
        "marked while it becomes due",
        _MARKED,
        (
            ("client", uploads_and_marks((B, False))),
            ("clock", clock(_DUE)),
            ("reconciler", reconciles()),
            ("marker A", marks(A)),
        ),
    ),
    Scenario(
        "marked while it expires",
        _UNMARKED,
        (
            ("marker", marks(None)),
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
        ),
    ),
    Scenario(
        "pinned while it expires",
        _UNMARKED,
        (
            ("marker", marks(A)),
            ("reconciler 1", reconciles()),
            ("late client", uploads(B, is_late=True)),
            ("reconciler 2", reconciles()),
        ),
    ),
    Scenario(
        "pin lost while it expires",
        InitialState("A pinned, about to expire", (A,), (A,), _EXPIRED_ASSET),
        (
            ("late client", uploads(B, A, is_late=True)),
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
            ("marker B", marks(B)),
        ),
    ),
    Scenario(
        "pinned again while it expires",
        InitialState("A pinned, about to expire", (A,), (A,), _EXPIRED_ASSET),
        (
            ("late client", uploads_late_and_marks(B, A)),
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
        ),
    ),
    Scenario(
        "marked and never uploaded",
        InitialState("marked, nothing uploaded, grace over", (), (None,), _DUE),
        (
            ("getter", gets()),
            ("late client", uploads(A, is_late=True)),
            ("marker", marks(None)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "marked before the upload",
        InitialState("marked, nothing uploaded", (), (None,)),
        (
            ("client", uploads_and_marks((A, False))),
            ("clock", clock(_URL_EXPIRED, _GRACE)),
            ("getter", gets()),
            ("marker", marks(None)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "marked when the upload URL has expired",
        InitialState("nothing uploaded, URL expired", after=_URL_EXPIRED),
        (
            ("marker", marks(None)),
            ("clock", clock(_GRACE)),
            ("marker A", marks(A)),
            ("late client", uploads(A, is_late=True)),
        ),
    ),
    Scenario(
        "the upload is the placeholder's body",
        _COPIED,
        (
            ("marker 1", marks(None)),
            ("clock", clock(_DUE)),
            ("marker 2", marks(None)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "the upload is the placeholder's body, pinned",
        _COPIED,
        (
            ("marker 1", marks(None)),
            ("marker 2", marks_with_the_etag_of_its_upload()),
            ("reconciler", reconciles()),
        ),
    ),
)

_REFRESHES: Final = (
    Scenario(
        "refreshed while it is uploaded and marked",
        _CREATED,
        (
            ("client", uploads_and_marks((A, False))),
            ("refresher", refreshes()),
            ("clock", clock(_URL_EXPIRED, _GRACE)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "refreshed when the upload URL has expired",
        InitialState("nothing uploaded, URL expired", after=_URL_EXPIRED),
        (
            ("refresher 1", refreshes()),
            ("late client", uploads(A, is_late=True)),
            ("refresher 2", refreshes()),
            ("marker", marks(None)),
        ),
    ),
    Scenario(
        "refreshed by a service whose clock is behind",
        InitialState("nothing uploaded, URL of a clock ahead", signer_is_ahead=timedelta(minutes=15)),
        (
            ("refresher", refreshes(signer_is_ahead=timedelta(minutes=-10))),
            ("client", uploads_and_marks((A, False))),
            ("clock", clock(_DUE)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "refreshed while it expires",
        _UNMARKED,
        (
            ("refresher", refreshes()),
            ("reconciler 1", reconciles()),
            ("marker", marks(None)),
            ("reconciler 2", reconciles()),
        ),
    ),
)
_DELETES: Final = (
    Scenario(
        "deleted while it is marked",
        _UPLOADED,
        (
            ("marker", marks(None)),
            ("deleter 1", deletes()),
            ("reconciler", reconciles()),
            ("deleter 2", deletes()),
        ),
    ),
    Scenario(
        "cancelled while it is marked, deletes off",
        _UPLOADED,
        (
            ("marker", marks(None)),
            ("deleter", deletes(is_enabled=False)),
            ("refresher", refreshes()),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "deleted while it is finalized",
        _DUE_NOW,
        (
            ("reconciler", reconciles()),
            ("deleter 1", deletes()),
            ("late client", uploads(B, is_late=True)),
            ("deleter 2", deletes()),
        ),
    ),
    Scenario(
        "deleted while it is uploaded again",
        _PINNED,
        (
            ("deleter", deletes()),
            ("client B", uploads_and_marks((B, True))),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "a final asset deleted",
        _FINAL,
        (
            ("deleter 1", deletes()),
            ("getter", gets()),
            ("marker", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "a final asset deleted twice, and a late upload",
        _FINAL,
        (
            ("deleter 1", deletes()),
            ("deleter 2", deletes()),
            ("late client", uploads(B, is_late=True)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "a final asset, deletes off",
        _FINAL,
        (
            ("deleter", deletes(is_enabled=False)),
            ("getter", gets()),
            ("late client", uploads_and_marks((B, True))),
            ("reconciler", reconciles()),
        ),
    ),
)
_FROM_MEMORY: Final = (
    Scenario(
        "read from memory while it is marked and finalized",
        _UPLOADED,
        (
            ("getter", gets_from_memory(3)),
            ("marker", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "read from memory while it is deleted",
        _FINAL,
        (
            ("getter", gets_from_memory()),
            ("deleter", deletes()),
            ("late client", uploads(B, is_late=True)),
            ("reconciler", reconciles()),
        ),
    ),
)
_DECLARATIONS: Final = (
    Scenario(
        "bytes that are not declared",
        _DECLARED,
        (
            ("late client", uploads(b"AA", is_late=True)),
            ("marker 1", marks_with_the_etag_of_its_upload()),
            ("marker 2", marks(A)),
            ("getter", gets()),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "bytes that are not declared, no pin",
        _DECLARED,
        (
            ("late client", uploads(b"AA", A, is_late=True)),
            ("marker", marks(None)),
            ("clock", clock(_DUE)),
            ("reconciler", reconciles()),
        ),
    ),
)


def _at_once(scenario: Scenario) -> Scenario:
    """Return the scenario in which a mark with a pin finalizes the asset itself. At the start nothing is pinned."""
    before = scenario.initial_state
    unpinned = tuple(pinned_bytes for pinned_bytes in before.marks if pinned_bytes is None)
    initial_state = replace(before, name=f"{before.name}, at once", marks=unpinned, policy=AT_ONCE)
    return replace(scenario, name=f"{scenario.name}, at once", initial_state=initial_state)


_LEFT_TO_RECONCILER: Final = (*_COMMON, *_REFRESHES, *_DELETES, *_FROM_MEMORY, *_DECLARATIONS)
_WITHOUT_PINS: Final = frozenset(
    {
        "lifecycle",
        "lifecycle, the service's clock ahead",
        "lifecycle, the service's clock behind",
        "two creators, same id",
        "two markers, no pin",
        "two reconcilers",
        "late upload and a mark",
        "marked while it expires",
        "marked and never uploaded",
        "marked before the upload",
        *(
            scenario.name
            for scenario in (*_REFRESHES, *_DELETES)
            if scenario.name != "deleted while it is uploaded again"
        ),
        "read from memory while it is deleted",
        "bytes that are not declared, no pin",
    }
)
SCENARIOS: Final = (
    *_LEFT_TO_RECONCILER,
    *(_at_once(scenario) for scenario in _LEFT_TO_RECONCILER if scenario.name not in _WITHOUT_PINS),
    *MULTIPART_SCENARIOS,
)
"""All scenarios, in the order in which they are explored."""
