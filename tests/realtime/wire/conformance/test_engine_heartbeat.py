"""The server asks, the client answers; who does not is gone, over either transport."""

import asyncio

import pytest

from tests.realtime.wire.conformance.talking import ENGINE, SOCKET, talking
from tests.support.waiting import eventually

pytestmark = [pytest.mark.usefixtures("faultless"), pytest.mark.parametrize("path", [ENGINE, SOCKET])]

PATIENT_MS = 10_000


async def test_a_poll_brings_the_ping(path: str) -> None:
    async with talking(path, ping_interval_ms=40, ping_timeout_ms=PATIENT_MS) as server:
        session = await server.session()
        for _ in range(3):
            assert (await session.poll()).text == "2"
            assert (await session.post("3")).text == "ok"


async def test_a_websocket_brings_the_ping(path: str) -> None:
    async with talking(path, ping_interval_ms=40, ping_timeout_ms=PATIENT_MS) as server, server.websocket() as client:
        await client.opened()
        for _ in range(3):
            assert await client.hear() == "2"
            await client.say("3")


async def test_no_ping_comes_before_its_time_or_before_the_answer_to_the_last(path: str) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with talking(path, ping_interval_ms=60, ping_timeout_ms=400) as server, server.websocket() as client:
        await client.opened()
        assert await client.hear() == "2"
        assert loop.time() - begun >= 0.055
        # Unanswered, there is no second: the next thing is the end.
        await client.closed()
        assert loop.time() - begun >= 0.055 + 0.39


async def test_a_session_that_does_not_answer_is_gone(path: str) -> None:
    loop = asyncio.get_running_loop()
    async with talking(path, ping_interval_ms=60, ping_timeout_ms=60) as server:
        begun = loop.time()
        session = await server.session()
        await eventually(session.gone)
        assert loop.time() - begun >= 0.115
        assert (await session.poll()).status_code == 400


async def test_a_poll_that_waits_is_told_of_the_end(path: str) -> None:
    async with talking(path, ping_interval_ms=40, ping_timeout_ms=40) as server:
        session = await server.session()
        assert (await session.poll()).text == "2"
        last = await session.poll()
        assert (last.status_code, last.text) in ((200, "1"), (400, last.text))
        assert await session.gone()


async def test_an_answer_to_nothing_changes_nothing(path: str) -> None:
    async with talking(path, ping_interval_ms=60, ping_timeout_ms=60) as server, server.websocket() as client:
        await client.opened()
        await client.say("3", "3")
        assert await client.hear() == "2"
        await client.closed()
