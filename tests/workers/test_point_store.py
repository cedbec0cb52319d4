"""A batch in Postgres: each fix once, the first write wins, and the track's row tells the truth."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.tracks.entries import Started
from tests.workers.recording import MONTH, NOW_MS, Recording, Ride, row, write
from workers.tracks.items import Reason


async def test_stores_what_the_phone_sent(recording: Recording) -> None:
    ride = await recording.ride()
    values = {"altitude": 1234.5, "accuracy": 3.25, "speed": None, "heading": 359.5, "lean": -41.0, "battery": None}
    rows = [row(7, timestamp=NOW_MS + 123, latitude=-89.123456789012, longitude=179.98765432101, flags=4, **values)]
    async with recording.store() as store:
        assert (await write(store, ride.rows(rows))).fixes == 1
    (point,) = await recording.points(ride)
    assert (point["track_month"], point["seq"], point["ms"], point["flags"]) == (MONTH, 7, NOW_MS + 123, 4)
    assert (point["latitude"], point["longitude"]) == (-89.123456789012, 179.98765432101)
    assert {name: point[name] for name in values} == values
    assert point["received_at"].timestamp() * 1000 == NOW_MS


async def test_every_pattern_of_missing_values_is_null(recording: Recording) -> None:
    ride = await recording.ride()
    names = ["altitude", "accuracy", "speed", "heading", "lean", "battery"]
    patterns = [{name: (0.5 if number >> bit & 1 else None) for bit, name in enumerate(names)} for number in range(64)]
    async with recording.store() as store:
        await write(store, ride.rows([row(seq, **pattern) for seq, pattern in enumerate(patterns)]))
    assert [{name: point[name] for name in names} for point in await recording.points(ride)] == patterns


@pytest.mark.parametrize("timestamp", [0, 1, 946_684_800_000, 951_782_400_001, 4_102_444_800_000, 253_402_300_799_999])
async def test_times_of_every_age_are_stored_to_the_millisecond(recording: Recording, timestamp: int) -> None:
    ride = await recording.ride()
    async with recording.store() as store:
        await write(store, ride.rows([row(0, timestamp=timestamp)]))
    assert [point["ms"] for point in await recording.points(ride)] == [timestamp]


async def test_a_batch_written_twice_is_stored_once(recording: Recording) -> None:
    ride = await recording.ride()
    async with recording.store() as store:
        assert (await write(store, ride.start(), ride.fixes(range(50)))).fixes == 50
        assert (await write(store, ride.start(), ride.fixes(range(50)))).fixes == 0
    track = await recording.track(ride)
    assert (track["stored"], track["max_seq"]) == (50, 49)
    assert await recording.seqs(ride) == list(range(50))


async def test_the_first_write_wins_within_a_batch_and_between_batches(recording: Recording) -> None:
    ride = await recording.ride()
    async with recording.store() as store:
        await write(store, ride.fixes([3], latitude=1.0), ride.fixes([3], latitude=2.0, timestamp=5))
        written = await write(store, ride.fixes([3, 2, 4], latitude=3.0, timestamp=7))
    assert written.fixes == 2
    assert [(p["seq"], p["latitude"], p["ms"]) for p in await recording.points(ride)] == [
        (2, 3.0, 7),
        (3, 1.0, NOW_MS + 3000),
        (4, 3.0, 7),
    ]


async def test_the_month_of_a_track_never_changes(recording: Recording) -> None:
    ride = await recording.ride()
    async with recording.store() as store:
        await write(store, ride.fixes([0, 1]))
        ride.month = 202612
        await write(store, ride.fixes([1, 2]))
    assert [(p["seq"], p["track_month"]) for p in await recording.points(ride)] == [(s, MONTH) for s in range(3)]


async def test_a_track_of_another_is_a_dead_letter(recording: Recording) -> None:
    ride = await recording.ride()
    thief = Ride(await recording.rider(), ride.track_id)
    async with recording.store() as store:
        written = await write(store, ride.fixes([0]), thief.fixes([1]), thief.stop(9), ride.fixes([2]))
        assert [letter.reason for letter in written.letters] == [Reason.OWNED_BY_ANOTHER] * 2
        again = await write(store, thief.rejected(5), thief.fixes([0], latitude=0.5))
        assert (again.fixes, len(again.letters), again.track_ids) == (0, 2, [])
    assert [(p["seq"], p["latitude"]) for p in await recording.points(ride)] == [(0, 45.0), (2, 45.0002)]
    track = await recording.track(ride)
    assert (track["user_id"], track["last_seq"], await recording.gaps(ride)) == (ride.user_id, None, [])


async def test_of_two_riders_in_one_batch_the_first_has_the_track(recording: Recording) -> None:
    first = await recording.ride()
    second = Ride(await recording.rider(), first.track_id)
    async with recording.store() as store:
        await write(store, first.start(), second.start(), second.fixes([0]), first.fixes([1]))
    assert (await recording.track(first))["user_id"] == first.user_id
    assert await recording.seqs(first) == [1]


async def test_fixes_may_come_before_their_start(recording: Recording) -> None:
    ride = await recording.ride()
    bike, together = UUID(int=5), UUID(int=6)
    async with recording.store() as store:
        await write(store, ride.fixes([0]))
        assert (await recording.track(ride))["started_at"] is None
        ride.heard_ms += 5000
        await write(store, Started(ride.track_id, ride.user_id, MONTH, ride.heard_ms, NOW_MS - 1000, bike, together))
        await write(store, ride.start(NOW_MS + 77))
    track = await recording.track(ride)
    assert track["started_at"].timestamp() * 1000 == NOW_MS - 1000
    assert (track["motorcycle_id"], track["ride_id"]) == (bike, together)
    assert track["first_heard_at"].timestamp() * 1000 == NOW_MS
    assert track["last_heard_at"].timestamp() * 1000 == NOW_MS + 5000


async def test_values_that_no_column_holds_are_dead_letters_fix_by_fix(recording: Recording) -> None:
    ride = await recording.ride()
    bad = [
        row(1, latitude=91.0),
        row(2, longitude=float("nan")),
        row(3, altitude=1e39),
        row(4, timestamp=-1),
        row(5, timestamp=2**62),
        row(6, flags=40_000),
        row(2**31),
        row(-1),
    ]
    async with recording.store() as store:
        written = await write(store, ride.rows([row(0), *bad, row(9)]))
    assert written.fixes == 2
    assert [letter.detail for letter in written.letters] == [
        "latitude", "longitude", "altitude", "timestamp", "timestamp", "flags", "seq", "seq",
    ]  # fmt: skip
    assert await recording.seqs(ride) == [0, 9]
    assert await recording.gaps(ride) == [(seq, seq, "dead_letter") for seq in range(1, 7)]


async def test_a_row_that_does_not_know_its_points_is_found_out(recording: Recording) -> None:
    ride = await recording.ride()
    async with recording.store() as store:
        await write(store, ride.fixes(range(10)))
        await recording.sql.execute("UPDATE tracks SET max_seq = NULL, stored = 0")
        assert (await write(store, ride.fixes(range(5, 15)))).fixes == 5
    assert await recording.seqs(ride) == list(range(15))


async def test_two_writers_of_one_track_do_not_store_anything_twice(recording: Recording) -> None:
    rides = [await recording.ride() for _ in range(5)]
    async with recording.store() as one, recording.store() as other:
        for begin in range(0, 100, 10):
            records = [ride.fixes(range(begin, begin + 15)) for ride in rides]
            await asyncio.gather(write(one, *records), write(other, *reversed(records)))
    for ride in rides:
        track = await recording.track(ride)
        assert (track["stored"], track["max_seq"], await recording.seqs(ride)) == (105, 104, list(range(105)))


batches = st.lists(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), max_size=6)), max_size=6
    ),
    max_size=6,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(batches=batches)
async def test_whatever_comes_in_whatever_order_the_first_write_of_each_fix_stays(
    recording: Recording, batches: Sequence[Sequence[tuple[int, Sequence[tuple[int, int]]]]]
) -> None:
    rides = [await recording.ride() for _ in range(3)]
    expected: dict[tuple[int, int], int] = {}
    async with recording.store() as store:
        for batch in batches:
            fresh = 0
            for number, fixes in batch:
                for seq, variant in fixes:
                    fresh += (number, seq) not in expected
                    expected.setdefault((number, seq), variant)
            written = await write(
                store,
                *(
                    rides[number].rows([row(seq, latitude=float(variant)) for seq, variant in fixes])
                    for number, fixes in batch
                ),
            )
            assert written.fixes == fresh
    for number, ride in enumerate(rides):
        points = {p["seq"]: int(p["latitude"]) for p in await recording.points(ride)}
        assert points == {seq: variant for (each, seq), variant in expected.items() if each == number}
        track = await recording.track(ride)
        if track is not None:
            assert (track["stored"], track["max_seq"]) == (len(points), max(points, default=None))
