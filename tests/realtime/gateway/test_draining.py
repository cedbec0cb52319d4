"""Clients that are sent away: when each goes, what it has got by then, and who keeps whom waiting."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from domain.kit.clock import Clock, ManualClock, SystemClock
from realtime.gateway.draining import Draining, Pace, pace_of
from realtime.wire.interface import STOPPING
from realtime.wire.packets import encode_event
from tests.realtime.gateway.signed import Node, node
from tests.realtime.serving import RawClient, StalledClient
from tests.realtime.wire.transports import all_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

LIMIT_SECONDS = 4.0


@pytest.mark.parametrize(("clients", "spread"), [(0, 0), (10, 0.01), (2_000, 2), (18_000, 5)])
def test_nobody_waits_for_longer_than_there_is_reason_to(clients: int, spread: float) -> None:
    pace = pace_of(clients, limit_seconds=10)
    assert pace.spread == spread
    assert pace.spread + pace.step + pace.obey + 2 * pace.settle < 8
    assert clients * pace.step <= 200 * max(1.0, spread)


def draining(
    up: Node,
    clock: Clock | None = None,
    notice_seconds: float = 0.0,
    pace: Callable[[int, float], Pace] = pace_of,
) -> Draining:
    """One with which answers that are deferred come when they are asked for."""

    async def answer() -> None:
        for future in up.handlers.deferred.values():
            if not future.done():
                future.set_result({"kept": True})

    return Draining(
        up.gateway,
        answer,
        clock or SystemClock(),
        notice_seconds=notice_seconds,
        limit_seconds=LIMIT_SECONDS,
        pace=pace,
    )


@asynccontextmanager
async def riders(up: Node, number: int) -> AsyncIterator[list[RawClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(up.rider()) for _ in range(number)]


async def leaves(client: RawClient) -> float:
    """Hear the rest of a connection that ends in good order; how many milliseconds it was told to wait."""
    after_ms = (await client.event("session:drain"))["reconnect_after_ms"]
    assert (await client.event("error"))["reconnect"] == "at_once"
    assert await client.closed() == STOPPING.status
    return float(after_ms)


async def test_each_is_told_a_time_of_its_own_and_who_comes_late_as_well() -> None:
    clock = ManualClock()
    async with node() as up, riders(up, 15) as clients, asyncio.TaskGroup() as group:
        ending = group.create_task(draining(up, clock, notice_seconds=0.3).run())
        await eventually(lambda: len(up.gateway._hooks) == 2)

        async def ended() -> bool:
            await clock.turn(0.02)
            return ending.done()

        async with up.rider() as late:
            leaving = group.create_task(all_of(map(leaves, [*clients, late])))
            await eventually(ended)
            told = await leaving
        assert all(300 <= after_ms <= 315 for after_ms in told[:-1])
        assert 300 <= told[-1] <= 315
        assert len(up.gateway) == 0


def patient(clients: int, limit_seconds: float) -> Pace:
    """For what is busy when a machine stands still."""
    return pace_of(clients, limit_seconds)._replace(settle=30.0)


async def test_what_was_taken_is_answered_and_what_comes_then_is_not_taken() -> None:
    async with node() as up, up.rider() as busy, up.rider() as waiting, up.rider() as idle:
        await busy.emit("test:slow", {"number": 1}, ack_id=1)
        await waiting.emit("test:deferred", {"number": 2}, ack_id=2)
        await eventually(lambda: 2 in up.handlers.deferred and 1 in up.handlers.gates)
        ending = asyncio.create_task(draining(up, pace=patient).run())
        await idle.event("session:drain")
        assert (await idle.event("error"))["code"] == STOPPING.code  # the busy one keeps nobody
        for client in (busy, waiting):
            await client.event("session:drain")
        assert await waiting.ack(2) == {"kept": True}
        await busy.emit("test:plain", {"number": 3}, ack_id=3)
        up.handlers.gates[1].set()
        assert await busy.ack(1) == {"number": 1}
        assert (await busy.event("error"))["code"] == STOPPING.code
        await ending
        assert ("plain", 3) not in up.handlers.trail


async def test_who_never_ends_or_reads_is_closed_all_the_same() -> None:
    async with node() as up, StalledClient.open(up.up.port, "40" + json.dumps(up.auth())) as stuck:
        await stuck.read_until(b"session:ready")
        stuck.stop_reading()
        (client,) = up.gateway.greeted()
        while not client.backlog():  # however much the systems of both ends take in
            client.send(encode_event("much", "x" * 10_000))
            await asyncio.sleep(0)
        async with up.rider() as busy:
            await assert_all_are_closed(up, busy)


async def assert_all_are_closed(up: Node, busy: RawClient) -> None:
    await busy.emit("test:slow", {"number": 1}, ack_id=1)
    await eventually(lambda: 1 in up.handlers.gates)
    async with asyncio.timeout(10):  # it takes a second; whom it waits for does not end by itself
        await draining(up).run()
    await eventually(lambda: not up.gateway.greeted())
    up.handlers.gates[1].set()
