"""A track that its rider deleted does not come back, whatever is still on its way."""

import asyncio
from typing import Any

import pytest

from domain.kit.errors import NotFound
from domain.tracks.deleting import delete
from tests.workers.recording import NOW, Recording, Ride, write


async def delete_track(recording: Recording, ride: Ride) -> None:
    async with recording.sql.transaction():
        await delete(recording.sql, ride.user_id, ride.track_id, NOW)


async def everything_is_gone(recording: Recording, ride: Ride) -> bool:
    track: dict[str, Any] = dict(await recording.track(ride))
    kept = {"id", "user_id", "month", "first_heard_at", "last_heard_at", "finished_at", "deleted_at"}
    left = {name: value for name, value in track.items() if value is not None and name not in kept}
    return left == {"stored": 0, "recompute": False} and not await recording.points(ride)


async def test_fixes_on_their_way_are_dropped_and_counted(recording: Recording) -> None:
    ride, other = await recording.ride(), await recording.ride()
    await recording.append(ride.start(), ride.fixes(range(10)), ride.rejected(10))
    await recording.drain()
    await delete_track(recording, ride)

    await recording.append(ride.fixes(range(5, 20)), other.fixes(range(3)), ride.stop(19, [(30, 40)]))
    await recording.drain()

    assert await everything_is_gone(recording, ride)
    assert await recording.gaps(ride) == []
    assert await recording.dead_letters() == []
    assert await recording.seqs(other) == [0, 1, 2]
    counted = recording.registry.get_sample_value("throttlecove_fixes_dropped_total", {"reason": "track_deleted"})
    assert counted == 15
    assert await recording.finish() == 0


async def test_a_track_is_deleted_once_and_by_its_rider(recording: Recording) -> None:
    ride, other = await recording.ride(), await recording.ride()
    async with recording.store() as store:
        await write(store, ride.fixes(range(10)), other.fixes(range(10)))
    with pytest.raises(NotFound):
        await delete_track(recording, Ride(other.user_id, ride.track_id))
    await delete_track(recording, ride)
    with pytest.raises(NotFound):
        await delete_track(recording, ride)

    assert await everything_is_gone(recording, ride)
    assert len(await recording.points(other)) == 10


async def test_another_rider_cannot_take_the_id(recording: Recording) -> None:
    ride = await recording.ride()
    thief = Ride(await recording.rider(), ride.track_id)
    async with recording.store() as store:
        await write(store, ride.fixes(range(10)))
        await delete_track(recording, ride)
        written = await write(store, thief.fixes(range(3)))

    assert (written.fixes, written.dropped, len(written.letters)) == (0, 0, 1)
    assert await everything_is_gone(recording, ride)


async def test_a_track_deleted_while_it_is_written_is_gone_whole(recording: Recording) -> None:
    rides = [await recording.ride() for _ in range(4)]
    async with recording.store() as store:
        await write(store, *(ride.fixes(range(1)) for ride in rides))
        for begin in range(1, 200, 20):
            writing = asyncio.create_task(write(store, *(ride.fixes(range(begin, begin + 20)) for ride in rides)))
            if begin == 101:
                await delete_track(recording, rides[2])
            await writing

    assert [len(await recording.points(ride)) for ride in rides] == [201, 201, 0, 201]
    assert await everything_is_gone(recording, rides[2])


async def test_a_track_deleted_while_it_is_computed_stays_empty(recording: Recording) -> None:
    ride = await recording.ride()
    async with recording.store() as store:
        await write(store, ride.start(), ride.fixes(range(500)), ride.stop(499))
    finishing = asyncio.create_task(recording.finish())
    await delete_track(recording, ride)
    await finishing

    assert await everything_is_gone(recording, ride)
