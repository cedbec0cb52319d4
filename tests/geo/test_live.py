"""The live filter, as phones feed it."""

import pytest

from geo.filters import LiveFilter
from geo.fix import IMPLAUSIBLE, Fix, Flag
from tests.geo.rides import Ride, ride, stand, then

NOTHING = Flag(0)


def fixes(made: Ride) -> list[Fix]:
    return [
        Fix(
            seq=int(made.seq[position]),
            timestamp=int(made.timestamp[position]),
            latitude=float(made.latitude[position]),
            longitude=float(made.longitude[position]),
            speed=None if made.speed is None else float(made.speed[position]),
        )
        for position in range(len(made))
    ]


def judged(made: Ride) -> list[Flag]:
    live = LiveFilter()
    return [live.judge(fix) for fix in fixes(made)]


def implausible(flags: list[Flag]) -> list[int]:
    return [position for position, flag in enumerate(flags) if flag & IMPLAUSIBLE]


@pytest.mark.parametrize("doppler", [True, False])
def test_a_clean_ride_has_no_flags(doppler: bool) -> None:
    assert set(judged(ride(doppler=doppler).noisy(3.0))) == {NOTHING}


@pytest.mark.parametrize("away", [[5], [5, 6], [100, 300, 301, 500]])
def test_teleports_are_spikes_and_what_follows_is_believed(away: list[int]) -> None:
    assert implausible(judged(ride(600.0).moved(away, 30_000.0))) == away


def test_a_bad_first_fix_costs_one_more() -> None:
    flags = judged(ride(600.0).moved([0], 8_000_000.0))
    assert flags[0] == NOTHING  # nothing contradicts a first fix
    assert len(implausible(flags)) == 1
    assert implausible(flags)[0] <= 2


def test_a_new_place_is_believed_after_a_few_fixes() -> None:
    flags = judged(then(ride(100.0), ride(100.0, latitude=40.0), pause_seconds=30.0))
    assert implausible(flags) == [101, 102]


def test_a_ferry_is_believed_at_once() -> None:
    flags = judged(then(ride(100.0), ride(100.0, latitude=47.4), pause_seconds=7200.0))
    assert not implausible(flags)


def test_a_short_glitch_at_25_hz_is_not_believed() -> None:
    away = list(range(1000, 1010))
    made = ride(100.0, rate_hz=25.0).moved(away, 500.0)
    assert implausible(judged(made)) == away


def test_jitter_at_25_hz_has_no_flags() -> None:
    assert not implausible(judged(ride(100.0, rate_hz=25.0).noisy(2.0, 5)))


def test_a_jump_is_what_doppler_contradicts() -> None:
    flags = judged(ride(300.0, speed=4.0, rate_hz=0.5, doppler=True).moved([50], 120.0))
    assert flags[50] == Flag.JUMP
    assert implausible(flags) == [50]


def test_a_phone_that_always_reads_standstill_is_believed_after_a_few_fixes() -> None:
    made = ride(300.0, speed=30.0)
    broken = Ride(made.timestamp, made.latitude, made.longitude, made.seq, made.latitude * 0.0)
    assert implausible(judged(broken)) == [1] or len(implausible(judged(broken))) <= 3


def test_standing_fixes_are_held_and_the_first_move_lets_go() -> None:
    start = ride(100.0, doppler=True)
    end = float(start.latitude[-1]), float(start.longitude[-1])
    onward = ride(60.0, latitude=end[0], longitude=end[1], doppler=True)
    made = then(then(start, stand(start, 120.0)), onward)
    flags = judged(made)
    assert all(flag == Flag.STANDING for flag in flags[103:221])
    assert NOTHING in flags[221:224]
    assert set(flags[224:]) == {NOTHING}


def test_without_doppler_a_stay_is_standing_once_it_has_lasted() -> None:
    start = ride(100.0)
    flags = judged(then(start, stand(start, 120.0)))
    assert Flag.STANDING not in flags[:135]
    assert all(flag == Flag.STANDING for flag in flags[145:])


def test_late_fixes_change_nothing() -> None:
    live, recorded = LiveFilter(), fixes(ride(100.0))
    for fix in recorded[50:]:
        assert not live.is_late(fix)
        live.judge(fix)
    newest = live.newest
    for fix in recorded[:50]:
        assert live.is_late(fix)
        assert live.judge(fix) == NOTHING
    assert live.newest == newest


def test_the_same_time_again_is_repeated() -> None:
    live, recorded = LiveFilter(), fixes(ride(10.0))
    live.judge(recorded[3])
    assert live.is_late(recorded[3])
    assert live.judge(recorded[3]) == Flag.REPEATED


@pytest.mark.parametrize("back", [20.0, 3600.0, 400 * 86_400.0])
def test_a_clock_that_was_set_back_is_followed_after_a_few_fixes(back: float) -> None:
    live, late = LiveFilter(), []
    for fix in fixes(ride(1000.0).clock(slice(500, None), -back)):
        if live.is_late(fix):
            late.append(fix.seq)
        live.judge(fix)
    assert late == [500, 501, 502]
    assert live.newest is not None
    assert live.newest.seq == 1000


def test_backfill_between_live_fixes_does_not_look_like_a_clock_that_was_set_back() -> None:
    live, recorded = LiveFilter(), fixes(ride(400.0))
    for position in range(200, 400):
        live.judge(recorded[position])
        live.judge(recorded[position - 200])
    assert live.newest == recorded[399]


def test_fixes_ahead_of_the_servers_clock_are_flagged() -> None:
    live, recorded = LiveFilter(), fixes(ride(400.0))
    now = recorded[0].timestamp
    assert live.judge(recorded[120], now) == NOTHING
    assert live.judge(recorded[121], now) == Flag.AHEAD


def test_inaccurate_fixes_are_flagged_and_forgotten() -> None:
    live, recorded = LiveFilter(accuracy_limit_metres=50.0), fixes(ride(10.0))
    live.judge(recorded[0])
    blurred = Fix(seq=1, timestamp=recorded[1].timestamp, latitude=10.0, longitude=10.0, accuracy=51.0)
    assert live.judge(blurred) == Flag.INACCURATE
    assert live.newest == recorded[0]
    assert live.judge(recorded[2]) == NOTHING
