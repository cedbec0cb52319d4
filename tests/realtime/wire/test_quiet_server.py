"""uvicorn that sleeps: it wakes up when it is to stop, and answers are dated all the same."""

import asyncio
import os
import signal
from email.utils import parsedate_to_datetime

import uvicorn

from realtime.wire.quiet_server import DatedState, QuietServer
from tests.realtime.wire.transports import settle, turned_clock
from tests.support.waiting import eventually


def config_of(**options: object) -> uvicorn.Config:
    config = uvicorn.Config(lambda *_: None, **options)  # type: ignore[arg-type]
    config.encoded_headers = [(b"server", b"uvicorn")]
    return config


class _Counting(QuietServer):
    looks = 0

    async def on_tick(self, counter: int) -> bool:
        self.looks += 1
        return await super().on_tick(counter)


async def test_it_sleeps_until_it_is_told_to_end() -> None:
    server = _Counting(config_of())
    with turned_clock() as clock:
        running = asyncio.create_task(server.main_loop())
        await settle()
        await clock.turn(100_000)
        assert not running.done()
        server.should_exit = True
        await eventually(running.done)
        await running
    assert (server.looks, server.should_exit) == (0, True)


async def test_a_signal_wakes_it() -> None:
    server = QuietServer(config_of())
    with server.capture_signals():
        running = asyncio.create_task(server.main_loop())
        await settle()
        assert not running.done()
        os.kill(os.getpid(), signal.SIGINT)
        await eventually(running.done)
        server._captured_signals.clear()  # it would raise them again, as for whoever pressed Ctrl-C


async def test_one_that_was_told_before_it_began_ends_at_once() -> None:
    server = QuietServer(config_of())
    server.should_exit = True
    async with asyncio.timeout(10):
        await server.main_loop()


async def test_what_uvicorn_has_to_look_for_it_looks_for() -> None:
    server = _Counting(config_of(limit_max_requests=3))
    with turned_clock() as clock:
        running = asyncio.create_task(server.main_loop())
        await settle()
        assert not running.done()
        server.server_state.total_requests = 3
        await clock.turn(0.2)
        await eventually(running.done)
    assert server.looks > 1


def test_answers_have_the_date_of_their_second() -> None:
    now = 0.0
    state = DatedState(config_of(), lambda: now)
    for now in (1_800_000_000.0, 1_800_000_000.9, 1_800_000_061.5):
        (_, date), named = state.default_headers
        assert parsedate_to_datetime(date.decode()).timestamp() == int(now)
        assert named == (b"server", b"uvicorn")
        assert state.default_headers is state.default_headers, "made once a second"
    assert DatedState(config_of(date_header=False)).default_headers == [(b"server", b"uvicorn")]
