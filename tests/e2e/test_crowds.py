"""Thousands of sockets on one node: some never read, all come back at once, and nobody else notices."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from server.stack import RedisServer
from server.stack.ports import free_port
from tests.e2e.crowd_server import OPTIONS
from tests.e2e.crowds import Member, gather, scatter
from tests.e2e.phones import register
from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, Process, site
from tests.e2e.promises import least
from tests.support import eventually

READERS = STALLED = 1000
EVENTS, EVENT_BYTES, EVERY_MS = 40, 1000, 60
MOST_STALLED_BYTES = STALLED * (OPTIONS.queue_bytes + 2 * OPTIONS.ahead_bytes)
"""What 1,000 sockets that never read may cost: their queues, what the transport has and what it is being given."""
LATER_BY_SECONDS = 0.25
"""More than that would be felt, and less is the machine's: half of all events have to be there as before."""

ASKING, QUESTIONS = 200, 100
"""Sockets, and what each asks one after another without waiting for an answer."""

RETURNING, SOCKETS_PER_RIDER = 2000, 20
AT_ONCE = 10
"""Riders who register; more would be kept waiting by this process, and be too late with their requests."""
MOST_GROWTH_BYTES = 24 << 20
"""Of a node after 2,000 sockets have come, gone and come again, each time all at once: what the allocator keeps."""


class CrowdServer(Process):
    """A process of the wire alone, and its levels."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        super().__init__(["tests.e2e.crowd_server", str(self.port)], {}, directory / "crowd.log")
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    async def ask(self, path: str = "/levels") -> dict[str, Any]:
        levels: dict[str, Any] = (await self.http.get(path)).json()
        return levels

    def rss(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)


@asynccontextmanager
async def crowd_server(directory: Path) -> AsyncIterator[CrowdServer]:
    server = CrowdServer(directory)
    server.start()
    try:

        async def serves() -> bool:
            assert server.runs, server.tail()
            try:
                return bool(await server.ask())
            except httpx.TransportError:
                return False

        await eventually(serves, timeout=90)
        yield server
        assert server.log.read_text() == ""
    finally:
        server.kill()
        await server.http.aclose()


class Reader:
    """Writes down the numbers that one client hears, and how long each was under way."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.seconds: list[float] = []

    def __call__(self, message: bytes) -> None:
        name, number, sent_ns, _ = json.loads(message[2:])
        assert name == "number"
        self.numbers.append(number)
        self.seconds.append((time.monotonic_ns() - sent_ns) / 1e9)


async def told(server: CrowdServer, readers: list[Reader]) -> float:
    """Events to everybody; when all have heard all, in order: the median of the seconds that they were under way."""
    for reader in readers:
        reader.seconds.clear()
    before = len(readers[0].numbers)
    await server.ask(f"/tell?count={EVENTS}&bytes={EVENT_BYTES}&every_ms={EVERY_MS}")
    await eventually(lambda: all(len(reader.numbers) == before + EVENTS for reader in readers), timeout=60)
    for reader in readers:
        assert reader.numbers == list(range(before + EVENTS)), "in order, none missing"
    return statistics.median(seconds for reader in readers for seconds in reader.seconds)


async def test_a_thousand_sockets_that_never_read_cost_their_queues_and_nobody_else_anything(tmp_path: Path) -> None:
    async with crowd_server(tmp_path) as server:
        hearing = [Reader() for _ in range(READERS)]
        readers = await gather(server.port, [{}] * READERS, hearing.__getitem__)
        stalled: list[Member] = []
        before = 0

        async def later_by() -> float:
            nonlocal stalled, before
            await scatter(stalled)  # of the measurement before this one
            await eventually(lambda: server_has(server, open=READERS), timeout=60)
            alone = await told(server, hearing)
            stalled = await gather(server.port, [{"stalled": True}] * STALLED, stalled=True)
            before = server.rss()
            beside = await told(server, hearing)
            levels = await server.ask()
            assert (levels["readers"], levels["stalled"], levels["open"]) == (READERS, STALLED, READERS + STALLED)
            return beside - alone

        await least(LATER_BY_SECONDS, later_by)
        flooding = asyncio.create_task(server.ask(f"/flood?bytes={EVENT_BYTES}"))
        most = server.rss()
        while not flooding.done():
            most = max(most, server.rss())
            await asyncio.wait([flooding], timeout=0.02)
        assert most - before < MOST_STALLED_BYTES
        left = {"open": READERS, "sessions": READERS, "peers": READERS}
        await eventually(lambda: server_has(server, **left), timeout=60)
        assert (await server.ask())["reasons"]["too_slow"] == STALLED
        await told(server, hearing)
        await scatter(readers + stalled)
        nothing = {"open": 0, "unauthenticated": 0, "addresses": 0, "sessions": 0, "peers": 0, "timers": 0}
        await eventually(lambda: server_has(server, **nothing), timeout=60)


async def test_each_socket_s_order_is_kept_both_ways_under_load(tmp_path: Path) -> None:
    async with crowd_server(tmp_path) as server:
        heard: list[list[bytes]] = [[] for _ in range(ASKING)]
        members = await gather(server.port, [{}] * ASKING, lambda number: heard[number].append)
        telling = asyncio.create_task(server.ask(f"/tell?count={EVENTS}&bytes={EVENT_BYTES}&every_ms=5"))
        for question in range(QUESTIONS):
            for number, member in enumerate(members):
                member.say(b'42%d["echo",%d]' % (question, number))
            await asyncio.sleep(0)
        await telling
        await eventually(lambda: all(len(messages) == QUESTIONS + EVENTS for messages in heard), timeout=60)
        for number, messages in enumerate(heard):
            acks = [message for message in messages if message.startswith(b"43")]
            assert acks == [b"43%d[%d]" % (question, number) for question in range(QUESTIONS)]
            told = [json.loads(message[2:])[1] for message in messages if message.startswith(b"42")]
            assert told == list(range(EVENTS))
        await scatter(members)


async def server_has(server: CrowdServer, **wanted: int) -> bool:
    levels = await server.ask()
    return {name: levels[name] for name in wanted} == wanted


async def test_two_thousand_come_back_at_once_and_all_are_let_in(
    database_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    patient = {"THROTTLECOVE_AUTHENTICATE_WITHIN_SECONDS": "60"}
    with site(database_url, own_redis.url, tmp_path, patient) as running:
        node = await running.node()
        riders = []
        while len(riders) < RETURNING // SOCKETS_PER_RIDER:
            riders += await asyncio.gather(*(register(node.url) for _ in range(AT_ONCE)))
        auths = [{"token": rider.access_token, "device_id": rider.device_id} for rider in riders] * SOCKETS_PER_RIDER
        process = psutil.Process(node.pid)
        async with httpx.AsyncClient(base_url=node.url, timeout=ANSWERED_WITHIN_SECONDS) as http:

            async def sockets() -> float:
                lines = (await http.get("/metrics")).text.splitlines()
                return next(float(line.split()[1]) for line in lines if line.startswith("throttlecove_sockets "))

            async def all_gone() -> bool:
                return await sockets() == 0

            async def all_here() -> bool:
                return await sockets() == RETURNING  # counted when they are greeted, a moment after they are let in

            members = await gather(node.port, auths)
            await eventually(all_here, timeout=60)
            await scatter(members)
            await eventually(all_gone, timeout=60)
            before = process.memory_info().rss
            for _ in range(2):
                members = await gather(node.port, auths)
                await eventually(all_here, timeout=60)
                await scatter(members)
                await eventually(all_gone, timeout=60)
            grown = process.memory_info().rss - before
            assert grown < MOST_GROWTH_BYTES
