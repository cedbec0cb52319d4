"""Of what sentinels say the newest counts, whatever others say after it, and while who said it is silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis
import structlog

from domain.kit.clock import SystemClock
from domain.kit.redis_connections import Maker
from domain.kit.redis_master_watch import MasterWatch
from domain.kit.redis_urls import parse_redis_url
from tests.support.waiting import eventually

HOST = "127.0.0.1"
OLD, NEW = (HOST, 7001), (HOST, 7002)


class Told:
    """A sentinel that says what it was told to say."""

    def __init__(self, epoch: int, master: tuple[str, int]) -> None:
        self._epoch, self._master = epoch, master
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.asked = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        commands = hiredis.Reader()
        while data := await reader.read(1 << 16):
            commands.feed(data)
            while command := commands.gets():
                writer.write(self._answer(command))
        self._open.discard(writer)
        writer.close()

    def _answer(self, command: list[bytes]) -> bytes:
        host, port = self._master
        if command[:2] == [b"SENTINEL", b"MASTER"]:
            self.asked += 1
            return hiredis.pack_command(("config-epoch", self._epoch))  # an array of strings, as answers are
        return hiredis.pack_command((host, port)) if command[0] == b"SENTINEL" else b"+OK\r\n"


class Hurried(SystemClock):
    """Waits no longer than it has to."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(*sentinels: Told) -> AsyncIterator[Maker]:
    for sentinel in sentinels:
        await sentinel.start()
    places = ",".join(f"{HOST}:{sentinel.port}" for sentinel in sentinels)
    maker = Maker(parse_redis_url(f"redis+sentinel://{places}/main"), name="test", connect_timeout_seconds=20)
    task = asyncio.create_task(MasterWatch(maker, Hurried()).run())
    try:
        yield maker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for sentinel in sentinels:
            await sentinel.stop()


async def asked_again(*sentinels: Told) -> None:
    """And what they said before has been heeded."""
    before = [sentinel.asked for sentinel in sentinels]
    await eventually(lambda: all(each.asked > least + 2 for each, least in zip(sentinels, before, strict=True)))


async def test_one_that_is_behind_is_not_followed_again_while_the_others_are_silent() -> None:
    ahead, behind = Told(2, NEW), Told(1, OLD)
    async with watching(ahead, behind) as maker:
        await asked_again(ahead, behind)
        await ahead.stop()
        await asked_again(behind)
        assert not maker.followers.was_left(NEW)


async def test_one_that_does_not_say_is_logged_once_until_it_does() -> None:
    telling, silent = Told(1, OLD), Told(1, OLD)
    with structlog.testing.capture_logs() as entries:
        async with watching(telling, silent):
            for times in (1, 2):
                await silent.stop()
                await eventually(lambda times=times: len(entries) == times)
                await asked_again(telling)
                assert [entry["event"] for entry in entries] == ["redis_sentinel_silent"] * times
                await silent.start()
                await asked_again(silent)
    assert f"{HOST}:{silent.port}" in {entry["sentinel"] for entry in entries}


async def test_whom_the_newest_names_may_have_been_left_before() -> None:
    ahead, behind = Told(2, OLD), Told(1, NEW)
    async with watching(behind, ahead) as maker:
        await asked_again(ahead, behind)
        await ahead.stop()
        ahead._epoch, ahead._master = 3, NEW
        await ahead.start()
        await eventually(lambda: maker.followers.was_left(OLD))
        assert not maker.followers.was_left(NEW)
