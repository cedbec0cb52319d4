"""Streams on a real database: numbers without holes, nothing told that is not kept, history that ends."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import text

from domain.db.engine import create_engine
from domain.kit.errors import Conflict, Unavailable
from domain.kit.sealed import Sealer
from domain.sharing.rules import Audience
from domain.streams.rules import Head, Slice
from domain.streams.service import MOST_BYTES, Streams
from tests.support.accounts import World, world
from workers.database import Database, DatabaseOptions
from workers.streams.pruner import StreamPruner

RIDE, CHAT = "ride:1", "chat:1"


class Said(msgspec.Struct):
    words: str


@pytest.fixture
async def town(database_url: str) -> AsyncIterator[World]:
    async with world(database_url) as services:
        yield services


async def say(streams: Streams, *words: str, stream: str = CHAT) -> list[int]:
    async with streams.writing() as writer:
        return await writer.append_all([(stream, "chat:said", Said(each)) for each in words])


def words_of(part: Slice) -> list[str]:
    return [msgspec.json.decode(event.payload)["words"] for event in part.events]


async def test_many_writers_leave_no_hole_and_those_that_fail_take_no_number(town: World) -> None:
    streams = town.streams

    async def both(number: int) -> None:
        async with streams.writing() as writer:
            asked = [(RIDE, "ride:event", Said(f"r{number}")), (CHAT, "chat:said", Said(f"c{number}"))]
            await writer.append_all(asked if number % 2 else asked[::-1])
            if number % 5 == 0:
                raise Conflict("changed its mind")

    ended = await asyncio.gather(*(both(number) for number in range(40)), return_exceptions=True)

    assert [error for error in ended if not isinstance(error, Conflict | None)] == []
    epoch = await streams.epoch()
    assert await streams.heads([RIDE, CHAT, "chat:2"]) == {
        RIDE: Head(epoch, 32),
        CHAT: Head(epoch, 32),
        "chat:2": Head(epoch, 0),
    }
    part = await streams.read(CHAT, 0, 100)
    assert [event.seq for event in part.events] == list(range(1, 33))
    assert sorted(words_of(part)) == sorted(f"c{number}" for number in range(40) if number % 5)
    # What is told is what is read, byte by byte, and each event was told once.
    told = sorted(event for each in town.told.appended if each.stream == CHAT for event in each.events)
    assert told == list(part.events)


async def test_an_event_carries_where_it_stands_and_is_sealed_at_rest(town: World) -> None:
    assert await say(town.streams, "hello", "again") == [1, 2]

    (first, _) = (await town.streams.read(CHAT, 0, 10)).events
    async with town.engine.connect() as connection:
        (body,) = (await connection.execute(text("SELECT body FROM stream_events WHERE seq = 1"))).one()

    sent_at = town.clock.epoch_ms()
    assert msgspec.json.decode(first.payload) == {"stream": CHAT, "seq": 1, "sent_at": sent_at, "words": "hello"}
    assert b"hello" not in body


async def test_streams_that_would_be_locked_out_of_order_are_refused(town: World) -> None:
    with pytest.raises(ValueError, match="in one call"):
        async with town.streams.writing() as writer:
            await writer.append(RIDE, "ride:event", Said("first"))
            await writer.append(CHAT, "chat:said", Said("second"))

    assert (await town.streams.heads([RIDE]))[RIDE].seq == 0
    assert town.told.appended == []


async def test_a_slice_has_an_end_in_events_and_in_bytes(town: World) -> None:
    await say(town.streams, "a", "x" * MOST_BYTES, "b", "c")
    await say(town.streams, "elsewhere", stream=RIDE)

    assert words_of(await town.streams.read(CHAT, 2, 1)) == ["b"]
    assert [event.seq for event in (await town.streams.read(CHAT, 0, 10)).events] == [1, 2]
    parts = await town.streams.read_all({CHAT: 3, RIDE: 1, "chat:none": 7}, 10)
    assert {name: (part.head.seq, words_of(part)) for name, part in parts.items()} == {
        CHAT: (4, ["c"]),
        RIDE: (1, []),
        "chat:none": (0, []),
    }


async def test_what_cannot_be_opened_ends_history_there(town: World) -> None:
    other = Streams(town.engine, town.clock, Sealer({"lost": "a key that was lost"}, "lost"), town.told)
    await say(town.streams, "a")
    await say(other, "b")
    await say(town.streams, "c")

    part = await town.streams.read(CHAT, 0, 10)

    assert (part.pruned_to, words_of(part)) == (2, ["c"])


async def test_only_streams_that_stand_elsewhere_come_back(town: World) -> None:
    await say(town.streams, "a", "b")
    before = await town.streams.epoch()
    known = {CHAT: 2, RIDE: 0}
    assert await town.streams.differing(before, known) == {}
    assert await town.streams.differing(before, {CHAT: 1, RIDE: 0}) == {CHAT: Head(before, 2)}

    after, renewed = await town.streams.renew_epochs()

    assert (after != before, renewed) == (True, 1)
    assert await town.streams.differing(before, known) == {CHAT: Head(after, 2), RIDE: Head(after, 0)}
    await say(town.streams, "first", stream=RIDE)
    assert (await town.streams.heads([RIDE]))[RIDE] == Head(after, 1)


async def test_history_ends_at_an_age_and_says_so(town: World, database_url: str) -> None:
    await say(town.streams, "a", "b")
    await town.clock.turn(86_400 * 2)
    await say(town.streams, "c")
    database = Database(DatabaseOptions(database_url), name="test-pruner")
    pruner = StreamPruner(database, town.clock, days=1, check_seconds=60)
    try:
        assert await pruner.prune() == 2
        assert await pruner.prune() == 0
    finally:
        await database.aclose()

    part = await town.streams.read(CHAT, 0, 10)
    assert (part.head.seq, part.pruned_to, words_of(part)) == (3, 2, ["c"])
    assert await say(town.streams, "d") == [4]


async def test_a_choice_and_its_event_are_one(town: World) -> None:
    rider = (await town.rider()).user.id
    await town.sharing.set(rider, Audience.PUBLIC, None)

    (appended,) = town.told.appended
    event = msgspec.json.decode(appended.events[0].payload)
    assert (appended.stream, event["seq"], event["audience"], event["version"]) == (f"user:{rider}", 1, "public", 1)
    async with town.engine.begin() as connection:
        await connection.execute(text("DROP TABLE stream_events"))
    with pytest.raises(Exception, match="stream_events"):
        await town.sharing.set(rider, Audience.NOBODY, None)
    assert (await town.sharing.get(rider)).audience is Audience.PUBLIC
    assert len(town.told.appended) == 1


async def test_a_database_that_was_not_migrated_yet_is_one_that_is_away(town: World) -> None:
    async with town.engine.begin() as connection:
        await connection.execute(text("DROP TABLE stream_events, streams, stream_epoch"))

    with pytest.raises(Unavailable, match="migrate"):
        await town.streams.heads([CHAT])
    with pytest.raises(Unavailable, match="migrate"):
        await town.streams.differing("x", {CHAT: 1})
    with pytest.raises(Unavailable, match="migrate"):
        await town.streams.read(CHAT, 0, 1)


async def test_without_postgres_nothing_is_told(town: World) -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/none")
    streams = Streams(nowhere, town.clock, town.sealer, town.told)
    with pytest.raises(Unavailable):
        await say(streams, "lost")
    assert town.told.appended == []
