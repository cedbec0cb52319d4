"""Stress as a whole, small; what its schedules are like, and the network that it puts between a node and Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from loadtests.stress.command import parse
from loadtests.stress.proxy import Proxy
from loadtests.stress.report import summary
from loadtests.stress.run import Options, stress
from loadtests.stress.schedule import CALM_SECONDS, FIRST_SECONDS, Fault, Kind, Topology, draw, kinds_for
from server.stack import PostgresServer, RedisServer
from tests.support import eventually


@pytest.mark.timeout(300)
async def test_nothing_is_lost_while_redis_is_killed(own_postgres: PostgresServer, tmp_path: Path) -> None:
    options = Options(
        seed=1,
        faults=(Fault(Kind.REDIS_KILLED, at=0.7, seconds=0.6),),
        calm_seconds=1.5,
        life_seconds=6.0,
        patience_seconds=20.0,  # when things are right is for a run on a quiet machine
    )
    outcome = await stress(options, tmp_path / "run", lambda line: None, own_postgres)
    found = summary(outcome)
    assert found["violations"] == []
    assert found["ok"]
    assert found["faults"]["done"] == found["faults"]["hit_work_in_flight"] == 1
    assert found["faults"]["each"][0]["right_after_seconds"]["count"] > 0
    assert found["live"]["recorded"]["acknowledged"] == found["live"]["recorded"]["stored"] > 0
    assert found["durable"]["received"] > 0
    assert found["truth"]["looks"] > 0


@pytest.mark.parametrize("topology", list(Topology))
def test_the_same_seed_draws_the_same_faults_and_many_draw_all(topology: Topology) -> None:
    drawn = {seed: draw(seed, 60, 2, topology) for seed in range(20)}
    assert all(schedule == draw(seed, 60, 2, topology) for seed, schedule in drawn.items())
    assert {fault.kind for schedule in drawn.values() for fault in schedule} == set(kinds_for(topology))
    for schedule in drawn.values():
        assert len(schedule) >= 3
        assert schedule[0].at == FIRST_SECONDS
        assert all(fault.ends_at <= 60 - CALM_SECONDS for fault in schedule)


def test_while_a_node_stands_still_for_long_no_other_node_is_disturbed() -> None:
    for seed in range(200):
        schedule = draw(seed, 90, 3, Topology.SINGLE)
        for pause in (fault for fault in schedule if fault.kind is Kind.NODE_PAUSED):
            during = [fault for fault in schedule if pause.at < fault.at < pause.ends_at]
            assert all(fault.node is None for fault in during)


def test_the_command_line_says_what_to_run() -> None:
    options, _ = parse(["--seed", "7", "--nodes", "3", "--redis", "cluster", "--sabotage", "swap"])
    assert options == Options(7, nodes=3, topology=Topology.CLUSTER, sabotage="swap")
    with pytest.raises(SystemExit):
        parse(["--seed", "7", "--nodes", "1"])


@asynccontextmanager
async def through(proxy: Proxy, server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(port=proxy.port(server.port), socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
        yield client


async def test_the_network_holds_delays_resets_refuses_and_forgets(own_redis: RedisServer) -> None:
    async with Proxy([own_redis.port]) as proxy, through(proxy, own_redis) as client:
        assert await client.ping()
        proxy.hold()
        waiting = asyncio.ensure_future(client.set("held", 1))
        await eventually(lambda: proxy.connections)
        assert not waiting.done()
        proxy.go_on()
        assert await waiting
        proxy.refuse(True)
        with pytest.raises(RedisError):
            await client.ping()
        await eventually(lambda: not proxy.connections)
        proxy.refuse(False)
        assert await client.get("held") == b"1"
        proxy.forget()
        assert proxy.connections == 0
        async with through(proxy, own_redis) as other:
            assert await other.ping()
            assert proxy.connections == 1


async def test_who_subscribed_hears_nothing_any_more_and_others_go_on(own_redis: RedisServer) -> None:
    async with Proxy([own_redis.port]) as proxy, through(proxy, own_redis) as client:
        ear = client.pubsub()
        await ear.subscribe("news")
        await eventually(lambda: ear.get_message(timeout=0.1))
        assert proxy.deafen() == 1
        assert await client.publish("news", "one") == 1
        assert await ear.get_message(timeout=0.2) is None
        await ear.aclose()


def test_where_servers_tell_where_they_are_the_proxy_is_told_instead() -> None:
    proxy = Proxy([17001, 17002])
    first, second = proxy.port(17001), proxy.port(17002)
    moved = b"-MOVED 3999 127.0.0.1:17001\r\n*2\r\n:17002\r\n$5\r\n17001\r\n"
    told = b"-MOVED 3999 127.0.0.1:%d\r\n*2\r\n:%d\r\n$5\r\n%d\r\n" % (first, second, first)
    assert proxy.told(moved) == told
    assert proxy.told(b"$7\r\n46.17001\r\n") == b"$7\r\n46.17001\r\n"
