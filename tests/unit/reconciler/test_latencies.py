"""The latencies of finalized assets, from their mark and from when they were due."""

from datetime import timedelta

import pytest

from assetuploader.asset_reconciler import ReconcileResult
from assetuploader.outcome import Outcome
from reconciler.latencies import LatencyRecorder
from reconciler.listeners import ReconciledAsset
from tests.support.in_memory_s3 import START

MINUTE = timedelta(minutes=1)


def record(result: ReconcileResult) -> LatencyRecorder:
    """Record this result of a reconciliation that ended three minutes after START."""
    recorder = LatencyRecorder()
    recorder.on_result(ReconciledAsset("a", result, START, START + 3 * MINUTE, is_full_scan=True))
    return recorder


@pytest.mark.parametrize("is_pinned", [True, False])
def test_a_finalized_asset_is_recorded_by_its_pin(*, is_pinned: bool) -> None:
    """Pinned and unpinned assets have separate histograms, for both origins."""
    recorder = record(ReconcileResult(Outcome.FINALIZED, START, START + MINUTE, is_pinned=is_pinned))
    latencies, other = (recorder.pinned, recorder.unpinned) if is_pinned else (recorder.unpinned, recorder.pinned)
    assert (latencies.mark.sum_seconds, latencies.due.sum_seconds) == (180, 120)
    assert sum(other.mark.counts) == 0


def test_an_asset_that_was_marked_late_has_no_lag_since_it_was_due() -> None:
    """It waited for its turn to be read, which is no lateness. Its time since the mark is recorded."""
    recorder = LatencyRecorder()
    result = ReconcileResult(Outcome.FINALIZED, START, START + MINUTE)
    recorder.on_result(ReconciledAsset("a", result, START, START + 3 * MINUTE, is_full_scan=True, is_marked_late=True))
    latencies = recorder.unpinned
    assert (latencies.mark.sum_seconds, sum(latencies.mark.counts), sum(latencies.due.counts)) == (180, 1, 0)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FINALIZED])
def test_no_other_outcome_is_recorded(outcome: Outcome) -> None:
    """Only an asset that became final has a latency."""
    recorder = record(ReconcileResult(outcome, START, START))
    assert sum(recorder.unpinned.mark.counts) == 0
