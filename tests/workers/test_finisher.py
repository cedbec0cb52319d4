"""When a track is finished, and what its line and figures are then."""

import asyncio
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kit.clock import ManualClock
from geo.filters import final_flags
from geo.fix import Flag
from geo.statistics import summarise
from geo.track import TrackArrays
from tests.support import eventually
from tests.workers.recording import NOW, NOW_MS, Recording, Ride, row
from workers.tracks.track_points import line_of


async def is_finished(recording: Recording, ride: Ride) -> bool:
    track = await recording.track(ride)
    return track["finished_at"] is not None and not track["recompute"]


async def test_a_stopped_track_with_all_its_fixes_is_finished(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.start(), ride.fixes(range(100)), ride.stop(99))
    await recording.drain()
    assert await recording.finish() == 1
    track = await recording.track(ride)
    arrays = TrackArrays.from_rows(row(seq) for seq in range(100))
    figures = summarise(arrays, final_flags(arrays))
    assert track["distance_metres"] == pytest.approx(figures.distance_metres, rel=1e-12)
    assert track["distance_metres"] == pytest.approx(99 * 11.11, rel=2e-3)
    assert (track["fixes"], track["implausible"], track["repeated"]) == (100, 0, 0)
    assert track["duration_seconds"] == 99
    assert await recording.finish() == 0


async def test_the_line_is_a_trajectory_that_postgis_believes(recording: Recording) -> None:
    ride = await recording.ride()
    fixes = [row(seq, altitude=None if seq % 2 else 100.0 + seq) for seq in range(50)]
    await recording.append(ride.rows(fixes), ride.stop(49))
    await recording.drain()
    await recording.finish()
    line = await recording.sql.fetchrow(
        """SELECT ST_IsValidTrajectory(line) AS valid, ST_SRID(line) AS srid, ST_NPoints(line) AS points,
                  ST_X(ST_StartPoint(line)) AS x, ST_Y(ST_StartPoint(line)) AS y, ST_Z(ST_PointN(line, 2)) AS z,
                  ST_M(ST_StartPoint(line)) AS began, ST_M(ST_EndPoint(line)) AS ended,
                  ST_LengthSpheroid(ST_Force2D(line), 'SPHEROID["WGS 84",6378137,298.257223563]') AS metres,
                  distance_metres
           FROM tracks"""
    )
    assert (line["valid"], line["srid"], line["points"]) == (True, 4326, 50)
    assert (line["x"], line["y"], line["z"]) == (9.0, 45.0, 101.0)
    assert (line["began"], line["ended"]) == (NOW_MS / 1000, NOW_MS / 1000 + 49)
    assert line["metres"] == pytest.approx(line["distance_metres"], rel=1e-6)


async def test_a_stop_may_come_before_the_last_fixes(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes(range(5)), ride.stop(9))
    await recording.drain()
    assert await recording.finish() == 0
    await recording.append(ride.fixes(range(6, 10)))
    await recording.drain()
    assert await recording.finish() == 0
    await recording.append(ride.fixes([5]))
    await recording.drain()
    assert await recording.finish() == 1
    assert (await recording.track(ride))["fixes"] == 10


async def test_a_stop_in_the_same_entry_before_everything_else(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.stop(2), ride.fixes([2, 0, 1]), ride.start())
    await recording.drain()
    assert await recording.finish() == 1


async def test_rejected_and_lost_numbers_are_not_waited_for(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes([0, 1, 4, 9]), ride.stop(9, lost=[(5, 8), (7, 2**31 - 1), (-5, -1), (3, 1)]))
    await recording.drain()
    assert await recording.finish() == 0
    await recording.append(ride.rejected(2, 3, 2**40, -1))
    await recording.drain()
    assert await recording.finish() == 1
    assert await recording.gaps(ride) == [
        (2, 2, "invalid"), (3, 3, "invalid"), (5, 8, "lost"), (7, 2**31 - 1, "lost"),
    ]  # fmt: skip


async def test_a_lost_fix_that_is_stored_all_the_same_does_not_count_twice(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes([0, 1, 2]), ride.stop(5, lost=[(1, 3)]))
    await recording.drain()
    assert await recording.finish() == 0  # 4 and 5 are missing
    await recording.append(ride.fixes([4]))
    await recording.drain()
    assert await recording.finish() == 0
    await recording.append(ride.fixes([5]))
    await recording.drain()
    assert await recording.finish() == 1


async def test_fixes_beyond_the_last_number_do_not_stand_in_for_missing_ones(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.stop(4), ride.fixes([0, 1, 2, 10, 11, 12]))
    await recording.drain()
    assert await recording.finish() == 0
    await recording.append(ride.fixes([3, 4]))
    await recording.drain()
    assert await recording.finish() == 1


@pytest.mark.parametrize("count", [0, 1])
async def test_a_track_of_hardly_anything_is_finished_without_a_line(recording: Recording, count: int) -> None:
    ride = await recording.ride()
    await recording.append(ride.start(), ride.fixes(range(count)), ride.stop(count - 1))
    await recording.drain()
    assert await recording.finish() == 1
    track = await recording.track(ride)
    assert (track["line"], track["distance_metres"], track["fixes"]) == (None, 0.0, count)


async def test_late_fixes_have_a_finished_track_computed_again(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes([0, 1, 2]), ride.stop(2))
    await recording.drain()
    await recording.finish()
    first = await recording.track(ride)
    await recording.append(ride.fixes(range(3, 10)), ride.fixes([0, 1]))
    await recording.drain()
    assert await recording.finish() == 1
    second = await recording.track(ride)
    assert (second["fixes"], second["finished_at"]) == (10, first["finished_at"])
    assert second["distance_metres"] > 3 * first["distance_metres"]
    await recording.append(ride.fixes([0, 1, 9]))  # nothing new
    await recording.drain()
    assert await recording.finish() == 0


async def test_late_fixes_are_waited_for_until_they_stop_coming(recording: Recording) -> None:
    clock = ManualClock(NOW + timedelta(seconds=1))
    ride = await recording.ride()
    await recording.append(ride.fixes([0, 1]), ride.stop(1))
    await recording.drain()
    options = {"settle_seconds": 30, "recompute_seconds": 60}
    assert await recording.finish(clock, **options) == 1
    for seq in range(2, 6):
        await clock.turn(14)
        ride.heard_ms = clock.epoch_ms()
        await recording.append(ride.fixes([seq]))
        await recording.drain()
        assert await recording.finish(clock, **options) == 0
    await clock.turn(14)
    assert await recording.finish(clock, **options) == 1  # its figures are over a minute old
    ride.heard_ms = clock.epoch_ms()
    await recording.append(ride.fixes([6]))
    await recording.drain()
    await clock.turn(30)
    assert await recording.finish(clock, **options) == 1  # no more came
    assert (await recording.track(ride))["fixes"] == 7


async def test_a_track_without_news_for_a_day_is_finished(recording: Recording) -> None:
    clock = ManualClock(NOW)
    open_ride, silent = await recording.ride(), await recording.ride()
    open_ride.heard_ms = NOW_MS + 60_000
    await recording.append(silent.fixes(range(5)), silent.stop(10), open_ride.fixes(range(5)))
    await recording.drain()
    await clock.turn(86_399)
    assert await recording.finish(clock) == 0
    await clock.turn(1)
    assert await recording.finish(clock) == 1
    assert await is_finished(recording, silent)
    assert not await is_finished(recording, open_ride)
    assert (await recording.track(silent))["fixes"] == 5
    await recording.append(silent.fixes(range(5, 11)))
    await recording.drain()
    assert await recording.finish(clock) == 1
    assert (await recording.track(silent))["fixes"] == 11


async def test_the_flags_are_those_of_the_whole_track(recording: Recording) -> None:
    ride = await recording.ride()
    fixes = [row(seq) for seq in range(60)]
    fixes[30] = row(30, latitude=46.0)  # a hundred kilometres away and back
    fixes[31] = row(31, timestamp=fixes[29][1], latitude=fixes[29][2])
    fixes[40] = row(40, flags=int(Flag.JUMP | Flag.AHEAD))
    await recording.append(ride.rows(fixes), ride.stop(59))
    await recording.drain()
    await recording.finish()
    arrays = TrackArrays.from_rows(fixes)
    expected = dict(zip(arrays.seq.tolist(), final_flags(arrays).tolist(), strict=True))
    assert {point["seq"]: point["flags"] for point in await recording.points(ride)} == expected
    assert (expected[30], expected[31], expected[40]) == (Flag.SPIKE, Flag.REPEATED, 0)
    track = await recording.track(ride)
    assert (track["implausible"], track["repeated"]) == (1, 1)


async def test_computing_again_comes_to_the_same(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes(range(50)), ride.stop(49))
    await recording.drain()
    await recording.finish()
    before = dict(await recording.track(ride))
    await recording.sql.execute("UPDATE tracks SET recompute = true")
    await recording.finish(ManualClock(NOW + timedelta(seconds=1)))
    after = dict(await recording.track(ride))
    assert before.pop("computed_at") < after.pop("computed_at")
    assert before == after


async def test_two_finishers_compute_a_track_once(recording: Recording) -> None:
    rides = [await recording.ride() for _ in range(6)]
    await recording.append(*(record for ride in rides for record in (ride.fixes(range(500)), ride.stop(499))))
    await recording.drain()
    counts = await asyncio.gather(recording.finish(), recording.finish(), recording.finish())
    assert sum(counts) == len(rides)


async def test_fixes_that_come_while_a_track_is_computed_have_it_computed_again(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes(range(10)), ride.stop(9))
    await recording.drain()
    async with recording.sql.transaction():
        await recording.sql.execute("SELECT FROM tracks FOR UPDATE")  # the finisher waits here, having read
        finishing = asyncio.create_task(recording.finish())
        await eventually(lambda: waits_for_lock(recording))
        await recording.sql.execute("UPDATE tracks SET stored = stored + 1")  # as a writer would
    assert await finishing == 1
    assert (await recording.track(ride))["recompute"]


async def waits_for_lock(recording: Recording) -> bool:
    """Whether somebody waits for what this connection holds."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    return bool(await recording.sql.fetchval(waiting))


async def test_a_track_that_cannot_be_computed_does_not_stand_in_the_way(recording: Recording) -> None:
    bad, good = await recording.ride(), await recording.ride()
    await recording.append(bad.fixes(range(5)), bad.stop(4), good.fixes(range(10)), good.stop(9))
    await recording.drain()
    await recording.sql.execute("ALTER TABLE tracks ADD CONSTRAINT poison CHECK (fixes IS DISTINCT FROM 5)")
    assert await recording.finish() == 1
    assert await is_finished(recording, good)
    assert not await is_finished(recording, bad)


tracks = st.lists(
    st.tuples(st.integers(0, 40), st.booleans(), st.one_of(st.just(float("nan")), st.floats(-100, 9000))), max_size=60
)


@given(tracks)
def test_the_measure_of_a_line_strictly_increases(fixes: list[tuple[int, bool, float]]) -> None:
    arrays = TrackArrays.from_columns(
        list(range(len(fixes))),
        [milliseconds for milliseconds, _, _ in fixes],
        [45.0] * len(fixes),
        [9.0] * len(fixes),
        [altitude for _, _, altitude in fixes],
    )
    counted = np.array([counts for _, counts, _ in fixes], dtype=np.bool_)
    line = line_of(arrays, counted)
    times = {milliseconds for milliseconds, counts, _ in sorted(fixes) if counts}
    if line is None:
        assert len({int(ms) for ms in arrays.timestamp[counted]}) < 2
        return
    points = np.frombuffer(line[13:], dtype="<f8").reshape(-1, 4)
    assert (np.diff(points[:, 3]) > 0).all()
    assert not np.isnan(points).any()
    assert len(points) <= max(len(times), len(points))
