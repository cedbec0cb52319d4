"""Control events reach every node: at once normally, after a fault as soon as it heals, and none is lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from domain.kit.clock import SystemClock
from realtime.bus.control import CONTROL_STREAM, ControlLog
from server.stack import RedisServer
from tests.realtime.bus.ears import options_of
from tests.realtime.wire.transports import Clock, turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

REMEMBERED_SECONDS = 2 * 3600
LATER = SystemClock().epoch_ms() + 900_000


class Ears:
    """A node's control log, and what it heard."""

    def __init__(self, url: str, **changed: float) -> None:
        self.log = ControlLog(SystemClock(), options_of(url, **changed), remember_seconds=REMEMBERED_SECONDS)
        self.revoked: list[UUID] = []
        self.changed: list[tuple[UUID, int]] = []
        self.log.attach(session_revoked=lambda session, _: self.revoked.append(session), policy_changed=self._changed)

    def _changed(self, user: UUID, version: int) -> None:
        self.changed.append((user, version))


@asynccontextmanager
async def listening(*nodes: Ears) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(node.log.run()) for node in nodes]
    try:
        await eventually(lambda: all(node.log.fresh for node in nodes))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_revocation_reaches_the_other_node_within_100_ms(own_redis: RedisServer) -> None:
    here, there = Ears(own_redis.url), Ears(own_redis.url)
    async with listening(here, there):
        delays = []
        for _ in range(10):
            session = uuid4()
            began = time.monotonic()
            await here.log.session_revoked(session, LATER)
            assert session in here.revoked
            await eventually(lambda session=session: session in there.revoked)
            delays.append(time.monotonic() - began)
        assert min(delays) < 0.1, "nobody looks from time to time; a busy machine may delay some"


async def test_a_changed_policy_is_told_with_its_rider_and_version(own_redis: RedisServer) -> None:
    here, there = Ears(own_redis.url), Ears(own_redis.url)
    async with listening(here, there):
        rider = uuid4()
        await here.log.policy_changed(rider, 7)
        await eventually(lambda: (rider, 7) in there.changed)
        assert there.revoked == []


async def test_a_node_that_starts_hears_what_is_remembered(own_redis: RedisServer) -> None:
    here, late = Ears(own_redis.url), Ears(own_redis.url)
    too_old, old, *new = [uuid4() for _ in range(6)]
    async with listening(here), Redis.from_url(own_redis.url) as client:
        for session, seconds in ((too_old, REMEMBERED_SECONDS + 60), (old, REMEMBERED_SECONDS - 60)):
            event = f'{{"type":"session_revoked","session_id":"{session}","expires_at_ms":1}}'
            await client.xadd(CONTROL_STREAM, {"event": event}, id=f"{SystemClock().epoch_ms() - seconds * 1000}-0")
        for session in new:
            await here.log.session_revoked(session, LATER)
        async with listening(late):
            await eventually(lambda: late.revoked == [old, *new])


@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_nothing_is_lost_across_a_fault_of_redis(own_redis: RedisServer, fault: str) -> None:
    here, there = [Ears(own_redis.url, timeout_seconds=30, deaf_seconds=1) for _ in range(2)]
    with turned_clock() as clock:
        async with listening(here, there):
            await _revoke_through(own_redis, fault, here, there, clock)


async def _revoke_through(own_redis: RedisServer, fault: str, here: Ears, there: Ears, clock: Clock) -> None:
    sessions = [uuid4() for _ in range(12)]
    for session in sessions[:4]:
        await here.log.session_revoked(session, LATER)
    getattr(own_redis, fault)()
    for session in sessions[4:8]:
        await clock.within(30, here.log.session_revoked(session, LATER))  # nobody waits longer for a hint
    assert here.revoked[-1] == sessions[7], "the node itself acts at once"
    await eventually(lambda: not there.log.fresh)
    if fault == "pause":
        own_redis.resume()
    else:
        await asyncio.to_thread(own_redis.start)
    for session in sessions[8:]:
        await here.log.session_revoked(session, LATER)
    await eventually(lambda: list(dict.fromkeys(there.revoked)) == sessions)
    await eventually(lambda: there.log.fresh and here.log.untold == 0)


async def test_nothing_is_lost_when_connections_are_dropped(own_redis: RedisServer) -> None:
    here, there = Ears(own_redis.url), Ears(own_redis.url)
    async with listening(here, there), Redis.from_url(own_redis.url) as client:
        sessions = [uuid4() for _ in range(20)]
        for session in sessions:
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await here.log.session_revoked(session, LATER)
        await eventually(lambda: set(there.revoked) == set(sessions))


async def test_a_stream_that_begins_anew_with_lower_ids_is_read(own_redis: RedisServer) -> None:
    """After a failover to a Redis that has lost the newest entries, or whose clock is behind."""
    here, there = Ears(own_redis.url), Ears(own_redis.url)
    async with listening(here, there), Redis.from_url(own_redis.url) as client:
        ahead = SystemClock().epoch_ms() + 60_000
        await client.xadd(CONTROL_STREAM, {"event": b"{}"}, id=f"{ahead}-0")
        await eventually(lambda: there.log._last == b"%d-0" % ahead)
        await client.delete(CONTROL_STREAM)
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        session = uuid4()
        await here.log.session_revoked(session, LATER)
        await eventually(lambda: session in there.revoked)


async def test_what_only_a_newer_node_understands_is_passed_over(own_redis: RedisServer) -> None:
    there = Ears(own_redis.url)
    async with listening(there), Redis.from_url(own_redis.url) as client:
        await client.xadd(CONTROL_STREAM, {"event": b'{"type":"colour_changed"}'})
        await client.xadd(CONTROL_STREAM, {"event": b"not JSON"})
        session = uuid4()
        await client.xadd(
            CONTROL_STREAM, {"event": f'{{"type":"session_revoked","session_id":"{session}","expires_at_ms":1}}'}
        )
        await eventually(lambda: there.revoked == [session])
