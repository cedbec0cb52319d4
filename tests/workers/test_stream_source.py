"""The stream side: nothing unacknowledged is ever trimmed, nothing handed out is lost, each dead letter is one."""

import random
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from domain.kit.clock import ManualClock
from domain.tracks.entries import CLAIM_PREFIX, DEAD_LETTERS, TRACK_STREAM, WRITERS_GROUP
from domain.tracks.lag import StreamLag, stream_lag
from tests.workers.recording import Recording
from workers.tracks.claims import ClaimExpiry
from workers.tracks.items import DeadLetter, Reason
from workers.tracks.lua import script
from workers.tracks.source import StreamSource


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, protocol=2) as client:
        yield client


def source(
    redis: Redis, name: str, *, claim_idle_seconds: float = 60, clock: ManualClock | None = None
) -> StreamSource:
    return StreamSource(
        redis,
        clock or ManualClock(),
        consumer=name,
        entries=10,
        claim_idle_seconds=claim_idle_seconds,
        block_seconds=0.01,
    )


async def add(redis: Redis, count: int) -> list[bytes]:
    return [await redis.xadd(TRACK_STREAM, {"records": b"%d" % number}) for number in range(count)]


def letter(entry_id: bytes) -> DeadLetter:
    return DeadLetter(entry_id, Reason.UNDECODABLE, "", b"")


@pytest.mark.parametrize("seed", range(8))
async def test_trimming_never_removes_what_somebody_has_not_acknowledged(redis: Redis, seed: int) -> None:
    chance = random.Random(seed)
    clock = ManualClock()
    consumers = [source(redis, f"worker-{number}", claim_idle_seconds=0, clock=clock) for number in range(3)]
    held: list[list[bytes]] = [[] for _ in consumers]
    unacknowledged: set[bytes] = set()
    for _ in range(150):
        number = chance.randrange(len(consumers))
        match chance.choice(["add", "read", "settle", "settle", "trim", "forget"]):
            case "add":
                unacknowledged.update(await add(redis, chance.randrange(1, 12)))
            case "read":
                await clock.turn(1)
                held[number] += [entry.id for entry in await consumers[number].read(wait=False)]
            case "settle":
                chance.shuffle(held[number])
                done = [held[number].pop() for _ in range(chance.randrange(len(held[number]) + 1))]
                letters = [letter(entry_id) for entry_id in done if chance.random() < 0.2]
                await consumers[number].settle(done, letters)
                unacknowledged.difference_update(done)
            case "trim":
                await redis.register_script(script("trim"))(keys=[TRACK_STREAM])
            case "forget":
                await consumers[number].leave()
        kept = {entry_id for entry_id, _ in await redis.xrange(TRACK_STREAM)}
        assert unacknowledged <= kept
    while entries := await consumers[0].read(wait=False):
        await clock.turn(1)
        await consumers[0].settle([entry.id for entry in entries], [])
        unacknowledged.difference_update(entry.id for entry in entries)
    for number, consumer in enumerate(consumers):
        await consumer.settle(held[number], [])
        unacknowledged.difference_update(held[number])
    assert unacknowledged == set()
    assert await redis.xlen(TRACK_STREAM) == 0


async def test_another_group_keeps_its_entries_too(redis: Redis) -> None:
    worker = source(redis, "worker")
    ids = await add(redis, 5)
    await redis.xgroup_create(TRACK_STREAM, "analysts", id="0")
    await worker.settle([entry.id for entry in await worker.read(wait=False)], [])
    assert [entry_id for entry_id, _ in await redis.xrange(TRACK_STREAM)] == ids
    await redis.xreadgroup("analysts", "somebody", {TRACK_STREAM: ">"}, count=3)
    await redis.xack(TRACK_STREAM, "analysts", *ids[:2])
    await worker.settle(ids[:1], [])
    assert [entry_id for entry_id, _ in await redis.xrange(TRACK_STREAM)] == ids[2:]


async def test_a_stream_without_a_group_is_not_trimmed(redis: Redis) -> None:
    await add(redis, 3)
    await redis.register_script(script("trim"))(keys=[TRACK_STREAM])
    assert await redis.xlen(TRACK_STREAM) == 3


async def test_entries_of_a_dead_worker_are_taken_over(redis: Redis) -> None:
    clock = ManualClock()
    dead, alive = source(redis, "dead"), source(redis, "alive", claim_idle_seconds=0, clock=clock)
    ids = await add(redis, 25)
    for _ in range(3):
        await dead.read(wait=False)
    taken: list[bytes] = []
    while entries := await alive.read(wait=False):
        taken += [entry.id for entry in entries]
    assert taken == ids
    await alive.settle(taken, [])
    await clock.turn(1)
    assert await alive.read(wait=False) == []


async def test_entries_of_a_living_worker_are_left_alone(redis: Redis) -> None:
    busy, other = source(redis, "busy"), source(redis, "other", claim_idle_seconds=60)
    await add(redis, 3)
    assert len(await busy.read(wait=False)) == 3
    assert await other.read(wait=False) == []


async def test_after_a_fault_what_was_handed_out_and_never_arrived_comes_again(redis: Redis) -> None:
    worker = source(redis, "worker")
    ids = await add(redis, 15)
    in_hand = [entry.id for entry in await worker.read(wait=False)]
    await redis.xreadgroup(WRITERS_GROUP, "worker", {TRACK_STREAM: ">"}, count=3)  # the answer got lost
    worker.recover()
    assert [entry.id for entry in await worker.read(wait=False)] == ids[10:13]
    assert [entry.id for entry in await worker.read(wait=False)] == ids[13:]
    assert in_hand == ids[:10]


async def test_a_stream_that_was_lost_is_made_again(redis: Redis) -> None:
    worker = source(redis, "worker")
    await add(redis, 2)
    lost = [entry.id for entry in await worker.read(wait=False)]
    await redis.flushdb()
    await worker.settle(lost, [letter(lost[0])])
    assert await worker.read(wait=False) == []
    ids = await add(redis, 1)
    assert [entry.id for entry in await worker.read(wait=False)] == ids


async def test_an_entry_deleted_by_hand_does_not_stand_in_the_way(redis: Redis) -> None:
    worker = source(redis, "worker")
    first, second = await add(redis, 2)
    await redis.xreadgroup(WRITERS_GROUP, "worker", {TRACK_STREAM: ">"}) if await worker.read(wait=False) else None
    await redis.xdel(TRACK_STREAM, first)
    again = source(redis, "worker")
    again.recover()
    assert [entry.id for entry in await again.read(wait=False)] == [second]
    assert (await redis.xpending(TRACK_STREAM, WRITERS_GROUP))["pending"] == 1


async def test_two_workers_with_the_same_entry_write_its_dead_letter_once(redis: Redis) -> None:
    paused, other = source(redis, "paused"), source(redis, "other", claim_idle_seconds=0)
    ids = await add(redis, 2)
    assert len(await paused.read(wait=False)) == len(await other.read(wait=False)) == 2
    await other.settle(ids, [letter(ids[0]), letter(ids[0])])
    await paused.settle(ids, [letter(ids[0]), letter(ids[0])])
    assert await redis.xlen(DEAD_LETTERS) == 2
    assert await redis.xlen(TRACK_STREAM) == 0


async def test_a_consumer_with_entries_is_never_removed(redis: Redis) -> None:
    worker = source(redis, "worker")
    ids = await add(redis, 1)
    await worker.read(wait=False)
    await worker.leave()
    assert (await redis.xpending(TRACK_STREAM, WRITERS_GROUP))["pending"] == 1
    await worker.settle(ids, [])
    await worker.leave()
    assert await redis.xinfo_consumers(TRACK_STREAM, WRITERS_GROUP) == []


async def test_the_lag_counts_what_waits_and_what_is_in_hand(redis: Redis) -> None:
    assert await stream_lag(redis) == StreamLag(0, 0, 0.0)
    ids = await add(redis, 15)
    assert (await stream_lag(redis)).entries == 15
    worker = source(redis, "worker")
    await worker.read(wait=False)
    lag = await stream_lag(redis)
    assert (lag.entries, lag.in_hand) == (15, 10)
    await worker.settle(ids[:4], [])
    assert (await stream_lag(redis)).entries == 11
    await worker.read(wait=False)
    await worker.settle(ids[4:], [])
    assert await stream_lag(redis) == StreamLag(0, 0, 0.0)


async def test_the_lag_knows_the_age_of_the_oldest_entry(redis: Redis) -> None:
    seconds, _ = await redis.time()
    await redis.xadd(TRACK_STREAM, {"records": b""}, id=f"{(seconds - 100) * 1000}-0")
    assert 99 <= (await stream_lag(redis)).oldest_seconds <= 110
    worker = source(redis, "worker")
    await worker.read(wait=False)
    assert 99 <= (await stream_lag(redis)).oldest_seconds <= 110


async def test_a_claim_gets_its_end_when_its_track_is_stored(redis: Redis, recording: Recording) -> None:
    clock = ManualClock()
    ride = await recording.ride()
    key = f"{CLAIM_PREFIX}{ride.track_id}"
    await redis.set(key, b"claim")
    claims = ClaimExpiry(redis, clock, life_seconds=600)
    await claims.extend([ride.track_id])
    assert 0 < await redis.ttl(key) <= 600
    await redis.persist(key)
    await claims.extend([ride.track_id])
    assert await redis.ttl(key) == -1  # not asked again within the hour
    await clock.turn(3600)
    await claims.extend([ride.track_id])
    assert 0 < await redis.ttl(key) <= 600
