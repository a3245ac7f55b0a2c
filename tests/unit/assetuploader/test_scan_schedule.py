"""Which scans read an upload, by its age."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest

from assetuploader.scan_schedule import ScanWindow, is_marked_late, look_interval_seconds
from assetuploader.state_machine import LifecyclePolicy
from tests.support.in_memory_s3 import START

POLICY = LifecyclePolicy(upload_url_ttl_seconds=900, grace_seconds=60)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
IDS = [str(UUID(int=Random(number).getrandbits(128), version=4)) for number in range(50)]  # noqa: S311 -- reproducible


def find_looks(asset_id: str, scans: Sequence[datetime], uploaded_at: datetime = START) -> list[datetime]:
    """Return the scans that read an upload, of scans that each know the one before."""
    return [
        at
        for before, at in zip([None, *scans], scans, strict=False)
        if ScanWindow(POLICY, before, at).includes_look(asset_id, uploaded_at)
    ]


def scan_every(seconds: int, duration: timedelta = DAY) -> list[datetime]:
    """Return the times of scans in regular intervals."""
    return [START + timedelta(seconds=second) for second in range(0, int(duration.total_seconds()), seconds)]


@pytest.mark.parametrize("seconds", [0, 1, 959, 960, 1079])
def test_a_young_upload_is_read_in_every_scan(seconds: int) -> None:
    """Until two minutes after the usual due time, whatever the id and however short the time between two scans."""
    at = START + timedelta(seconds=seconds)
    window = ScanWindow(POLICY, at - SECOND, at.replace(second=0))
    assert all(window.includes_look(name, START) for name in IDS)


@pytest.mark.parametrize("gap", [60, 121, 125, 300, 600, 3600])
@pytest.mark.parametrize("offset", [0, 1, 30, 59])
def test_the_first_scan_after_the_usual_due_time_reads_the_upload(gap: int, offset: int) -> None:
    """However long the scans are apart, the first one after an asset became due finds it."""
    due_at = START + timedelta(seconds=960)
    at = due_at.replace(second=0) + timedelta(seconds=gap)
    uploaded_at = START - timedelta(seconds=offset)
    window = ScanWindow(POLICY, at - timedelta(seconds=gap) - timedelta(minutes=1), at)
    assert all(window.includes_look(name, uploaded_at) for name in IDS)


def test_an_old_upload_is_read_at_an_eighth_of_its_age_and_every_ten_minutes_at_most() -> None:
    """Between two looks lies the interval of the schedule, to the minutes of the scans."""
    for name in IDS:
        looks = find_looks(name, scan_every(60))
        for before, at in pairwise(looks):
            interval = look_interval_seconds((at - START).total_seconds(), POLICY) or 60
            assert (at - before).total_seconds() <= min(interval + 120, 600)
        steady = [at for at in looks if at - START > timedelta(seconds=5400)]
        assert {at - before for before, at in pairwise(steady)} == {timedelta(minutes=10)}


def test_a_day_costs_at_most_166_looks() -> None:
    """In a scan a minute; a run that watches adds some polls in the first seconds."""
    counts = {len(find_looks(name, scan_every(60))) for name in IDS}
    assert counts == {165, 166}


def test_looks_are_spread_over_the_scans() -> None:
    """Uploads of one moment are not all read in the same scan, in any shard."""
    shard = [f"00000000{name[8:]}" for name in IDS]
    for names in (IDS, shard):
        at = START + timedelta(hours=5)
        windows = [
            ScanWindow(POLICY, at + n * timedelta(minutes=1), at + (n + 1) * timedelta(minutes=1)) for n in range(10)
        ]
        counts = [sum(window.includes_look(name, START) for name in names) for window in windows]
        assert sum(counts) == len(names)
        assert max(counts) < len(names) / 2


@pytest.mark.parametrize("seed", range(5))
def test_scans_that_are_missing_or_late_lose_no_look(seed: int) -> None:
    """A scan takes all looks since the one before: an upload is read by the first scan after each look."""
    random = Random(seed)  # noqa: S311 -- reproducible
    scans = [at + random.randrange(20) * SECOND for at in scan_every(60) if random.random() < 0.7]
    longest = max(at - before for before, at in pairwise(scans))
    for name in IDS:
        looks = find_looks(name, scans)
        assert max(at - before for before, at in pairwise(looks)) <= timedelta(minutes=10) + longest


def test_a_pod_that_starts_earlier_than_the_one_before_takes_its_looks() -> None:
    """A look that is missed by a second would wait for another minute, so times are rounded to the minute."""
    for seed, name in enumerate(IDS):
        random = Random(seed)  # noqa: S311 -- reproducible
        looks = find_looks(name, [at + random.randint(-20, 20) * SECOND for at in scan_every(60)[1:]])
        assert max(at - before for before, at in pairwise(looks)) <= timedelta(minutes=10, seconds=40)


@pytest.mark.parametrize("previous_at", [None, START + DAY])
def test_without_a_time_of_the_scan_before_everything_is_read(previous_at: datetime | None) -> None:
    """There is no report, or the clock went back."""
    window = ScanWindow(POLICY, previous_at, START + DAY - SECOND)
    assert all(window.includes_look(name, START) for name in IDS)


def test_a_second_scan_of_the_same_moment_reads_nothing_old() -> None:
    """All looks until then are taken already."""
    window = ScanWindow(POLICY, START + DAY, START + DAY)
    assert not any(window.includes_look(name, START) for name in IDS)


def test_the_interval_grows_with_the_age() -> None:
    """None while every scan reads the upload, then an eighth of its age, at most ten minutes."""
    ages = (0, 1079, 1080, 2400, 4800, 80_000)
    assert [look_interval_seconds(age, POLICY) for age in ages] == [None, None, 135, 300, 600, 600]


@pytest.mark.parametrize(("seconds", "is_late"), [(0, False), (1079, False), (1080, True)])
def test_a_mark_is_late_when_scans_have_become_rare(seconds: int, *, is_late: bool) -> None:
    """From the age on at which not every scan reads an upload."""
    assert is_marked_late(START, START + timedelta(seconds=seconds), POLICY) is is_late
