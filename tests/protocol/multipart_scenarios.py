"""The scenarios of assets that are uploaded in parts."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from assetuploader.declaration import Declaration
from reconciler.upload_scan import MIN_AGE
from tests.protocol.multipart_scripts import (
    UNKNOWN_UPLOAD,
    completes,
    creates_in_parts_with_the_same_id,
    full_multipart_lifecycle,
    lists_parts,
    sends_part,
    sends_part_and_completes,
)
from tests.protocol.schedule import Scenario
from tests.protocol.system import (
    POLICY,
    InitialState,
    clock,
    creates_with_the_same_id,
    deletes,
    gets,
    gets_from_memory,
    marks,
    reconciles,
    refreshes,
)
from tests.protocol.upload_scans import scans_uploads

A: Final = b"A"
B: Final = b"B"
C: Final = b"C"
_EXPIRED_ASSET: Final = timedelta(seconds=POLICY.multipart_ttl_seconds + POLICY.expire_after_seconds)

_FRESH = InitialState("nothing yet", is_created=False)
_UPLOADED = InitialState("A uploaded with one PUT", (A,))
_CREATED = InitialState("no part sent", parts=())
_SENT = InitialState("A and B sent in parts", parts=(A, B))
_EXPIRING = replace(_SENT, name="A and B sent in parts, about to expire", after=_EXPIRED_ASSET)
_SENT_TWICE = replace(_SENT, name="A and B sent in parts, another upload open", has_unknown_upload=True)
_FINAL = replace(_SENT, name="A and B completed", is_completed=True)
_DECLARED = InitialState("A sent as a part, one byte declared", parts=(A,), declaration=Declaration(size=1))

_OLD = replace(_SENT_TWICE, name="A and B sent in parts long ago, another upload open", after=MIN_AGE)

_COMPLETIONS: Final = (
    Scenario(
        "two completions, same parts",
        _SENT,
        (
            ("completer 1", completes(A, B)),
            ("completer 2", completes(A, B)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "two completions, different parts",
        _SENT,
        (
            ("completer", completes(A, B)),
            ("client C", sends_part_and_completes(A, C)),
            ("getter", gets()),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "completed while it expires",
        _EXPIRING,
        (
            ("completer", completes(A, B)),
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
            ("getter", gets()),
        ),
    ),
    Scenario(
        "completed while the clock reaches the end",
        _SENT,
        (
            ("completer", completes(A, B)),
            ("clock", clock(_EXPIRED_ASSET)),
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
        ),
    ),
    Scenario(
        "completed while it is deleted",
        _SENT,
        (
            ("completer", completes(A, B)),
            ("deleter", deletes()),
            ("reconciler", reconciles()),
            ("getter", gets()),
        ),
    ),
    Scenario(
        "completed while it is cancelled, deletes off",
        _SENT,
        (
            ("completer", completes(A, B)),
            ("deleter", deletes(is_enabled=False)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "completed, and another upload is open",
        _SENT_TWICE,
        (
            ("completer", completes(A, B)),
            ("reconciler 1", reconciles()),
            ("reconciler 2", reconciles()),
        ),
    ),
    Scenario(
        "a late part while it expires",
        _EXPIRING,
        (
            ("late client", sends_part(2, C, is_late=True)),
            ("reconciler 1", reconciles()),
            ("completer", completes(A, C)),
            ("reconciler 2", reconciles()),
        ),
    ),
    Scenario(
        "a late part after the completion",
        _SENT,
        (
            ("completer", completes(A, B)),
            ("late client", sends_part(2, B, is_late=True)),
            ("completer again", completes(A, B)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "another upload id",
        _SENT,
        (
            ("confused client", completes(A, B, upload_id=UNKNOWN_UPLOAD)),
            ("confused lister", lists_parts(UNKNOWN_UPLOAD)),
            ("completer", completes(A, B)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "all uploads are scanned while it is completed",
        _OLD,
        (
            ("completer", completes(A, B)),
            ("scanner", scans_uploads()),
            ("late client", sends_part(2, B, is_late=True)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "all uploads are scanned while it expires",
        _EXPIRING,
        (
            ("scanner", scans_uploads()),
            ("completer", completes(A, B)),
            ("late client", sends_part(2, B, is_late=True)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "a final asset in parts is deleted",
        _FINAL,
        (
            ("deleter", deletes()),
            ("late completer", completes(A, B)),
            ("getter", gets()),
            ("reconciler", reconciles()),
        ),
    ),
)
_OTHERS: Final = (
    Scenario(
        "lifecycle in parts",
        _FRESH,
        (
            ("client", full_multipart_lifecycle(A)),
            ("reconciler", reconciles()),
            ("getter", gets()),
        ),
    ),
    Scenario(
        "lifecycle in parts, one byte declared",
        replace(_FRESH, name="nothing yet, one byte declared", declaration=Declaration(size=1)),
        (
            ("client", full_multipart_lifecycle(A, Declaration(size=1))),
            ("clock", clock(_EXPIRED_ASSET)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "parts are sent while it is deleted",
        _CREATED,
        (
            ("client", sends_part_and_completes(A)),
            ("late client", sends_part(2, B, is_late=True)),
            ("deleter", deletes()),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "two creators, same id, one in parts",
        _FRESH,
        (
            ("creator 1", creates_in_parts_with_the_same_id()),
            ("creator 2", creates_with_the_same_id()),
            ("creator 3", creates_in_parts_with_the_same_id()),
        ),
    ),
    Scenario(
        "parts are sent and listed while it is completed",
        _CREATED,
        (
            ("client", sends_part_and_completes(A)),
            ("lister", lists_parts()),
            ("client B", sends_part_and_completes(B)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "parts that are not declared",
        _DECLARED,
        (
            ("client AA", sends_part_and_completes(b"AA")),
            ("client AB", sends_part_and_completes(A, B)),
            ("completer", sends_part_and_completes(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "marked and refreshed while it is completed",
        _SENT,
        (
            ("completer", completes(A, B)),
            ("marker", marks(None)),
            ("refresher", refreshes()),
            ("marker A", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "marked while it expires, in parts",
        _EXPIRING,
        (
            ("marker", marks(None)),
            ("reconciler", reconciles()),
            ("marker of the marker object", marks(b"")),
            ("completer", completes(A, B)),
        ),
    ),
    Scenario(
        "an asset of one PUT is completed",
        _UPLOADED,
        (
            ("completer", completes(A, upload_id=UNKNOWN_UPLOAD)),
            ("marker", marks(A)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "read from memory while it is completed",
        _SENT,
        (
            ("getter", gets_from_memory(3)),
            ("completer", completes(A, B)),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "a final asset in parts is deleted, and another upload is open",
        replace(_SENT_TWICE, name="A and B completed, another upload open", is_completed=True),
        (
            ("deleter 1", deletes()),
            ("deleter 2", deletes()),
            ("reconciler", reconciles()),
        ),
    ),
    Scenario(
        "all uploads are scanned while a final asset is deleted",
        replace(_OLD, name="A and B completed long ago, another upload open", is_completed=True),
        (
            ("deleter", deletes()),
            ("scanner", scans_uploads()),
            ("late client", sends_part(2, B, is_late=True)),
            ("late completer", completes(A, B)),
        ),
    ),
)


def _plainly(scenario: Scenario) -> Scenario:
    """Return the scenario on a store that completes as most do. Dates hide some mistakes there, successes others."""
    before = scenario.initial_state
    initial_state = replace(before, name=f"{before.name}, plain store", completes_plainly=True)
    return replace(scenario, name=f"{scenario.name}, plain store", initial_state=initial_state)


def _repeatedly(scenario: Scenario) -> Scenario:
    """Return the scenario on a store that responds to a completion with the result of an earlier one."""
    before = scenario.initial_state
    initial_state = replace(before, name=f"{before.name}, repeating store", repeats_completions=True)
    return replace(scenario, name=f"{scenario.name}, repeating store", initial_state=initial_state)


MULTIPART_SCENARIOS: Final = (
    *_COMPLETIONS,
    *_OTHERS,
    *map(_plainly, _COMPLETIONS),
    *(_repeatedly(scenario) for scenario in _COMPLETIONS if scenario.name.startswith("two completions")),
)
"""All scenarios of uploads in parts, in the order in which they are explored."""
