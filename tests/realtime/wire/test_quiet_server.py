"""uvicorn that sleeps: it looks once a second, and at once when it is to stop."""

import asyncio

import uvicorn

from realtime.wire.quiet_server import QuietServer
from tests.realtime.wire.transports import settle, turned_clock
from tests.support.waiting import eventually


class _Counting(QuietServer):
    tick_seconds = 1000.0  # for a machine that stands still, a second is soon over
    looks = 0

    async def on_tick(self, counter: int) -> bool:
        self.looks += 1
        return await super().on_tick(counter)


async def test_it_ends_at_once_when_it_is_told_to_and_looks_seldom_until_then() -> None:
    server = _Counting(uvicorn.Config(lambda *_: None))
    with turned_clock() as clock:
        running = asyncio.create_task(server.main_loop())
        await settle()
        for looks in (1, 2, 3):
            assert server.looks == looks
            await clock.turn(900)
            assert server.looks == looks
            await clock.turn(101)
        asyncio.get_running_loop().call_soon(setattr, server, "should_exit", True)
        await eventually(running.done)
        await running
    assert server.looks == 5
    assert QuietServer.tick_seconds == 1.0
    assert server.should_exit


async def test_one_that_was_told_before_it_began_ends_at_once() -> None:
    server = _Counting(uvicorn.Config(lambda *_: None))
    server.should_exit = True
    async with asyncio.timeout(10):
        await server.main_loop()
    assert server.looks == 1
