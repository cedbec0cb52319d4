"""Slots move, masters die and come back as replicas: what was reported as done was done, and all hear again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from domain.kit.clock import SystemClock
from domain.kit.errors import Unavailable
from domain.kit.redis_cluster_map import ClusterMap
from domain.kit.redis_master_watch import MasterWatch
from domain.kit.redis_slots import slot_of
from domain.tracks.entries import CLAIM_PREFIX, ENTRY_FIELD, TRACK_STREAM
from realtime.bus.connections import BusOptions, RedisLink, create_maker
from realtime.bus.track_log import RedisTrackLog
from server.stack import RedisServer
from server.stack.ports import HOST
from server.stack.processes import wait_until
from tests.realtime.bus.ears import Ear, ears, options_of
from tests.realtime.bus.test_redis_bus import position, rows
from tests.support.redis_topologies import SERVICE, RedisCluster, RedisWithSentinel, ask
from tests.support.servers import running
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

CHANNELS = [f"ride:{number}" for number in range(6)]


@dataclass
class Writing:
    """Something that is written all the time, and what was reported as done."""

    done: list[int] = field(default_factory=list)
    refused: int = 0

    async def run(self, write: Callable[[int], Awaitable[object]]) -> None:
        number = 0
        while True:
            number += 1
            try:
                await write(number)
            except Unavailable:
                self.refused += 1
                await asyncio.sleep(0.01)
            else:
                self.done.append(number)


@asynccontextmanager
async def writing(write: Callable[[int], Awaitable[object]]) -> AsyncIterator[Writing]:
    """Write numbers, one after the other, until the block ends."""
    made = Writing()
    task = asyncio.create_task(made.run(write))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def goes_on(made: Writing, more: int = 20) -> None:
    """Wait until so many more were done."""
    so_far = len(made.done)
    await eventually(lambda: len(made.done) >= so_far + more, timeout=20)


def publishing(ear: Ear) -> Callable[[int], Awaitable[object]]:
    async def publish(version: int) -> None:
        await ear.bus.publish({channel: rows(position(version)) for channel in CHANNELS})

    return publish


async def done(work: Awaitable[bool]) -> bool:
    """Whether it is done and true; Redis may be slow."""
    try:
        return await work
    except Unavailable:
        return False


async def hear_all(listener: Ear) -> None:
    for channel in CHANNELS:

        async def heard(channel: str = channel) -> bool:
            await listener.bus.subscribe(channel)
            return True

        await eventually(lambda heard=heard: done(heard()))


async def kept(ear: Ear, channel: str) -> bytes:
    return await ear.bus.snapshot(channel, 0)


async def hears_everything_again(speaker: Ear, listener: Ear, version: int) -> None:
    """What is published from now on arrives on every channel."""
    await eventually(lambda: listener.bus.connected, timeout=20)
    wanted = rows(position(version))

    async def said() -> bool:
        delivered = await speaker.bus.publish(dict.fromkeys(CHANNELS, wanted))
        return all(each.outranked == b"" for each in delivered.values())

    await eventually(lambda: done(said()))
    await eventually(lambda: {channel for channel, row in listener.heard if row == wanted} == set(CHANNELS))


async def test_a_slot_moves_while_it_is_published_to(redis_cluster: RedisCluster) -> None:
    async with ears(redis_cluster.url, "one", "two") as (one, two):
        await hear_all(two)
        link = RedisLink(options_of(redis_cluster.url), name="test")
        async with (
            writing(publishing(one)) as published,
            writing(lambda number: link.call("INCR", "{ride:0}:counted")) as counted,
        ):
            await goes_on(published)
            losses = two.bus.losses
            moved = [await asyncio.to_thread(redis_cluster.move, f"{{{channel}}}") for channel in CHANNELS[:2]]
            await goes_on(published)
            await goes_on(counted)
        assert redis_cluster.owner("{ride:0}") is moved[0]
        await eventually(lambda: two.bus.losses > losses)
        await eventually(lambda: two.restored > 1)  # what was said meanwhile has to be read
        said, happened = len(counted.done), int(await link.call("GET", "{ride:0}:counted"))
        assert 0 <= happened - said <= 1 + counted.refused, "nothing twice; the last one was not waited for"
        assert await kept(two, "ride:0") >= rows(position(published.done[-1]))
        await hears_everything_again(one, two, 1 << 30)
        await link.aclose()


async def test_a_key_on_its_way_is_asked_for_where_it_goes(redis_cluster: RedisCluster) -> None:
    link = RedisLink(options_of(redis_cluster.url), name="test")
    slot, source = slot_of("on its way"), redis_cluster.owner("on its way")
    target = next(master for master in redis_cluster.masters() if master is not source)
    assert await link.call("INCR", "on its way") == 1
    redis_cluster.open(slot, source, target)
    assert await link.call("INCR", "on its way") == 2
    redis_cluster.carry(slot, source, target)
    assert await link.batch([("INCR", "on its way"), ("GET", "elsewhere"), ("GET", "on its way")]) == [3, None, b"3"]
    redis_cluster.close(slot, target)
    assert await link.call("INCR", "on its way") == 4
    await link.aclose()


async def test_a_master_that_no_node_names_for_a_moment_is_heard_again(redis_cluster: RedisCluster) -> None:
    async with ears(redis_cluster.url, "one", "two") as (one, two):
        await hear_all(two)
        subscriber = two.bus._subscriber
        known = subscriber._map
        assert isinstance(known, ClusterMap)
        unnamed = known.owner(slot_of(CHANNELS[0]))
        known._owners = [None if owner == unnamed else owner for owner in known._owners]
        known.version += 1
        subscriber._look_again()
        await eventually(lambda: two.bus.losses == 1)
        await hears_everything_again(one, two, version=2)


async def test_a_master_of_a_cluster_dies_while_it_is_published_to(redis_cluster: RedisCluster) -> None:
    url = redis_cluster.url
    log = RedisTrackLog(BusOptions(url, timeout_seconds=0.5), stream_limit_bytes=1 << 30)
    async with ears(url, "one", "two", timeout_seconds=0.5, deaf_seconds=2) as (one, two):
        await hear_all(two)
        master = redis_cluster.owner(TRACK_STREAM)
        async with writing(publishing(one)) as published, writing(lambda n: log.append([b"%d" % n])) as appended:
            await goes_on(published)
            await goes_on(appended)
            master.kill()
            await eventually(lambda: not two.bus.connected)
            await eventually(lambda: published.refused and appended.refused)
            await goes_on(published)
            await eventually(lambda: log.misses_a_replica)  # the new master has none yet
            await asyncio.to_thread(redis_cluster.heal)
            await goes_on(appended)
        stored = ask(redis_cluster.owner(TRACK_STREAM), "XRANGE", TRACK_STREAM, "-", "+")
        entries = {dict(zip(fields[::2], fields[1::2], strict=True))[ENTRY_FIELD.encode()] for _, fields in stored}
        assert {b"%d" % number for number in appended.done} <= entries, "what was acknowledged survives its master"
        await hears_everything_again(one, two, 1 << 30)
    await log.aclose()
    await eventually(lambda: not any(b" name=bus" in ask(each, "CLIENT", "LIST") for each in redis_cluster.servers))


async def test_a_nodes_first_claim_waits_for_a_replica_of_the_master_that_it_is_on(redis_cluster: RedisCluster) -> None:
    stream = redis_cluster.owner(TRACK_STREAM)
    track = next(each for each in iter(uuid4, None) if redis_cluster.owner(f"{CLAIM_PREFIX}{each}") is not stream)
    master = redis_cluster.owner(f"{CLAIM_PREFIX}{track}")
    replica = next(each for each in redis_cluster.servers if b"master_port:%d\r" % master.port in replication_of(each))
    log = RedisTrackLog(BusOptions(redis_cluster.url, timeout_seconds=0.5), stream_limit_bytes=1 << 30)
    replica.pause()
    with pytest.raises(Unavailable, match="no replica"):
        await log.claim_track(track, b"me")
    await asyncio.to_thread(redis_cluster.heal)

    async def claimed() -> bool:
        return await log.claim_track(track, b"me") == b"me"

    await eventually(lambda: done(claimed()))
    await log.aclose()


def replication_of(server: RedisServer) -> bytes:
    return bytes(ask(server, "INFO", "replication"))


async def test_sentinels_promote_the_replica_while_it_is_published_to(redis_with_sentinel: RedisWithSentinel) -> None:
    url, master = redis_with_sentinel.url, redis_with_sentinel.master
    assert master is not None
    log = RedisTrackLog(BusOptions(url, timeout_seconds=0.5), stream_limit_bytes=1 << 30)
    async with ears(url, "one", "two", timeout_seconds=0.5, deaf_seconds=2) as (one, two):
        await hear_all(two)
        async with writing(publishing(one)) as published, writing(lambda n: log.append([b"%d" % n])) as appended:
            await goes_on(published)
            await goes_on(appended)
            master.pause()
            await eventually(lambda: not two.bus.connected)
            await goes_on(published)
            assert redis_with_sentinel.master not in {None, master}
            await asyncio.to_thread(redis_with_sentinel.heal)  # the old one wakes up and has to become a replica
            await goes_on(appended)
        stored = await _appended(url)
        assert {b"%d" % number for number in appended.done} <= stored, "what was acknowledged survives its master"
        await hears_everything_again(one, two, 1 << 30)
    await log.aclose()


async def test_a_master_that_was_replaced_is_left_before_it_knows(redis_with_sentinel: RedisWithSentinel) -> None:
    """Until it is told it says that it is a master, and takes what will be lost."""
    url, master = redis_with_sentinel.url, redis_with_sentinel.master
    assert master is not None
    ask(redis_with_sentinel.sentinel, "SENTINEL", "DEBUG", "PUBLISH-PERIOD", 60_000)  # tells it four of these later
    options = options_of(url)
    watch = MasterWatch(create_maker(options, name="watch"), SystemClock())
    async with ears(url, "one", "two", followers=options.followers) as (one, two):
        watching = asyncio.create_task(watch.run())
        await hear_all(two)
        await one.bus.publish(dict.fromkeys(CHANNELS, rows(position(1))))
        ask(redis_with_sentinel.sentinel, "SENTINEL", "FAILOVER", SERVICE)
        await eventually(lambda: two.bus.losses, timeout=20)
        await hears_everything_again(one, two, version=2)
        assert ask(master, "ROLE")[0] == b"master"
        assert b" name=bus" not in ask(master, "CLIENT", "LIST")
        new = next(server for server in redis_with_sentinel.servers if server is not master)
        assert b" name=bus" in ask(new, "CLIENT", "LIST")
        assert options.followers.was_left((HOST, master.port)), "whatever a sentinel says that is behind the others"
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_master_that_was_replaced_is_left_while_a_replica_is_still_on_its_way_to_the_new_one(
    redis_with_sentinel: RedisWithSentinel, tmp_path: Path
) -> None:
    """Until then the sentinel that leads has the new epoch, and the old address beside it."""
    sentinel, master = redis_with_sentinel.sentinel, redis_with_sentinel.master
    assert master is not None
    options = options_of(redis_with_sentinel.url)
    watch = MasterWatch(create_maker(options, name="watch"), SystemClock())
    with _never_following_again(redis_with_sentinel, tmp_path):
        async with ears(redis_with_sentinel.url, "one", "two", followers=options.followers) as (one, two):
            watching = asyncio.create_task(watch.run())
            await hear_all(two)
            ask(sentinel, "SENTINEL", "FAILOVER", SERVICE)
            await eventually(lambda: two.bus.losses, timeout=20)
            await hears_everything_again(one, two, version=3)  # what an earlier test said may be kept on the new one
            assert _about(sentinel)[b"failover-state"] == b"reconf_slaves"
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


@contextmanager
def _never_following_again(servers: RedisWithSentinel, directory: Path) -> Iterator[None]:
    """One more replica, which no other master takes: a failover is not over before that is gone."""
    sentinel, master = servers.sentinel, servers.master
    assert master is not None
    settings = {"replicaof": f"{HOST} {master.port}", "replica-priority": "0", "repl-diskless-sync-delay": "0"}
    stray = RedisServer(directory, ephemeral=True, settings=settings)
    ask(sentinel, "SENTINEL", "DEBUG", "SLAVE-RECONF-TIMEOUT", 60_000)
    ask(sentinel, "SENTINEL", "SET", SERVICE, "failover-timeout", 60_000)
    with running(stray):
        assert wait_until(lambda: _about(sentinel)[b"num-slaves"] == b"2", timeout_seconds=20)
        ask(stray, "CONFIG", "SET", "masterauth", "nobody has one")
        yield
    assert wait_until(lambda: b"failover-state" not in _about(sentinel), timeout_seconds=20)
    ask(sentinel, "SENTINEL", "SET", SERVICE, "failover-timeout", 2_000)
    ask(sentinel, "SENTINEL", "DEBUG", "SLAVE-RECONF-TIMEOUT", 10_000)
    servers.heal()
    ask(sentinel, "SENTINEL", "RESET", SERVICE)  # forgets the stray


def _about(sentinel: RedisServer) -> dict[bytes, bytes]:
    """What a sentinel says of the master."""
    facts = ask(sentinel, "SENTINEL", "MASTER", SERVICE)
    return dict(zip(facts[::2], facts[1::2], strict=True))


async def _appended(url: str) -> set[bytes]:
    link = RedisLink(options_of(url), name="test")
    entries = await link.call("XRANGE", TRACK_STREAM, "-", "+")
    await link.aclose()
    return {dict(zip(fields[::2], fields[1::2], strict=True))[ENTRY_FIELD.encode()] for _, fields in entries}


async def test_a_connection_that_heard_nothing_but_its_own_proof_is_missed_no_longer(
    redis_cluster: RedisCluster,
) -> None:
    async with ears(redis_cluster.url, "one") as (one,):
        await hear_all(one)
        kept = CHANNELS[0]
        for channel in CHANNELS[1:]:
            one.bus.unsubscribe(channel)
        others = {redis_cluster.owner(f"bus:{{{channel}}}") for channel in CHANNELS[1:]}
        cut = next(server for server in others if server is not redis_cluster.owner(f"bus:{{{kept}}}"))
        losses, restored = one.bus.losses, one.restored
        ask(cut, "CLIENT", "KILL", "TYPE", "pubsub")
        await eventually(lambda: one.bus.losses > losses and one.restored > restored and one.bus.connected)
