"""Partitions by month: ahead, on demand, and one however many ask."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from domain.kit.clock import ManualClock
from domain.tracks.entries import month_of
from domain.tracks.partitions import ensure_partition, is_month, months_from, partition_name
from tests.workers.recording import Recording, write
from workers.tracks.partition_keeper import PartitionKeeper


async def partitions(recording: Recording) -> list[str]:
    rows = await recording.sql.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'track_points'::regclass ORDER BY 1"
    )
    return [row["name"] for row in rows]


def test_months_follow_one_another_over_the_end_of_a_year() -> None:
    assert months_from(datetime(2026, 11, 30, tzinfo=UTC), 4) == [202611, 202612, 202701, 202702]
    assert months_from(datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 1) == [202612]


def test_a_month_ends_with_its_last_millisecond() -> None:
    turn = round(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert (month_of(turn - 1), month_of(turn)) == (202612, 202701)


@pytest.mark.parametrize("number", [0, 202600, 202613, 196912, 1_000_001, -202611])
def test_other_numbers_are_no_months(number: int) -> None:
    assert not is_month(number)
    with pytest.raises(ValueError, match="year"):
        partition_name(number)


async def test_the_coming_months_are_made_ahead(recording: Recording) -> None:
    clock = ManualClock(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    async with recording.database("") as database:
        keeper = PartitionKeeper(database, clock, months=3, check_seconds=3600)
        await keeper.ensure()
        assert await partitions(recording) == [f"track_points_{month}" for month in (202612, 202701, 202702)]
        await clock.turn(1)
        await keeper.ensure()
    assert (await partitions(recording))[-1] == "track_points_202703"


async def test_many_who_ask_at_once_make_one(recording: Recording) -> None:
    connections = [await asyncpg.connect(recording.database_url) for _ in range(6)]
    made = await asyncio.gather(*(ensure_partition(connection, 203001) for connection in connections))
    assert sorted(made) == [False] * 5 + [True]
    for connection in connections:
        await connection.close()
    assert await partitions(recording) == ["track_points_203001"]


async def test_a_partition_is_like_its_parent_and_has_no_check_of_its_own(recording: Recording) -> None:
    await ensure_partition(recording.sql, 203001)
    kinds = await recording.sql.fetch(
        "SELECT contype::text FROM pg_constraint WHERE conrelid = 'track_points_203001'::regclass"
    )
    assert [row["contype"] for row in kinds] == ["p"]


async def test_a_partition_left_standing_alone_is_attached(recording: Recording) -> None:
    await recording.sql.execute("CREATE TABLE track_points_203001 (LIKE track_points INCLUDING ALL)")
    assert await ensure_partition(recording.sql, 203001)
    assert await partitions(recording) == ["track_points_203001"]


async def test_making_one_does_not_wait_for_writers_nor_readers(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes([0]))
    await recording.drain()
    other = await asyncpg.connect(recording.database_url)
    async with other.transaction():
        await other.execute("UPDATE track_points SET flags = 1")
        await recording.sql.execute("SET lock_timeout = '2s'")
        assert await ensure_partition(recording.sql, 203001)
    await other.close()


async def test_a_batch_with_a_month_nobody_foresaw_makes_its_partition(recording: Recording) -> None:
    rides = [await recording.ride(month=month) for month in (201901, 202611, 203511)]
    await recording.append(*(ride.fixes(range(3)) for ride in rides))
    await recording.drain()
    for ride in rides:
        assert {point["track_month"] for point in await recording.points(ride)} == {ride.month}


async def test_a_partition_taken_away_comes_back(recording: Recording) -> None:
    ride = await recording.ride()
    async with recording.writing():
        await recording.append(ride.fixes([0]))
        await recording.until_drained()
        await recording.sql.execute("DROP TABLE track_points_202611")
        await recording.append(ride.fixes([1]))
        await recording.until_drained()
        await recording.sql.execute("DROP TABLE track_points_202611")
        await recording.append(ride.fixes([0, 2]))
        await recording.until_drained()
    assert await recording.seqs(ride) == [0, 2]
    assert await recording.dead_letters() == []


async def test_workers_that_race_for_a_new_month_lose_nothing(recording: Recording) -> None:
    rides = [await recording.ride(month=203007) for _ in range(8)]
    async with recording.store() as one, recording.store() as other, recording.store() as third:
        await asyncio.gather(
            *(
                write(store, *(ride.fixes(range(5)) for ride in rides[begin : begin + 4]))
                for begin, store in ((0, one), (2, other), (4, third))
            )
        )
    for ride in rides:
        assert await recording.seqs(ride) == list(range(5))
