"""A node or a worker ends, in good order or not, while phones ride: they go on elsewhere, and nothing is lost."""

import asyncio
import time

import pytest

from tests.e2e.outages import BACK_SECONDS, Ground, assert_kept_once, riding, seen, seen_moving, watching
from tests.e2e.phones import register
from tests.e2e.processes import Node, Worker
from tests.support import eventually

STOP_SECONDS = 30.0
"""Without a client that does not read it takes about one; what keeps it up is let go after 10 (`drain_seconds`)."""


def assert_ends_in_order(process: Node | Worker, told: float) -> None:
    """It ends by itself, in time and without a fault; `told`: when it was, by the monotonic clock."""
    assert process.end() == 0, process.tail()
    assert time.monotonic() - told < STOP_SECONDS


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_riders_of_a_node_that_is_gone_ride_on_elsewhere(ground: Ground, fault: str) -> None:
    one, two = ground.one, ground.two
    async with watching(two) as watcher, riding(one) as rider:
        await seen_moving(watcher, rider)
        getattr(one, fault)()
        await rider.connect(two.url)
        await seen_moving(watcher, rider)
        one.resume()
        await rider.finish()
        await eventually(lambda: seen(watcher, rider) == -1, timeout=BACK_SECONDS)
    await assert_kept_once(ground.postgres.url, rider)


async def test_a_node_that_is_told_to_stop_keeps_what_it_acknowledged(ground: Ground) -> None:
    """Then the worker as well, with fixes on their way; its successor stores what it left."""
    one, two, worker = ground.one, ground.two, ground.worker
    anna = await register(one.url)
    async with watching(two) as watcher, riding(one, anna) as rider, riding(one) as other:
        await seen_moving(watcher, rider)
        await eventually(lambda: len(other.acked) > 3)
        told = time.monotonic()
        one.terminate()
        worker.terminate()
        ends = asyncio.gather(*(asyncio.to_thread(assert_ends_in_order, each, told) for each in (one, worker)))
        await eventually(lambda: not rider.phone.client.connected and not other.phone.client.connected)
        await rider.connect(two.url)
        await other.connect(two.url)
        await seen_moving(watcher, rider)
        await ends
        worker.start()
        await rider.finish()
        await other.finish()
    for phone in (rider, other):
        await assert_kept_once(ground.postgres.url, phone)


async def test_a_killed_worker_costs_nobody_anything(ground: Ground) -> None:
    async with watching(ground.one) as watcher, riding(ground.one) as rider:
        for _ in range(2):
            await seen_moving(watcher, rider)
            ground.worker.kill()
            before = rider.newest
            await eventually(lambda before=before: rider.acked_after(before) > 3, timeout=BACK_SECONDS)
            ground.worker.start()
        await rider.finish()
        assert rider.refused == []
    await assert_kept_once(ground.postgres.url, rider)
