"""Nodes are listed while they run, and for a little longer when they are killed."""

import asyncio

import pytest

from domain.kit.clock import SystemClock
from realtime.bus import nodes
from realtime.bus.connections import BusOptions, RedisLink
from realtime.bus.nodes import Figures, Node, NodeList, NodeRegister
from tests.realtime.bus.ears import options_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


async def test_a_node_is_listed_with_its_figures_while_it_runs(redis_url: str) -> None:
    clock, options = SystemClock(), options_of(redis_url)
    entries = [Node(f"node-{number}", f"127.0.0.1:{8000 + number}", clock.epoch_ms()) for number in range(3)]
    registers = [NodeRegister(entry, clock, options) for entry in entries]
    reader = NodeList(options)
    sockets = 7
    registers[2].attach(lambda: Figures(sockets=sockets))
    tasks = [asyncio.create_task(register.run()) for register in registers]

    async def listed() -> list[str]:
        return [one.node.id for one in await reader.nodes()]

    async def last_has() -> tuple[int, bool]:
        last = (await reader.nodes())[-1]
        return last.figures.sockets, last.round_trip_ms is not None and not last.silent

    await eventually(lambda: _equal(listed(), [entry.id for entry in entries]))
    assert (await last_has())[0] == 7
    sockets = 8
    registers[2].renew()
    await eventually(lambda: _equal(last_has(), (8, True)))
    await eventually(lambda: registers[2].nodes == 3)
    tasks[0].cancel()
    await eventually(lambda: _equal(listed(), ["node-1", "node-2"]))
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await reader.nodes() == []
    await reader.aclose()


async def test_who_says_nothing_is_silent_and_then_forgotten(redis_url: str) -> None:
    """Time is turned by moving what Redis has written down."""
    clock, options = SystemClock(), options_of(redis_url)
    redis, reader = RedisLink(options, name="test"), NodeList(options)
    await _speak_once("dead", clock, options)
    await redis.call("ZINCRBY", nodes._SEEN, -nodes.SILENT_SECONDS * 1000, "dead")
    (dead,) = await reader.nodes()
    assert dead.silent
    await redis.call("ZINCRBY", nodes._SEEN, -nodes.LIFE_SECONDS * 1000, "dead")
    assert await reader.nodes() == []
    await _speak_once("alive", clock, options)
    assert await redis.batch([("ZRANGE", nodes._SEEN, 0, -1), ("HKEYS", nodes._SAID)]) == [[b"alive"], [b"alive"]]
    left_ms = await redis.batch([("PTTL", nodes._SEEN), ("PTTL", nodes._SAID)])
    assert all(0 < left <= nodes.LIFE_SECONDS * 1000 for left in left_ms)
    for link in (redis, reader):
        await link.aclose()


async def _speak_once(node_id: str, clock: SystemClock, options: BusOptions) -> None:
    """As a node that is killed right afterwards."""
    register = NodeRegister(Node(node_id, "", 0), clock, options)
    await register._say()
    await register._link.aclose()


async def _equal(listed: object, expected: object) -> bool:
    return await listed == expected  # type: ignore[misc]
