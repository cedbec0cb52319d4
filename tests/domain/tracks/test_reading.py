"""Reading a track: its rider only, in order, without what zones hide, and giving connections back."""

import tracemalloc
from collections.abc import AsyncIterator
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from domain.db.engine import create_engine
from domain.kit.errors import NotFound
from domain.tracks.decimals import shortest
from domain.tracks.library import Track, TrackState
from domain.tracks.reading import Point, TrackReader, Zones
from domain.zones.rules import Place
from tests.support.accounts import World, world
from tests.support.tracks import BEGAN_MS, SOUTH, WEST, Seeded, seed_track


@pytest.fixture
async def riders(database_url: str) -> AsyncIterator[World]:
    async with world(database_url) as each:
        yield each


@pytest.fixture
def reader(riders: World) -> TrackReader:
    return TrackReader(riders.engine, riders.zones)


async def everything(reader: TrackReader, track: Track, zones: Zones = Zones.HIDE) -> list[Point]:
    async with reader.points(track, zones) as chunks:
        return [point async for chunk in chunks for point in chunk]


async def test_a_track_is_for_its_rider_only(riders: World, reader: TrackReader) -> None:
    ada, eve = await riders.rider("ada"), await riders.rider("eve")
    seeded = await seed_track(riders.engine, ada.user.id)

    found = await reader.find(ada.user.id, seeded.id)

    assert (found.state, found.points) == (TrackState.COMPUTED, 100)
    refusals = []
    for user_id, track_id in ((eve.user.id, seeded.id), (ada.user.id, uuid4())):
        with pytest.raises(NotFound) as refused:
            await reader.find(user_id, track_id)
        refusals.append((refused.value.message, refused.value.field))
    assert refusals[0] == refusals[1]


async def test_points_come_in_order_of_time_with_the_numbers_that_were_sent(riders: World, reader: TrackReader) -> None:
    ada = await riders.rider()
    seeded = await seed_track(riders.engine, ada.user.id, points=4_500)
    async with riders.engine.begin() as connection:  # a clock that was set back, and a fix without anything optional
        await connection.execute(
            text("UPDATE track_points SET timestamp = timestamp - interval '100.5 s' WHERE seq = 200")
        )
        await connection.execute(text("UPDATE track_points SET lean = NULL, speed = 11.1 WHERE seq = 7"))
    track = await reader.find(ada.user.id, seeded.id)

    points = await everything(reader, track)

    assert len(points) == 4_500
    assert points == sorted(points, key=lambda point: (point.timestamp, point.seq))
    assert [point.seq for point in points[98:102]] == [98, 99, 200, 100]
    assert points[7] == Point(
        7,
        BEGAN_MS + 7000,
        SOUTH + 7e-4,
        pytest.approx(WEST, abs=0.01),
        points[7].altitude,
        5.0,
        11.1,
        7.0,
        None,
        0.75,
        0,
    )


async def test_zones_hide_points_on_every_read_and_say_where(riders: World, reader: TrackReader) -> None:
    ada = await riders.rider()
    seeded = await seed_track(riders.engine, ada.user.id, points=3_000)
    await riders.zones.add(ada.user.id, Place("home", SOUTH, WEST, 300.0))
    await riders.zones.add(ada.user.id, Place("work", SOUTH + 0.2, WEST, 300.0))
    track = await reader.find(ada.user.id, seeded.id)
    mask = await reader.mask(track, Zones.HIDE)

    shown = await everything(reader, track)
    everywhere = await everything(reader, track, Zones.SHOW)

    assert len(everywhere) == 3_000
    assert not any(point.after_hidden for point in everywhere)
    hidden = mask.hides(np.array([p.latitude for p in everywhere]), np.array([p.longitude for p in everywhere]))
    assert [point.seq for point in shown] == np.flatnonzero(~hidden).tolist()
    assert 0 < len(shown) < 2_990
    assert [point.seq for point in shown if point.after_hidden] == [
        seq for seq in range(1, 3_000) if hidden[seq - 1] and not hidden[seq]
    ]


async def test_zones_that_cannot_be_read_hide_everything(riders: World, reader: TrackReader) -> None:
    ada = await riders.rider()
    seeded = await seed_track(riders.engine, ada.user.id)
    await riders.zones.add(ada.user.id, Place("far away", -30.0, 100.0, 300.0))
    async with riders.engine.begin() as connection:
        await connection.execute(text("UPDATE privacy_zones SET sealed = 'rubbish'"))
    track = await reader.find(ada.user.id, seeded.id)

    assert await everything(reader, track) == []
    assert len(await everything(reader, track, Zones.SHOW)) == 100


async def test_a_reader_who_leaves_early_gives_the_connection_back(riders: World, reader: TrackReader) -> None:
    track = await found(reader, await seed_track(riders.engine, (await riders.rider()).user.id, points=5_000))
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            async with reader.points(track, Zones.HIDE) as chunks:
                assert len(await anext(chunks)) == 2_000
                raise ZeroDivisionError
    async with reader.points(track, Zones.HIDE) as chunks:
        await anext(chunks)

    assert riders.engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert len(await everything(reader, track)) == 5_000


async def test_a_reader_who_takes_long_between_two_chunks_keeps_the_stream(riders: World, database_url: str) -> None:
    """Where a transaction that stands still is ended soon."""
    ada, hurried = await riders.rider(), create_engine(database_url, idle_in_transaction_seconds=0.1)
    seeded = await seed_track(riders.engine, ada.user.id, points=3_000)
    reader = TrackReader(hurried, riders.zones)
    track = await reader.find(ada.user.id, seeded.id)

    async with reader.points(track, Zones.HIDE) as chunks:
        count = len(await anext(chunks))
        async with riders.engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(0.5)"))
        async for chunk in chunks:
            count += len(chunk)

    assert count == 3_000
    await hurried.dispose()


async def test_memory_does_not_grow_with_the_track(riders: World, reader: TrackReader) -> None:
    track = await found(reader, await seed_track(riders.engine, (await riders.rider()).user.id, points=20_000))
    count = 0
    tracemalloc.start()
    try:
        async with reader.points(track, Zones.HIDE) as chunks:
            async for chunk in chunks:
                count += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert count == 20_000
    assert peak < 6_000_000, peak


async def found(reader: TrackReader, seeded: Seeded) -> Track:
    return await reader.find(seeded.user_id, seeded.id)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e7, max_value=1e7), max_size=20))
def test_reals_are_given_back_as_the_shortest_number_that_is_the_same(values: list[float]) -> None:
    reals = np.array(values, dtype=np.float32)

    given_back = shortest(reals)

    assert (given_back.astype(np.float32) == reals).all()
    for number, real in zip(given_back.tolist(), reals, strict=True):
        assert len(repr(number)) <= len(repr(float(real)))


@pytest.mark.parametrize("number", [11.1, 0.1, 300.5, -12.34, 0.0, 1e7, 0.000123, 4807.8])
def test_what_a_phone_sent_comes_back(number: float) -> None:
    assert shortest(np.array([number], dtype=np.float32)).tolist() == [number]
