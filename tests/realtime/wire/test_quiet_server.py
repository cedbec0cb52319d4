"""uvicorn that sleeps: it looks once a second, and at once when it is to stop."""

import asyncio
import time

import uvicorn

from realtime.wire.quiet_server import QuietServer


class _Counting(QuietServer):
    looks = 0

    async def on_tick(self, counter: int) -> bool:
        self.looks += 1
        return await super().on_tick(counter)


async def test_it_ends_at_once_when_it_is_told_to_and_looks_seldom_until_then() -> None:
    server = _Counting(uvicorn.Config(lambda *_: None))
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(server.main_loop())
    loop.call_later(0.3, setattr, server, "should_exit", True)
    began = time.monotonic()
    async with asyncio.timeout(5):
        await running
    assert 0.2 < time.monotonic() - began < 0.9
    assert server.looks == 2
    assert server.should_exit


async def test_one_that_was_told_before_it_began_ends_at_once() -> None:
    server = _Counting(uvicorn.Config(lambda *_: None))
    server.should_exit = True
    async with asyncio.timeout(0.5):
        await server.main_loop()
    assert server.looks == 1
