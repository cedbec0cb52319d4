"""What goes live, what goes in batches, and when."""

import itertools
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loadtests.replay.pacer import Pacer
from loadtests.replay.schedule import LONGEST_GAP_SECONDS, late_stretches, schedule, speedup_within
from loadtests.replay.sources.tracks import Fix


def _fixes(*seconds: float) -> list[Fix]:
    return [Fix(seq, round(second * 1000), 46.0, 11.0) for seq, second in enumerate(seconds)]


def _pacer(*seconds: float, speedup: float = 1.0, interval: float = 1.0, **late: range) -> Pacer:
    plan = schedule(_fixes(*seconds), speedup, tuple(late.values()))
    return Pacer(plan, 100.0, send_interval=interval, batch_fixes=3, batch_every=4.0)


def test_the_schedule_scales_cuts_gaps_and_never_runs_backwards() -> None:
    plan = schedule(_fixes(0, 10, 10_000, 5_000, 5_010), 2.0)
    assert plan.due == (0.0, 5.0, 5.0 + LONGEST_GAP_SECONDS / 2, 35.0, 40.0)


def test_a_track_fits_into_its_time() -> None:
    fixes = _fixes(*range(0, 40_000, 3))
    assert schedule(fixes, speedup_within(fixes, 100)).due[-1] <= 100
    assert speedup_within(_fixes(0, 1, 2), 100) == 1.0


def test_a_fix_a_second_is_all_live() -> None:
    pacer = _pacer(0, 1, 2, 3)
    assert [pacer.take_live(100.0 + second) for second in range(4)] == [0, 1, 2, 3]
    assert pacer.empty


def test_the_newest_goes_live_at_the_interval_and_the_rest_in_a_batch() -> None:
    pacer = _pacer(0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 9)
    assert pacer.take_live(100.0) == 0
    assert pacer.take_live(100.5) is None
    assert pacer.take_live(101.0) == 5
    assert pacer.take_batch(101.0) == [1, 2, 3], "a full batch does not wait"
    assert pacer.take_batch(101.0) == []
    assert pacer.take_live(101.5) is None
    assert pacer.take_batch(105.0) == [4, 6], "a smaller one waits for its time"


def test_the_interval_can_change_under_way() -> None:
    pacer = _pacer(*range(20))
    assert pacer.take_live(100.0) == 0
    pacer.send_interval = 5.0
    assert pacer.take_live(101.0) == 1
    assert pacer.take_live(102.0) is None
    assert pacer.take_live(106.0) == 6


def test_late_stretches_are_kept_back_until_given_back() -> None:
    pacer = _pacer(0, 1, 2, 3, late=range(1, 3))
    assert [pacer.take_live(100.0 + second) for second in range(4)] == [0, None, None, 3]
    assert pacer.empty
    pacer.give_back(range(1, 3), 104.0)
    assert not pacer.empty
    assert pacer.take_batch(104.0) == [1, 2]
    assert pacer.empty


def test_what_was_not_acknowledged_goes_again_and_not_too_early() -> None:
    pacer = _pacer(0, 1)
    assert pacer.take_live(100.0) == 0
    assert pacer.take_live(101.0) == 1
    pacer.give_back([0], 103.0)
    assert pacer.take_batch(102.0) == []
    assert pacer.next_at() == 103.0
    assert pacer.take_batch(103.0) == [0]


@given(
    steps=st.lists(st.floats(-5, 90), max_size=80),
    speedup=st.sampled_from([1.0, 7.0, 300.0]),
    interval=st.sampled_from([0.2, 1.0, 5.0]),
    seed=st.integers(0, 99),
)
def test_every_fix_leaves_exactly_once(steps: list[float], speedup: float, interval: float, seed: int) -> None:
    seconds = [0.0]
    for step in steps:
        seconds.append(seconds[-1] + step)
    late = late_stretches(len(seconds), Random(seed))
    pacer = Pacer(schedule(_fixes(*seconds), speedup, late), 0.0, send_interval=interval, batch_fixes=7, batch_every=4)
    sent: list[int] = []
    live_at: list[float] = []
    now = 0.0
    while not pacer.empty:
        live = pacer.take_live(now)
        if live is not None:
            sent.append(live)
            live_at.append(now)
        while batch := pacer.take_batch(now):
            assert len(batch) <= 7
            sent += batch
        moment = pacer.next_at()
        now = max(now + 0.01, moment) if moment is not None else now
    for stretch in late:
        pacer.give_back(stretch, now)
    while batch := pacer.take_batch(now):
        sent += batch
    assert sorted(sent) == list(range(len(seconds)))
    assert all(after - before >= interval - 1e-9 for before, after in itertools.pairwise(live_at))


@given(count=st.integers(0, 5_000), seed=st.integers(0, 99))
def test_late_stretches_lie_inside_and_apart(count: int, seed: int) -> None:
    stretches = late_stretches(count, Random(seed))
    seqs = [seq for stretch in stretches for seq in stretch]
    assert len(seqs) == len(set(seqs))
    assert all(0 < seq < count - 1 for seq in seqs)
    assert bool(seqs) == (count >= 40)
