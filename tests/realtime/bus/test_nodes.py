"""Nodes are listed while they run, and for a little longer when they are killed."""

import asyncio

import pytest

from domain.kit.clock import SystemClock
from realtime.bus.connections import BusOptions
from realtime.bus.nodes import LIFE_SECONDS, Node, NodeRegister
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


async def test_a_node_is_listed_while_it_runs(redis_url: str) -> None:
    clock, options = SystemClock(), BusOptions(redis_url)
    entries = [Node(f"node-{number}", f"127.0.0.1:{8000 + number}", clock.epoch_ms()) for number in range(3)]
    registers = [NodeRegister(entry, clock, options) for entry in entries]
    reader = NodeRegister(Node("reader", "", 0), clock, options)
    tasks = [asyncio.create_task(register.run()) for register in registers]

    async def listed() -> list[Node]:
        return await reader.nodes()

    await eventually(lambda: _equal(listed(), entries))
    assert 0 < await reader._link.call("TTL", "node:node-1") <= LIFE_SECONDS
    tasks[0].cancel()
    await eventually(lambda: _equal(listed(), entries[1:]))
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await reader._link.aclose()


async def _equal(listed: object, expected: list[Node]) -> bool:
    return await listed == expected  # type: ignore[misc]
