"""What will become of an asset, and when: the protocol's own decisions, told to a person. Pure, like the protocol."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from assetstore.door import Head
from assetstore.protocol import Glance, Placeholder, Rules, State, Status, Verdict, due_at, glance, judge


class Kind(StrEnum):
    """Where an asset stands, as somebody who looks after it asks."""

    FINAL = "final"
    WAITING = "waiting"
    """For its mark, its bytes, or the instant at which it is due."""
    OVERDUE = "overdue"
    """Everything is there, and a run should have finalized it."""
    EXPIRED = "expired"
    """Given up, or to be given up by the next run."""
    UNKNOWN = "unknown"
    """No asset of ours."""


@dataclass(frozen=True, slots=True)
class Prognosis:
    """What comes next."""

    kind: Kind
    says: str
    at: datetime | None = None
    """When: in the past for what is overdue."""


def foresee(placeholder: Placeholder | None, upload: Head | None, now: datetime, rules: Rules) -> Prognosis:
    """What becomes of the asset whose placeholder and `temp/` are these at `now`, S3's clock."""
    if placeholder is None:
        left = "; what lies in temp/ is left alone" if upload else ""
        return Prognosis(Kind.UNKNOWN, f"no asset has this id{left}")
    state = placeholder.state
    given_up_at = state.expires_at + timedelta(seconds=rules.unmarked_seconds)
    match state.status:
        case Status.UPLOADED:
            swept = "; a late upload in temp/ goes with the next run" if upload else ""
            return Prognosis(Kind.FINAL, f"final: it never changes any more{swept}", placeholder.written_at)
        case Status.EXPIRED:
            return Prognosis(Kind.EXPIRED, "given up: its client must create another", placeholder.written_at)
        case Status.PENDING | Status.MARKED:
            pass
        case _ as unknown:
            assert_never(unknown)
    if upload is None:
        return _without_bytes(state, now)
    due = due_at(placeholder, rules)
    if glance(state, now, rules) is Glance.LOOK:
        verdict = judge(state, upload.etag, now, rules)
        if verdict is Verdict.FINALIZE:
            return Prognosis(Kind.OVERDUE, "due: the next run makes it final", due)
        if verdict is Verdict.EXPIRE:
            return Prognosis(Kind.EXPIRED, "the next run gives it up: nobody marked these bytes in time", given_up_at)
        says = "waits for another mark: other bytes than the pinned ones were uploaded; else it is given up"
        return Prognosis(Kind.WAITING, says, given_up_at)
    if state.status is Status.MARKED:
        return Prognosis(Kind.WAITING, "marked: final with the first run after this instant", due)
    return Prognosis(Kind.WAITING, "uploaded, and waits for its mark; else it is given up", given_up_at)


def _without_bytes(state: State, now: datetime) -> Prognosis:
    if now < state.expires_at:
        return Prognosis(Kind.WAITING, "nothing is uploaded; the upload URL ends at this instant", state.expires_at)
    return Prognosis(
        Kind.WAITING, "nothing was uploaded while the upload URL lived; nothing comes of it", state.expires_at
    )
